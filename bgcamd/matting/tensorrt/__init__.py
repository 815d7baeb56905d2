"""Networks run by TensorRT: made of one size and half precision, built, kept, run, and a fake that stands for it."""
