"""tensorlite: eager tensors with a tape, in Python, on native kernels.

The namespace follows the Python array API standard 2024.12; ``nn``, ``optim`` and ``data`` follow PyTorch's names.

>>> import tensorlite as tl
>>> x = tl.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from importlib import import_module as _import_module
from math import e, inf, nan, pi
from typing import Any as _Any

from tensorlite import autograd, errors, methods, ops, random
from tensorlite.autocast import autocast
from tensorlite.checkpoint import checkpoint
from tensorlite.context import device, devices_available, get_num_threads, set_num_threads
from tensorlite.custom_rules import custom_jvp, custom_vjp
from tensorlite.debug import debug_nans
from tensorlite.declare import PUBLIC as _PUBLIC
from tensorlite.forward import jvp, linearize
from tensorlite.jacobian import hessian, jacfwd, jacobian, jacrev
from tensorlite.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tensorlite.ops import divisors as _divisors
from tensorlite.ops.control_flow import control
from tensorlite.random import Generator
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import (
    TensorType,
    bfloat16,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from tensorlite.tensor_type import bool_ as bool
from tensorlite.transforms import grad, value_and_grad, vjp
from tensorlite.vmap import vmap

__version__ = "0.1.0"
__array_api_version__ = "2024.12"
newaxis = None

#: What is imported at its first use, to keep the first import short.
_LATER = {"nn": None, "optim": None, "data": None, "io": None, "linalg": None, "fft": None, "special": None,
          "amp": None, "distributions": None, "jit": None, "models": None, "trace": "jit.trace",
          "summary": "jit.summary", "save": "io", "load": "io", "GradScaler": "optim.grad_scaler",
          "functional_call": "nn.utils.stateless", "stack_module_state": "nn.utils.stateless"}

methods.bind()
globals().update(_PUBLIC)
__all__ = sorted({
    "Generator", "Tensor", "TensorType", "autocast", "autograd", "bfloat16", "bool", "checkpoint", "complex128",
    "complex64", "custom_jvp", "custom_vjp", "debug_nans", "device", "devices_available", "e", "enable_grad",
    "errors", "float16", "float32", "float64", "get_num_threads", "grad", "hessian", "inf", "inference_mode", "int16",
    "int32", "int64", "int8", "is_grad_enabled", "jacfwd", "jacobian", "jacrev", "jvp", "linearize", "nan", "newaxis",
    "no_grad", "pi", "set_grad_enabled", "set_num_threads", "uint16", "uint32", "uint64", "uint8", "value_and_grad",
    "vjp", "vmap",
    *_LATER, *_PUBLIC,
})


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module 'tensorlite' has no attribute {name!r}")
    home = _import_module(f"tensorlite.{_LATER[name] or name}")
    globals()[name] = found = getattr(home, name) if _LATER[name] else home
    return found


def __dir__() -> list[str]:
    return __all__
