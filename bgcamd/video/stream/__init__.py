"""The picture over a network: RTP to a host, RTSP for whoever fetches it, and both as cameras."""
