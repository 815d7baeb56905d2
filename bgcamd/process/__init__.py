"""Work without a daemon: an input of any kind through the pipeline to one output or more."""
