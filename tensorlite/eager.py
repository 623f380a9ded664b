"""How an op runs on concrete arrays: NumPy for small ones, the device's kernels for large ones."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from tensorlite.errors import ArgumentError, DeviceError, DTypeError, ShapeError, TraceError
from tensorlite.kernels import device as devices
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.blas import one_thread
from tensorlite.op import Elementwise, Op
from tensorlite.state import state
from tensorlite.tensor_type import (
    DIFFERENTIABLE,
    DTYPES,
    TensorType,
    bfloat16,
    complex64,
    default_dtype,
    float32,
    floating_dtype,
    int64,
    kind,
    promote,
    promote_scalar,
    scalar_kind,
)

#: From this many elements on, a native kernel beats NumPy (benchmarks/eager.py measures it).
NATIVE_SIZE = devices.NATIVE_SIZE

#: The same, of functions that NumPy computes in several steps: it takes 4 us for the sigmoid of so many, a kernel 0.5.
NATIVE_STEPS = 1024

#: The same, of functions such as gamma's logarithm, which NumPy computes in more than `MANY_STEPS`: a kernel takes 3 us
#: where it takes 90, but is first compiled.
NATIVE_MANY_STEPS, MANY_STEPS = 64, 50

#: Products of arrays that all have fewer elements are too small for BLAS to divide them among threads.
BLAS_SIZE = 1024

ndarray = np.ndarray
_SCALARS = {"bool": bool, "int": int, "float": float, "complex": complex}

#: Python scalars that NumPy takes as they are and that leave the array's dtype alone.
_WEAK = frozenset(
    (_SCALARS[name], dtype) for dtype in DTYPES if dtype != bfloat16 for name in _SCALARS
    if promote_scalar(dtype, name) == dtype)


def runner(op: Op) -> Callable[..., Any]:
    """Makes the function that runs an op on arrays (and Python scalars, for elementwise ops)."""
    if not isinstance(op, Elementwise):
        return _structured(op)
    return {1: _unary, 2: _binary}.get(len(op.inputs), _general)(op)


def _unary(op: Elementwise) -> Callable[..., Any]:
    ufunc, dtypes, general = _small(op), op.dtypes, _general(op)
    native_size, native = _native_size(op), None  # type: int, Any

    def run(x: Any) -> Any:
        nonlocal native
        if type(x) is ndarray and x.dtype in dtypes:
            if x.size < native_size:
                out = state.quiet(ufunc, x)
                return out if type(out) is ndarray else np.asarray(out)
            native = native or devices.CPU.pointwise(op.function)
            out = native(x)
            if out is not NotImplemented:
                return out
        return general(x)
    return run


def _binary(op: Elementwise) -> Callable[..., Any]:
    ufunc, dtypes, general = _small(op), op.dtypes, _general(op)
    weak = _WEAK if s.numpy_ufunc(op.function, np) is not None else frozenset()
    native_size, native = _native_size(op), None  # type: int, Any
    if op.conditions:
        return general

    def run(x1: Any, x2: Any) -> Any:
        nonlocal native
        if type(x1) is ndarray:
            dtype = x1.dtype
            if type(x2) is ndarray:
                alike = x2.dtype is dtype or x2.dtype == dtype
                small = x1.size < native_size if x1.shape == x2.shape else x1.size * x2.size < native_size
            else:
                alike, small = (type(x2), dtype) in weak, x1.size < native_size
        elif type(x2) is ndarray:
            dtype = x2.dtype
            alike, small = (type(x1), dtype) in weak, x2.size < native_size
        else:
            return general(x1, x2)
        if not alike or dtype not in dtypes:
            return general(x1, x2)
        if small:
            out = state.quiet(ufunc, x1, x2)
            return out if type(out) is ndarray else np.asarray(out)
        native = native or devices.CPU.pointwise(op.function)
        try:
            out = native(x1 if type(x1) is ndarray else np.asarray(x1, dtype),
                         x2 if type(x2) is ndarray else np.asarray(x2, dtype))
        except OverflowError:  # an integer that the dtype cannot hold: NumPy compares with it all the same
            return state.quiet(ufunc, x1, x2)
        return general(x1, x2) if out is NotImplemented else out
    return run


def _native_size(op: Elementwise) -> int:
    """From how many elements on a native kernel computes the op."""
    if s.numpy_ufunc(op.function, np) is not None:
        return NATIVE_SIZE
    return NATIVE_STEPS if s.numpy_passes(op.function) < MANY_STEPS else NATIVE_MANY_STEPS


def _small(op: Elementwise) -> Callable[..., Any]:
    """The cheapest call that computes the op with NumPy: the bare ufunc where it is one."""
    ufunc = s.numpy_ufunc(op.function, np)
    if ufunc is not None:
        return ufunc
    body = op.body
    return lambda *arrays: body(np, *arrays)


def _alike(op: Elementwise) -> Callable[[Sequence[Any]], list[Any] | None]:
    """What brings operands to arrays that need no promotion: of one dtype, or weak numbers; else None."""
    conditions, dtypes, boolean = [name in op.conditions for name in op.inputs], op.dtypes, np.dtype(bool)

    def arrays_of(operands: Sequence[Any]) -> list[Any] | None:
        dtype = None
        for operand, is_condition in zip(operands, conditions, strict=True):
            if type(operand) is not ndarray:
                continue
            if dtype is None and not is_condition:
                dtype = operand.dtype
            if operand.dtype != (boolean if is_condition else dtype):
                return None
        if dtype not in dtypes:
            return None
        arrays = []
        for operand, is_condition in zip(operands, conditions, strict=True):
            if type(operand) is not ndarray:
                if is_condition or (type(operand), dtype) not in _WEAK:
                    return None
                operand = np.asarray(operand, dtype)
            arrays.append(operand)
        return arrays
    return arrays_of


def _general(op: Elementwise) -> Callable[..., Any]:
    arrays_of, body, native_size = _alike(op), op.body, _native_size(op)
    native: Any = None

    def run(*operands: Any) -> Any:
        nonlocal native
        alike = arrays_of(operands)
        if alike is not None:
            if prod(map(_size, alike)) < native_size or max(map(_size, alike)) < native_size and _of_one_shape(alike):
                out = state.quiet(body, np, *alike)
                return out if type(out) is ndarray else np.asarray(out)
            native = native or devices.CPU.pointwise(op.function)
            out = native(*alike)
            if out is not NotImplemented:
                return out
        arrays, device = unify(op, operands)
        dtype = next((a.dtype for a, name in zip(arrays, op.inputs, strict=True) if name not in op.conditions),
                     np.dtype(bool))
        out = state.quiet(device.elementwise, op.function, arrays, op.result_dtype(dtype))
        return np.asarray(out) if isinstance(out, np.generic) else out
    return run


_size = operator.attrgetter("size")


def _of_one_shape(arrays: Sequence[Any]) -> bool:
    """Whether arrays need no broadcasting, those of a single number aside."""
    return len({array.shape for array in arrays if array.ndim}) < 2


def unify(op: Elementwise, operands: Sequence[Any]) -> tuple[list[Any], Any]:
    """Brings operands to arrays of one dtype (conditions aside) on one device."""
    operands = [as_operand(name, operand) for name, operand in zip(op.inputs, operands, strict=True)]
    device = one_device([o for o in operands if hasattr(o, "shape")])
    named = list(zip(op.inputs, operands, strict=True))
    dtype = compute_dtype(op, [o for name, o in named if name not in op.conditions])
    arrays = []
    for name, operand in named:
        wanted = np.dtype(bool) if name in op.conditions else dtype
        if not hasattr(operand, "shape"):
            operand = device.xp.asarray(operand, dtype=wanted)
        if operand.dtype != wanted:
            if name in op.conditions:
                raise DTypeError(f"{name} must be bool, not {operand.dtype.name}", f"compare it: {name} != 0")
            operand = operand.astype(wanted)
        arrays.append(operand)
    return arrays, device


def as_operand(name: str, value: Any) -> Any:
    """An array as it is, and a NumPy scalar as the Python number that it stands for."""
    if isinstance(value, np.generic):
        return value.item()
    if not hasattr(value, "shape") and scalar_kind(value) is None:
        raise DTypeError(f"{name} must be a tensor or a number, not {type(value).__name__}",
                         "make it one: tl.asarray(...)")
    return value


def elementwise_type(op: Elementwise, *operands: Any) -> TensorType:
    """The type rule of elementwise ops: shapes broadcast, dtypes promote."""
    types = [o for o in operands if isinstance(o, TensorType)]
    try:
        shape = np.broadcast_shapes(*(t.shape for t in types))
    except ValueError:
        raise ShapeError(f"shapes {' and '.join(str(list(t.shape)) for t in types)} do not broadcast",
                         "extents must be equal or 1, counted from the last axis") from None
    dtype = compute_dtype(op, [o for o, name in zip(operands, op.inputs, strict=True) if name not in op.conditions])
    wrong = beyond(operands, dtype)
    if wrong is not None:
        raise ArgumentError(f"Python integer {wrong} out of bounds for {dtype.name}")
    return TensorType(op.result_dtype(dtype), shape, types[0].device if types else state.device)


def beyond(operands: Sequence[Any], dtype: np.dtype) -> int | None:
    """The first Python integer that an integer dtype cannot hold."""
    if dtype.kind not in "iu":
        return None
    least, most = integer_bounds(dtype)
    return next((o for o in operands if isinstance(o, int) and not least <= o <= most), None)


@functools.cache
def integer_bounds(dtype: np.dtype) -> tuple[int, int]:
    """The least and the largest number of an integer dtype."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def compute_dtype(op: Elementwise, operands: Sequence[Any]) -> np.dtype:
    """The dtype that an elementwise op computes in; raises `DTypeError` where it does not take it."""
    dtype = None
    for operand in operands:
        if hasattr(operand, "dtype"):
            dtype = operand.dtype if dtype is None else promote(dtype, operand.dtype)
    for operand in operands:
        name = None if hasattr(operand, "dtype") else scalar_kind(operand)
        if name is not None:
            dtype = default_dtype(name) if dtype is None else promote_scalar(dtype, name)
    if dtype is None:
        return np.dtype(bool)
    if op.promotes and dtype not in DIFFERENTIABLE:
        dtype = floating_dtype(dtype)
    if dtype not in op.dtypes:
        raise DTypeError(f"takes {op.accepts} dtypes, not {dtype.name}", _dtype_fix(op, dtype))
    return dtype


