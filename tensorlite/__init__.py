"""tensorlite: eager tensors with a tape, in Python, on native kernels.

The namespace follows the Python array API standard 2024.12; ``nn``, ``optim`` and ``data`` follow PyTorch's names.

>>> import tensorlite as tl
>>> x = tl.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from tensorlite import autograd, errors, methods, ops, random
from tensorlite.debug import debug_nans
from tensorlite.declare import PUBLIC as _PUBLIC
from tensorlite.context import device, devices_available, get_num_threads, set_num_threads
from tensorlite.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from tensorlite.random import Generator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType
from tensorlite.tensor_type import bool_ as bool
from tensorlite.tensor_type import (
    bfloat16, complex64, complex128, float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32,
    uint64,
)
from tensorlite.transforms import grad, value_and_grad, vjp

methods.bind()
globals().update(_PUBLIC)
newaxis = None

__version__ = "0.1.0"
__array_api_version__ = "2024.12"
__all__ = sorted({
    "Generator", "Tensor", "TensorType", "autograd", "debug_nans", "device", "devices_available", "errors", "get_num_threads", "set_num_threads", "enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled",
    "grad", "value_and_grad", "vjp", "bool", "bfloat16", "complex64", "complex128", "float16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "newaxis", *_PUBLIC,
})
