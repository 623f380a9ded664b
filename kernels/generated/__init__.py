"""Kernels generated from loops: elementwise operations, copies, reductions, softmax and normalisations."""
