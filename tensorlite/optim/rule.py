"""Rules: what a step makes of each element of a parameter and of what is kept for it, by ops, or by one kernel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.in_place import check_in_place
from tensorlite.kernels import device as devices
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.allocator import empty, owns_alone
from tensorlite.optim.optimizer import replace, widened
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, eq=False)
class Rule:
    """Steps in order: a name, the elementwise op that makes it, and the names of what that is applied to.

    ``stores`` says which tensor takes which value in the end. Eagerly, all of it is one native kernel, which writes
    where nobody else can see the memory; while a step is traced, or for dtypes of 16 bits, ops run one by one.
    """

    steps: tuple[tuple[str, Callable[..., Tensor], tuple[str, ...]], ...]
    stores: tuple[tuple[str, str], ...]

    def apply(self, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Moves tensors of one shape on; numbers may be tensors without dimensions."""
        if _is_plain(tensors):
            self._sweep(tensors, scalars)
            return
        known = {**dict(zip(tensors, widened(*tensors.values()), strict=True)), **scalars}
        for name, function, operands in self.steps:
            known[name] = function(*map(known.__getitem__, operands))
        for name, value in self.stores:
            replace(tensors[name], known[value])

    def _sweep(self, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        for name, _ in self.stores:
            check_in_place("step", tensors[name])
        dtype = tensors["p"].dtype
        sweep = _sweep_of(self, dtype, tuple(tensors), tuple(scalars))
        numbers = _numbers(dtype, tuple(x.array.item() if isinstance(x, Tensor) else x for x in scalars.values()))
        targets = [tensors[name] for name, _ in self.stores]
        fresh = [None if owns_alone(x.array) else empty(x.shape, dtype) for x in targets]
        sweep([np.ascontiguousarray(x.array) for x in tensors.values()], numbers,
              [x.array if out is None else out for x, out in zip(targets, fresh, strict=True)])
        for x, out in zip(targets, fresh, strict=True):
            if out is not None:
                x.array = out
            x.bases = ()


def _is_plain(tensors: Mapping[str, Tensor]) -> bool:
    """Whether arrays are NumPy's of one shape, those to move on without gaps, of one dtype that needs no wider one."""
    if thread.interpreter is not None or thread.recording:
        return False
    dtype, shape = tensors["p"].dtype, tensors["p"].shape
    return dtype in _FLOATS and all(
        type(x.array) is np.ndarray and x.array.dtype == dtype and x.array.shape == shape
        and (x.array.flags.c_contiguous or name == "grad")
        for name, x in tensors.items()
    )


@functools.cache
def _sweep_of(rule: Rule, dtype: np.dtype, tensors: tuple[str, ...], scalars: tuple[str, ...]) -> Any:
    values = []
    for name, function, operands in rule.steps:
        op = function.op  # type: ignore[attr-defined]  # set by `declare.elementwise`, which callables do not show
        bound: dict[s.Expr, s.Expr] = {s.Var(x): s.Var(operand) for x, operand in zip(op.inputs, operands, strict=True)}
        values.append((name, s.substitute(op.function.body, bound)))
    return devices.CPU.sweep(dtype, tensors, scalars, values, [value for _, value in rule.stores])


@functools.lru_cache(64)
def _numbers(dtype: np.dtype, values: tuple[float, ...]) -> np.ndarray:
    """Numbers as a kernel reads them."""
    return np.array(values, dtype)
