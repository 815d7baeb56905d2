"""A page on this machine that shows the picture and changes it, by way of the daemon's socket alone."""
