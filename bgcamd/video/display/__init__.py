"""The picture in a window of the desktop, with keys to steer it."""
