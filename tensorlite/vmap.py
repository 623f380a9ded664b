"""`vmap`: from a function of one element to the function of a batch of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.batch import move_axis, repeat
from tensorlite.batching import Level
from tensorlite.ops.creation import asarray
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import scalar_kind
from tensorlite.tree import branches, flatten


def vmap(function: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """Makes the function that maps ``function`` over a batch, all of it at once, as `jax.vmap`.

    ``in_axes`` says which axis of the arguments is the batch: one integer for all, or one for each argument by
    position, each of which may be a container with one for each part of an argument; None is for what is not mapped.
    Keyword arguments are mapped over their first axis. ``out_axes`` says in the same way where the batch goes in the
    results; with None, a result that is the same for every element is returned once.

    Ops that draw random numbers draw others for each element. It composes with itself and with `grad`, `vjp` and
    `jit`: ``vmap(grad(loss))`` gives the gradient for each element. Raises `ArgumentError`, `AxisError`, `DTypeError`
    or `ShapeError` where axes and arguments do not fit, and `TraceError` where Python would need the value of one
    element.

    >>> import tensorlite as tl
    >>> rows = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tl.vmap(lambda x, y: (x * y).sum(), in_axes=(0, None))(rows, tl.tensor([1.0, 10.0]))
    tensor([21., 43.])
    >>> tl.vmap(tl.grad(lambda x: (x**3).sum()))(rows)
    tensor([[ 3., 12.],
            [27., 48.]])
    """
    @functools.wraps(function, updated=())
    def mapped(*arguments: Any, **kwargs: Any) -> Any:
        leaves, rebuild = flatten((arguments, kwargs))
        named = _argument_axes(in_axes, arguments, kwargs)
        axes = [_checked_axis(name, leaf, axis) for (name, axis), leaf in zip(named, leaves, strict=True)]
        leaves = [asarray(x) if axis is not None and not isinstance(x, Tensor) else x
                  for x, axis in zip(leaves, axes, strict=True)]
        level = Level(_batch_size([name for name, _ in named], leaves, axes))
        try:
            with level.running():
                positional, named_ones = rebuild(iter(map(level.argument, leaves, axes)))
                result = function(*positional, **named_ones)
            made = _collect(level, result, out_axes)
            del positional, named_ones, result
        except BaseException:
            level.restore()
            raise
        level.check_outside()
        return made
    return mapped


# --- arguments ----------------------------------------------------------------------------------------------------


def _argument_axes(in_axes: Any, arguments: Sequence[Any], kwargs: dict[str, Any]) -> list[tuple[str, int | None]]:
    """The name and the batch axis of every leaf of the arguments."""
    if isinstance(in_axes, list | tuple) and len(in_axes) != len(arguments):
        entries = "1 entry" if len(in_axes) == 1 else f"{len(in_axes)} entries"
        raise errors.complaint(errors.ArgumentError, "vmap", f"in_axes has {entries} for {len(arguments)} arguments",
                               {"in_axes": in_axes}, "give one for each argument by position, or one integer for all")
    specs = in_axes if isinstance(in_axes, list | tuple) else [in_axes] * len(arguments)
    found = [pair for number, (spec, argument) in enumerate(zip(specs, arguments, strict=True))
             for pair in _spread("in_axes", spec, argument, f"argument {number}")]
    return found + [pair for name, x in kwargs.items() for pair in _spread("in_axes", 0, x, name)]


def _spread(option: str, spec: Any, tree: Any, name: str) -> list[tuple[str, int | None]]:
    """What a container of axes, or one for all of them, says for each leaf of a tree."""
    parts = branches(tree)
    if spec is None or type(spec) is int:
        if parts is None:
            return [(name, spec)]
        return [pair for label, child in parts.items()
                for pair in _spread(option, spec, child, f"{name}[{label!r}]")]
    specs = branches(spec)
    if specs is None:
        raise errors.complaint(errors.DTypeError, "vmap", f"{option} is made of integers and None, not "
                               f"{type(spec).__name__}", {option: spec})
    if parts is None or list(specs) != list(parts):
        raise errors.complaint(errors.ArgumentError, "vmap", f"{option} does not have the structure of {name}",
                               {option: spec, name: tree if parts is None else list(parts)},
                               "give one axis for all of it, or one for each of its parts")
    return [pair for label, child in parts.items()
            for pair in _spread(option, specs[label], child, f"{name}[{label!r}]")]


def _checked_axis(name: str, leaf: Any, axis: int | None) -> int | None:
    """The batch axis of an argument, counted from the front; None stays what it is, as an argument too."""
    if axis is None or leaf is None:
        return None
    if not isinstance(leaf, Tensor | np.ndarray):
        raise errors.complaint(errors.DTypeError, "vmap", f"{name} is no tensor, and has no axis to map over",
                               {name: leaf}, "pass None for it in in_axes")
    if not -leaf.ndim <= axis < leaf.ndim:
        problem = f"{name} has no axis {axis} to map over" if leaf.ndim else f"{name} has no axis to map over"
        raise errors.complaint(errors.AxisError, "vmap", problem, {name: leaf},
                               f"use -{leaf.ndim} to {leaf.ndim - 1}, or None for what is not mapped" if leaf.ndim
                               else "pass None for it in in_axes")
    return axis % leaf.ndim


def _batch_size(names: Sequence[str], leaves: Sequence[Any], axes: Sequence[int | None]) -> int:
    """The extent that the batch axes have."""
    extents = {name: (x, x.shape[axis]) for name, x, axis in zip(names, leaves, axes, strict=True) if axis is not None}
    if not extents:
        raise errors.complaint(errors.ArgumentError, "vmap", "no argument is mapped: nothing says how large the batch "
                               "is", None, "give at least one argument an axis in in_axes")
    (first, (x, size)), *rest = extents.items()
    for name, (other, extent) in rest:
        if extent != size:
            raise errors.complaint(errors.ShapeError, "vmap", "mapped axes have different extents: "
                                   f"{first} has {size}, {name} has {extent}", {first: x, name: other},
                                   "map over axes of one extent, or pass None for what is not mapped")
    return size


# --- results ------------------------------------------------------------------------------------------------------


def _collect(level: Level, result: Any, out_axes: Any) -> Any:
    """The result of the whole batch."""
    leaves, rebuild = flatten(result)
    named = _spread("out_axes", out_axes, result, "the result")
    return rebuild(iter([_batch_of(level, name, y, axis) for (name, axis), y in zip(named, leaves, strict=True)]))


def _batch_of(level: Level, name: str, y: Any, target: int | None) -> Any:
    if y is None:
        return None
    if scalar_kind(y) is not None or isinstance(y, np.ndarray):
        y = asarray(y)
    if not isinstance(y, Tensor):
        raise errors.complaint(errors.DTypeError, "vmap", f"the function must return tensors, not {type(y).__name__}",
                               {name: y})
    whole, axis = level.lower(y)
    if not state.recording:
        whole = Tensor(whole.array)
    if target is None:
        if axis is not None:
            raise errors.complaint(errors.ArgumentError, "vmap", f"{name} differs between the elements of the batch: "
                                   "its out_axes cannot be None", {name: y}, "give the axis where the batch goes")
        return Tensor(whole.array, whole.node)
    whole, axis = (repeat(whole, level.size), 0) if axis is None else (whole, axis)
    if not -whole.ndim <= target < whole.ndim:
        raise errors.complaint(errors.AxisError, "vmap", f"the batch cannot be axis {target} of {name}", {name: y},
                               f"use -{whole.ndim} to {whole.ndim - 1}")
    return move_axis(whole, axis, target % whole.ndim)
