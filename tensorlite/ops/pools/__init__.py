"""Pooling: maxima, averages and fractional windows of images, sequences and volumes, and what undoes them."""
