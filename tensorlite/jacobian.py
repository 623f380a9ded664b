"""Whole derivatives: Jacobians, row by row or column by column, and Hessians."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tensorlite import errors
from tensorlite.forward import linearize
from tensorlite.ops.filled import zeros
from tensorlite.ops.join import concat
from tensorlite.ops.ranges import eye
from tensorlite.ops.shape import _reshape
from tensorlite.tensor import Tensor
from tensorlite.transforms import vjp
from tensorlite.tree import flatten
from tensorlite.vmap import vmap

Argnums = int | Sequence[int]


def jacrev(function: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *,
           chunk_size: int | None = None) -> Callable[..., Any]:
    """Makes the function that computes ``function``'s Jacobian backward, row by row, as `jax.jacrev`.

    ``y: [*m]`` and ``x: [*n]`` give ``[*m, *n]``. Where the result is a container, so is the Jacobian, of one for each
    of its tensors; each of these has the structure of the argument (or of the tuple of arguments) that ``argnums``
    names. It is the better way where there are fewer results than arguments. ``chunk_size`` rows at a time are
    computed, all at once where it is None.

    >>> import tensorlite as tl
    >>> tl.jacrev(lambda x: x**2)(tl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_chunk("jacrev", chunk_size)

    @functools.wraps(function, updated=())
    def transformed(*arguments: Any, **kwargs: Any) -> Any:
        chosen, call = _chosen("jacrev", function, argnums, arguments, kwargs)
        value, pull, *aux = vjp(call, *chosen, has_aux=has_aux)
        outputs, rebuild = flatten(value)
        rows = []
        for place, y in enumerate(outputs):
            found = _mapped(lambda *cotangents: pull(rebuild(iter(cotangents))), outputs, place, chunk_size)
            rows.append(_trees(found, y.shape, chosen, argnums))
        made = rebuild(iter(rows))
        return (made, *aux) if has_aux else made
    return transformed


def jacfwd(function: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *,
           chunk_size: int | None = None) -> Callable[..., Any]:
    """Makes the function that computes ``function``'s Jacobian forward, column by column, as `jax.jacfwd`.

    The result is that of `jacrev`; this is the better way where there are fewer arguments than results.

    >>> import tensorlite as tl
    >>> tl.jacfwd(lambda x: x**2)(tl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_chunk("jacfwd", chunk_size)

    @functools.wraps(function, updated=())
    def transformed(*arguments: Any, **kwargs: Any) -> Any:
        chosen, call = _chosen("jacfwd", function, argnums, arguments, kwargs)
        value, push, *aux = linearize(call, *chosen, has_aux=has_aux)
        inputs, rebuild_inputs = flatten(chosen)
        outputs, rebuild = flatten(value)
        columns = [_mapped(lambda *tangents: push(*rebuild_inputs(iter(tangents))), inputs, place, chunk_size)
                   for place in range(len(inputs))]
        parts = []
        for k, y in enumerate(outputs):
            blocks = iter([_reshape(_moved(column[k], y.ndim), shape=(*y.shape, *x.shape))
                           for column, x in zip(columns, inputs, strict=True)])
            parts.append(_unwrapped(rebuild_inputs(blocks), argnums))
        made = rebuild(iter(parts))
        return (made, *aux) if has_aux else made
    return transformed


jacobian = jacrev


def hessian(function: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Makes the function that computes all second derivatives of ``function``, as `jax.hessian`.

    A scalar function of ``x: [*n]`` has a Hessian ``[*n, *n]``; containers nest twice. It is the forward Jacobian of
    the backward one.

    >>> import tensorlite as tl
    >>> tl.hessian(lambda x: x[0] ** 2 * x[1])(tl.tensor([1.0, 2.0]))
    tensor([[4., 2.],
            [2., 0.]])
    """
    return jacfwd(jacrev(function, argnums, has_aux), argnums, has_aux)


# --- parts --------------------------------------------------------------------------------------------------------


def _check_chunk(caller: str, chunk_size: int | None) -> None:
    if chunk_size is not None and chunk_size < 1:
        raise errors.complaint(errors.ArgumentError, caller, f"chunk_size must be positive, not {chunk_size}")


def _chosen(caller: str, function: Callable[..., Any], argnums: Argnums, arguments: Sequence[Any],
            kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Callable[..., Any]]:
    """The arguments to differentiate by, and the function of them alone."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for index in numbers:
        if not -len(arguments) <= index < len(arguments):
            raise errors.complaint(errors.ArgumentError, caller, f"there is no argument {index}: {len(arguments)} "
                                   f"{'was' if len(arguments) == 1 else 'were'} given by position")

    def call(*chosen: Any) -> Any:
        changed = list(arguments)
        for index, x in zip(numbers, chosen, strict=True):
            changed[index] = x
        return function(*changed, **kwargs)
    return tuple(arguments[index] for index in numbers), call


def _basis(tensors: Sequence[Tensor], place: int, start: int, stop: int) -> list[Tensor]:
    """For some elements of one of several tensors: ones there, and zeros elsewhere, ``[stop - start, *shape]`` each."""
    found = []
    for k, x in enumerate(tensors):
        if k != place:
            found.append(zeros((stop - start, *x.shape), dtype=x.dtype))
            continue
        found.append(_reshape(eye(stop - start, x.size, k=start, dtype=x.dtype), shape=(stop - start, *x.shape)))
    return found


def _mapped(function: Callable[..., Any], tensors: Sequence[Tensor], place: int,
            chunk_size: int | None) -> list[Tensor]:
    """The leaves of a linear function of several tensors, of all unit vectors of one: ``[size, *shape]`` each."""
    size = tensors[place].size
    step = chunk_size or max(size, 1)
    chunks = [flatten(vmap(function)(*_basis(tensors, place, start, min(start + step, size))))[0]
              for start in range(0, max(size, 1), step)]
    return [parts[0] if len(parts) == 1 else concat(parts) for parts in map(list, zip(*chunks, strict=True))]


def _trees(found: Sequence[Tensor], shape: tuple[int, ...], chosen: Sequence[Any], argnums: Argnums) -> Any:
    """The rows as blocks ``[*shape, *x.shape]``, in the structure of the arguments."""
    rebuild = flatten(tuple(chosen))[1]
    blocks = iter([_reshape(g, shape=(*shape, *g.shape[1:])) for g in found])
    return _unwrapped(rebuild(blocks), argnums)


def _moved(column: Tensor, axes: int) -> Tensor:
    """Columns behind rows."""
    return column if axes == 0 else column.permute_dims((*range(1, axes + 1), 0))


def _unwrapped(trees: Any, argnums: Argnums) -> Any:
    return trees[0] if isinstance(argnums, int) else trees
