"""Rules: what a step makes of each element of a parameter and of what is kept for it, by ops, or by one kernel."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorlite.derivative import elementwise_op
from tensorlite.dispatch import apply
from tensorlite.in_place import check_in_place, rebind
from tensorlite.kernels import device as devices
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.allocator import empty, owns_alone
from tensorlite.op import Elementwise
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import astype
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, eq=False)
class Rule:
    """Steps in order: a name, the elementwise op that makes it, and the names of what that is applied to.

    ``stores`` says which tensor takes which value in the end, ``gives`` which values are wanted besides. Eagerly, all
    of it is one native kernel, which writes where nobody else can see the memory; while a step is traced, or for dtypes
    of 16 bits, ops run one by one.
    """

    steps: tuple[tuple[str, Elementwise, tuple[str, ...]], ...]
    stores: tuple[tuple[str, str], ...]
    gives: tuple[str, ...] = ()

    def apply(self, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> tuple[Tensor, ...]:
        """Moves tensors of one shape on; numbers may be tensors without dimensions. Returns what is given besides."""
        if _is_plain(tensors):
            return self._sweep(tensors, scalars)
        wide = accumulator(tensors["p"].dtype)
        known: dict[str, Any] = dict(zip(tensors, widened(*tensors.values()), strict=True))
        known.update((name, astype(x, wide, copy=False) if isinstance(x, Tensor) else x) for name, x in scalars.items())
        for name, op, operands in self.steps:
            known[name] = apply(op, *map(known.__getitem__, operands))
        for name, value in self.stores:
            replace(tensors[name], known[value])
        return tuple(known[name] for name in self.gives)

    def apply_all(self, names: tuple[str, ...], rows: Sequence[tuple[Tensor, ...]], scalars: Mapping[str, Any]) -> None:
        """Moves many tuples of tensors on, each as `apply` does: those that can be by one native call.

        The ``names``, parameters first, are those of each tuple's tensors.
        """
        dtype, stored = rows[0][0].dtype, tuple(names.index(name) for name, _ in self.stores)
        together: list[tuple[Tensor, ...]] = []
        alone: list[tuple[Tensor, ...]] = []
        for row in rows:
            (together if _may_join(row, stored, dtype) else alone).append(row)
        if len(together) > 1 and dtype in _FLOATS and not thread.recording:
            alone += self._sweep_all(names, together, stored, scalars)
        else:
            alone += together
        for row in alone:
            self.apply(dict(zip(names, row, strict=True)), scalars)

    def _sweep_all(self, names: tuple[str, ...], rows: Sequence[tuple[Tensor, ...]], stored: tuple[int, ...],
                   scalars: Mapping[str, Any]) -> Sequence[tuple[Tensor, ...]]:
        """Runs one kernel on all tuples, and returns those that are left: all, where some array has gaps."""
        dtype = rows[0][0].dtype
        numbers = _numbers(dtype, tuple(x.item() if isinstance(x, Tensor) else x for x in scalars.values()))
        fresh = {(row[k]): empty(row[k].shape, dtype) for row in rows for k in stored if not owns_alone(row[k].array)}
        arrays, sizes = [numbers], []
        for row in rows:
            given = [x.array for x in row]
            arrays += given
            arrays += [fresh.get(row[k], given[k]) for k in stored] if fresh else [given[k] for k in stored]
            sizes.append(given[0].size)
        if not _sweep_of(self, dtype, names, tuple(scalars)).many(tuple(sizes), arrays):
            return rows
        for x, out in fresh.items():
            x.array = out
        for row in rows:
            for k in stored:
                row[k].bases = ()
        return ()

    def _sweep(self, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> tuple[Tensor, ...]:
        for name, _ in self.stores:
            check_in_place("step", tensors[name])
        dtype, shape = tensors["p"].dtype, tensors["p"].shape
        sweep = _sweep_of(self, dtype, tuple(tensors), tuple(scalars))
        numbers = _numbers(dtype, tuple(x.array.item() if isinstance(x, Tensor) else x for x in scalars.values()))
        targets = [tensors[name] for name, _ in self.stores]
        fresh = [None if owns_alone(x.array) else empty(shape, dtype) for x in targets]
        given = [empty(shape, dtype) for _ in self.gives]
        sweep([np.ascontiguousarray(x.array) for x in tensors.values()], numbers,
              [*(x.array if out is None else out for x, out in zip(targets, fresh, strict=True)), *given])
        for x, out in zip(targets, fresh, strict=True):
            if out is not None:
                x.array = out
            x.bases = ()
        return tuple(map(Tensor, given))


def rule(step: Callable[..., Mapping[str, Any]], *gives: str) -> Rule:
    """The rule of a function over scalars, whose parameters name tensors and numbers.

    It gives, by name and in order, what becomes of each tensor; other names are values that later ones share, or that
    ``gives`` asks for.

    >>> import tensorlite as tl
    >>> halve = rule(lambda p, rate: {"p": p - p * rate})
    >>> p = tl.ones(2)
    >>> halve.apply({"p": p}, {"rate": 0.5})
    ()
    >>> p
    tensor([0.5, 0.5])
    """
    parameters = tuple(inspect.signature(step).parameters)
    steps: list[tuple[str, Elementwise, tuple[str, ...]]] = []
    known: dict[s.Expr, s.Expr] = {}
    for name, value in step(*map(s.Var, parameters)).items():
        if isinstance(value, s.Var) and name not in parameters:
            continue  # shared by its own name
        body = s.substitute(s.as_expr(value), known)
        operands = s.free_variables(body)
        op = elementwise_op(s.Function(operands, body), f"{step.__name__.strip('<>_')}_{name}", "real floating",
                            differentiable=False)
        steps.append((f"{name}_next", op, operands))
        if isinstance(value, s.Call):
            known[value] = s.Var(f"{name}_next")
    made = {name for name, _, _ in steps}
    return Rule(tuple(steps), tuple((name, f"{name}_next") for name in parameters if f"{name}_next" in made),
                tuple(f"{name}_next" for name in gives))


def direction(grad: s.Expr, p: s.Expr, decay: s.Expr, maximize: bool, decays: bool) -> s.Expr:
    """The gradient of the loss, or of what is gained, to which ``decay / 2 * p**2`` is added."""
    grad = -grad if maximize else grad
    return grad + p * decay if decays else grad


def replace(p: Tensor, value: Tensor) -> None:
    """Makes a parameter, or a tensor of the state, hold its next value."""
    check_in_place("step", p)
    rebind("step", p, value)


def widened(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in float32 where they are narrower, so that options such as 0.999 keep their value."""
    wide = accumulator(tensors[0].dtype)
    return tensors if tensors[0].dtype == wide else tuple(astype(x, wide) for x in tensors)


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


def _may_join(row: tuple[Tensor, ...], stored: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether a tuple's arrays are NumPy's, of one dtype and shape, and none that is to change is a view."""
    shape = row[0].array.shape
    for x in row:
        array = x.array
        if type(array) is not np.ndarray or array.dtype is not dtype or array.shape != shape:
            return False
    return not any(row[k].bases for k in stored)


@functools.cache
def _sweep_of(rule: Rule, dtype: np.dtype, tensors: tuple[str, ...], scalars: tuple[str, ...]) -> Any:
    values = [(name, op.function.body) for name, op, _ in rule.steps]
    return devices.CPU.sweep(dtype, tensors, scalars, values, [*(value for _, value in rule.stores), *rule.gives])


@functools.lru_cache(64)
def _numbers(dtype: np.dtype, values: tuple[float, ...]) -> np.ndarray:
    """Numbers as a kernel reads them."""
    return np.array(values, dtype)
