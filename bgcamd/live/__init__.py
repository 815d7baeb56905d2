"""The live camera: a thread that captures, a thread that works, outputs that come and go."""
