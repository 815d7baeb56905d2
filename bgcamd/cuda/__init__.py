"""The GPU: its driver, its memory, its kernels, recorded work. Everything that cuda-python is asked goes through here."""