def _dtype_fix(op: Elementwise, dtype: np.dtype) -> str:
    if kind(dtype) == "bool" and "numeric" in op.accepts:
        return "use logical_and, logical_or, logical_not or logical_xor on bool, or cast it first"
    if kind(dtype) == "complex":
        return "use tl.abs(x) or tl.real(x)"
    wanted = next(d for d in (float32, int64, complex64, np.dtype(bool)) if d in op.dtypes)
    return f"cast it first: x.to(tl.{wanted.name})"


def one_device(arrays: Sequence[Any]) -> Any:
    """The device that holds all the arrays; raises `DeviceError` where they are on several."""
    if any(type(array) is not ndarray and hasattr(array, "type") for array in arrays):
        raise TraceError("a tensor of a traced function or of vmap was kept and is used outside of it",
                         "return it from the function that made it")
    found = {id(device): device for device in map(devices.of, arrays)}
    if len(found) > 1:
        names = " and ".join(sorted(device.name for device in found.values()))
        raise DeviceError(f"arguments are on different devices: {names}", f"move one: x.to({names.split()[0]!r})")
    return next(iter(found.values()), None) or devices.get(state.device)


def _structured(op: Op) -> Callable[..., Any]:
    if op.kind == "contract":
        return _contraction(op)
    body, name = op.body, op.name
    size, kernel = op.native_size or NATIVE_SIZE, None  # type: int, Any

    def run(*arrays: Any, **attributes: Any) -> Any:
        nonlocal kernel
        plain, large = bool(arrays), False
        for array in arrays:
            if type(array) is not ndarray:
                plain = False
                break
            large = large or array.size >= size
        if not plain:
            out = state.quiet(_on_device, name, body, arrays, attributes)
        elif not large:
            out = state.quiet(body, np, *arrays, **attributes)
        else:
            kernel = kernel or devices.CPU.kernel(name) or _refuse
            out = state.quiet(kernel, *arrays, **attributes)
            if out is NotImplemented:
                out = state.quiet(body, np, *arrays, **attributes)
        return np.asarray(out) if isinstance(out, np.generic) else out
    return run


