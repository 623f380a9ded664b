"""Functions of functions: `grad`, `value_and_grad` and `vjp`, over nested containers of tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tensorlite import errors
from tensorlite.backward import ancestors, capture, check_count, own, seed, zeros
from tensorlite.dispatch import apply
from tensorlite.modes import enable_grad
from tensorlite.op import OPS
from tensorlite.ops.creation import asarray
from tensorlite.state import state
from tensorlite.tape import Argument
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE
from tensorlite.tree import flatten


def tracked_copy(x: Any, caller: str) -> Tensor:
    """A new node for an argument: a leaf, or a recorded copy where an outer transform tracks it already."""
    x = x if isinstance(x, Tensor) else asarray(x)
    lift = getattr(state.interpreter, "lift", None)  # inside vmap: what is tracked outside of it is a constant here
    x = x if lift is None else lift(x)
    if x.dtype not in DIFFERENTIABLE:
        raise errors.complaint(errors.GradientError, caller, "only floating tensors have derivatives", {"argument": x},
                               "cast it first: x.to(tl.float32)")
    if x.node is not None:
        return apply(OPS["copy"], x)
    leaf = Tensor(x.array)
    leaf.node = Argument(leaf)
    return leaf


#: What makes a container of its leaves.
Rebuild = Callable[[Iterator[Any]], Any]


@enable_grad()
def differentiate(function: Callable[..., Any], arguments: Sequence[Any], kwargs: dict[str, Any],
                   chosen: Sequence[int], caller: str) -> tuple[list[Tensor], list[Rebuild], Any, int]:
    """Calls a function on tracked copies: the copies, how to rebuild each argument, the result, the first new order."""
    changed = list(arguments)
    inputs: list[Tensor] = []
    rebuilds: list[Rebuild] = []
    for index in chosen:
        if not -len(arguments) <= index < len(arguments):
            raise errors.complaint(errors.ArgumentError, caller, f"there is no argument {index}: {len(arguments)} "
                                   f"{'was' if len(arguments) == 1 else 'were'} given by position")
        leaves, rebuild = flatten(arguments[index])
        copies = [tracked_copy(x, caller) for x in leaves]
        changed[index] = rebuild(iter(copies))
        inputs += map(own, copies)  # the function may rebind its arguments
        rebuilds.append(rebuild)
    start = inputs[0].node.order if inputs else 0
    result = function(*changed, **kwargs)
    return inputs, rebuilds, result, start


def pull_back(outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None], inputs: Sequence[Tensor], start: int,
          caller: str, retain: bool = False) -> list[Tensor]:
    """The inputs' cotangents, recorded where the outputs depend on what an outer transform tracks."""
    check_count(caller, cotangents, outputs)
    roots = [seed(y, g, caller) for y, g in zip(outputs, cotangents, strict=True) if y.node is not None]
    copies = {x.node for x in inputs}
    outer = any(node.order < start or (node in copies and type(node) is not Argument)
                for node in ancestors(node for node, _ in roots))
    outer = outer or getattr(state.interpreter, "tracks", False)  # inside vmap: by what is outside of it
    cotangents_recorded = any(g is not None and g.node is not None for g in cotangents)
    record = state.recording and (outer or cotangents_recorded)
    found = capture(roots, inputs, retain or record, record, caller)
    return [zeros(x.shape, x.dtype) if g is None else g for x, g in zip(inputs, found, strict=True)]


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0,
                   has_aux: bool = False) -> Callable[..., Any]:
    """Makes a function that returns both ``function``'s value and its gradient, as `jax.value_and_grad`.

    ``function`` returns a tensor of one element, or a pair of it and anything else with ``has_aux``. The gradient
    has the structure of the argument (or of the tuple of arguments) that ``argnums`` names. Raises `GradientError`
    where the value is no scalar.

    >>> import tensorlite as tl
    >>> tl.value_and_grad(lambda x: (x * x).sum())(tl.tensor([1.0, 3.0]))
    (tensor(10.), tensor([2., 6.]))
    """
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(function)
    def transformed(*arguments: Any, **kwargs: Any) -> Any:
        inputs, rebuilds, result, start = differentiate(function, arguments, kwargs, chosen, "grad")
        value, aux = result if has_aux else (result, None)
        if not isinstance(value, Tensor):
            raise errors.complaint(errors.GradientError, "grad", "the function must return a tensor", {"value": value},
                                   "pass has_aux=True where it returns a pair of the loss and something else")
        if value.size != 1:
            seed(value, None, "grad")
        found = iter(pull_back([value], [None], inputs, start, "grad"))
        grads = tuple(rebuild(found) for rebuild in rebuilds)
        value = release(value, start)
        gradient = grads[0] if isinstance(argnums, int) else grads
        return ((value, aux) if has_aux else value), gradient
    return transformed


def release(value: Tensor, start: int) -> Tensor:
    """The value without its tape, unless an outer transform tracks what it was computed from."""
    if value.node is not None and state.recording and any(node.order < start for node in ancestors([value.node])):
        return value
    return Tensor(value.array)


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Makes the function that computes ``function``'s gradient, as `jax.grad`; nest it for higher derivatives.

    >>> import tensorlite as tl
    >>> tl.grad(tl.grad(lambda x: x**3))(tl.tensor(2.0))
    tensor(12.)
    """
    both = value_and_grad(function, argnums, has_aux)

    @functools.wraps(function)
    def transformed(*arguments: Any, **kwargs: Any) -> Any:
        value, gradient = both(*arguments, **kwargs)
        return (gradient, value[1]) if has_aux else gradient
    return transformed


def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function, and the function that maps an output's cotangent to the inputs', as `jax.vjp`.

    >>> import tensorlite as tl
    >>> y, pull = tl.vjp(lambda x: x * x, tl.tensor([1.0, 2.0]))
    >>> pull(tl.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    inputs, rebuilds, result, start = differentiate(function, primals, {}, range(len(primals)), "vjp")
    value, aux = result if has_aux else (result, None)
    outputs, rebuild_value = flatten(value)
    for y in outputs:
        if not isinstance(y, Tensor):
            raise errors.complaint(errors.GradientError, "vjp", "the function must return tensors", {"value": y},
                                   "pass has_aux=True where it returns a pair of them and something else")

    def pull(cotangent: Any) -> tuple[Any, ...]:
        found = iter(pull_back(outputs, flatten(cotangent)[0], inputs, start, "vjp", retain=True))
        return tuple(rebuild(found) for rebuild in rebuilds)

    released = rebuild_value(iter([release(y, start) for y in outputs]))
    return (released, pull, aux) if has_aux else (released, pull)
