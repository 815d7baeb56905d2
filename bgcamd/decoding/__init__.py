"""Files from outside, decoded by processes that can do nothing else: what harms a decoder harms only one of those."""
