"""The kernel's video devices: cameras in, the v4l2loopback device out, and a fake kernel that ships for tests."""
