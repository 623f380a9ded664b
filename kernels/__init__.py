"""Kernels, devices and the languages they are written in; works on plain arrays and knows nothing of tensors."""
