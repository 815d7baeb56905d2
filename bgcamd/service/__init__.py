"""How the world talks to it: the daemon, its control socket, systemd."""
