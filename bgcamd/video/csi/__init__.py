"""Cameras on a board's own connector, through the program that the board's maker provides."""

from bgcamd.video.csi.source import CsiSource

__all__ = ["CsiSource"]
