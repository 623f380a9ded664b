"""Fourier transforms: the array API's `fft` extension, and what PyTorch has beside it.

>>> import tensorlite as tl
>>> tl.fft.rfft(tl.tensor([1.0, 0.0]))
tensor([1.+0.j, 1.+0.j], dtype=complex64)
"""

from tensorlite.ops.fourier import *
