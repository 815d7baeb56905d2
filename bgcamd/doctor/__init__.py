"""What ``bgcam doctor`` looks at: one small check a matter, each over a view of a machine that may be made up."""
