"""Frames in and out: cameras, the loopback device, files, the preview."""
