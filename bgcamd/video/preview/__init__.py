"""The picture on a page of this machine: MJPEG over HTTP, behind a secret address."""
