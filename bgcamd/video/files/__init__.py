"""Stills, clips, numbered pictures and directories, in and out; outputs appear whole or not at all."""
