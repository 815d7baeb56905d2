"""The GPU: its driver, its memory, its kernels, recorded work; the only room that asks anything of cuda-python."""