def _contraction(op: Op) -> Callable[..., Any]:
    """A contraction: small ones by BLAS; of others those whose kernel is faster than telling BLAS' threads to rest."""
    body, name = _on_one_thread(op.body), op.name
    kernel_size = op.native_size or NATIVE_SIZE
    kernel: Any = None

    def run(*arrays: Any, **attributes: Any) -> Any:
        nonlocal kernel
        size = 0
        for array in arrays:
            if type(array) is not ndarray:
                return state.quiet(_on_device, name, body, arrays, attributes)
            if array.size > size:
                size = array.size
        if size >= kernel_size:
            kernel = kernel or devices.CPU.kernel(name) or _refuse
            out = kernel(*arrays, **attributes)
            if out is not NotImplemented:
                return out
        out = state.quiet(op.body if size < BLAS_SIZE else body, np, *arrays, **attributes)
        return np.asarray(out) if isinstance(out, np.generic) else out

    def run_two(x1: Any, x2: Any) -> Any:  # as above, spelled out: a product of small matrices takes 2 us
        if kernel is not None and type(x1) is ndarray is type(x2) and (
                x1.size >= kernel_size or x2.size >= kernel_size):
            out = kernel(x1, x2)
            if out is not NotImplemented:
                return out
        return run(x1, x2)
    return run_two if len(op.inputs) == 2 and not op.attributes and not op.variadic else run


def _refuse(*arrays: Any, **attributes: Any) -> Any:
    return NotImplemented


def _on_one_thread(body: Callable[..., Any]) -> Callable[..., Any]:
    """A contraction whose bits do not depend on BLAS' threads."""
    def run(xp: Any, *arrays: Any, **attributes: Any) -> Any:
        if xp is not np:
            return body(xp, *arrays, **attributes)
        with one_thread():
            return body(xp, *arrays, **attributes)
    return run


def _on_device(name: str, body: Callable[..., Any], arrays: Sequence[Any], attributes: dict[str, Any]) -> Any:
    """Runs the device's own kernel of that name where there is one that takes these arrays, else the body."""
    device = one_device(arrays)
    kernel = device.kernel(name)
    if kernel is not None:
        out = kernel(*arrays, **attributes)
        if out is not NotImplemented:
            return out
    return body(device.xp, *arrays, **attributes)
