"""Derivatives forward: `jvp` and `linearize`, from the backward rules that ops have already.

A function's pullback is linear in the cotangents, so that its own pullback maps tangents forward: the transpose of the
transpose. Under jit only that second walk is left of the two, as nothing reads what the first one computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorlite import errors
from tensorlite.backward import capture, own
from tensorlite.modes import enable_grad
from tensorlite.ops.creation import asarray
from tensorlite.ops.filled import zeros_like
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.transforms import differentiate, pull_back, release, tracked_copy
from tensorlite.tree import flatten


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any],
        has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function, and how it changes as its arguments move along tangents, as `jax.jvp`.

    ``primals`` are the arguments, and ``tangents`` has one for each, of its structure and shapes. With ``has_aux``, the
    function returns a pair of its value and anything else, which comes third. Raises `ArgumentError` or `ShapeError`
    where tangents do not fit.

    >>> import tensorlite as tl
    >>> tl.jvp(lambda x: x**3, (tl.tensor(2.0),), (tl.tensor(1.0),))
    (tensor(8.), tensor(12.))
    """
    _check_sequence("jvp", primals, "primals")
    _check_sequence("jvp", tangents, "tangents")
    value, push, *aux = _linearized("jvp", function, primals, has_aux, once=True)
    return (value, push(*tangents), *aux)


def linearize(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function, and the linear function that maps tangents to its change, as `jax.linearize`.

    What the function computed is kept, so that many tangents cost one call of it.

    >>> import tensorlite as tl
    >>> y, push = tl.linearize(lambda x: x**3, tl.tensor(2.0))
    >>> push(tl.tensor(1.0)), push(tl.tensor(10.0))
    (tensor(12.), tensor(120.))
    """
    return _linearized("linearize", function, primals, has_aux, once=False)


def _check_sequence(caller: str, given: Any, name: str) -> None:
    if not isinstance(given, list | tuple):
        raise errors.complaint(errors.DTypeError, caller, f"{name} must be a tuple, one entry for each argument, not "
                               f"{type(given).__name__}", {name: given}, "write (x,) for one argument")


@enable_grad()
def _linearized(caller: str, function: Callable[..., Any], primals: Sequence[Any], has_aux: bool,
                once: bool) -> tuple[Any, ...]:
    """The value, the function of tangents, and what else the function returned; ``once`` frees the tape on its call."""
    inputs, _, result, start = differentiate(function, primals, {}, range(len(primals)), caller)
    value, aux = result if has_aux else (result, None)
    outputs, rebuild = flatten(value)
    _check_tensors(caller, outputs)
    before, state.linearizing = state.linearizing, True
    try:
        recorded = [(y, tracked_copy(zeros_like(y.detach()), caller)) for y in outputs if y.node is not None]
        roots = [(y.node, own(u)) for y, u in recorded]
        pulled = capture(roots, inputs, True, True, caller) if roots else [None] * len(inputs)
    finally:
        state.linearizing = before
    seeds = [u for _, u in recorded]
    linear = {k: g for k, g in enumerate(pulled) if g is not None and g.node is not None}

    def push(*tangents: Any) -> Any:
        moved = _tangents(caller, tangents, primals, inputs)
        found = iter(pull_back([*linear.values()], [moved[k] for k in linear], seeds, start, caller,
                               retain=not once))
        return rebuild(iter([zeros_like(y.detach()) if y.node is None else next(found) for y in outputs]))

    released = rebuild(iter([release(y, start) for y in outputs]))
    return (released, push, aux) if has_aux else (released, push)


def _check_tensors(caller: str, outputs: Sequence[Any]) -> None:
    for y in outputs:
        if not isinstance(y, Tensor):
            raise errors.complaint(errors.GradientError, caller, "the function must return tensors", {"value": y},
                                   "pass has_aux=True where it returns a pair of them and something else")


def _tangents(caller: str, tangents: Sequence[Any], primals: Sequence[Any], inputs: Sequence[Tensor]) -> list[Tensor]:
    """One tangent for each tensor among the arguments, checked to have its shape."""
    if len(tangents) != len(primals):
        raise errors.complaint(errors.ArgumentError, caller,
                               f"{len(tangents)} tangent{' was' if len(tangents) == 1 else 's were'} given for "
                               f"{len(primals)} argument{'' if len(primals) == 1 else 's'}")
    leaves = flatten(tuple(tangents))[0]
    if len(leaves) != len(inputs):
        raise errors.complaint(errors.ArgumentError, caller, "the tangents do not have the structure of the arguments",
                               {"arguments": len(inputs), "tangents": len(leaves)})
    found = [t if isinstance(t, Tensor) else asarray(t) for t in leaves]
    for x, t in zip(inputs, found, strict=True):
        if x.shape != t.shape:
            raise errors.complaint(errors.ShapeError, caller, "a tangent must have the shape of its argument",
                                   {"argument": x, "tangent": t})
    return found
