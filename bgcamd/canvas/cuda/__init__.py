"""The canvas on an NVIDIA GPU: the same verbs, as kernels."""
