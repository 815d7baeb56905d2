"""The picture to browsers, and browsers' cameras to us, by WebRTC: each at a page behind a secret address."""
