"""Control flow as functions of functions: cond, while_loop, scan and map, named and shaped as in `jax.lax`.

Eager, each is a plain Python ``if`` or loop over ordinary ops, which the tape records as it records any other. While a
function is traced, each is one equation whose attributes are graphs (`state.control` makes them), and whatever the
Python functions close over is an explicit operand of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.batch import Attributes, Batch, move_axis
from tensorlite.batching import any_of_batch
from tensorlite.declare import primitive, public
from tensorlite.op import Sample
from tensorlite.ops.control_flow.ops import _cond, _scan, _while_loop
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import logical_and, where
from tensorlite.ops.filled import full, zeros
from tensorlite.ops.join import stack
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType, default_dtype, scalar_kind
from tensorlite.traced import is_traced
from tensorlite.tree import flatten


class Tree:
    """A nested container: its tensors, and how to make it again of others. Numbers become tensors, None stays None."""

    def __init__(self, op: str, name: str, value: Any) -> None:
        leaves, self._rebuild = flatten(value)
        self._holes = [leaf is None for leaf in leaves]
        self.tensors = [_tensor(op, name, leaf) for leaf in leaves if leaf is not None]

    def build(self, tensors: Sequence[Any]) -> Any:
        """The container with others in the places of its tensors."""
        rest = iter(tensors)
        return self._rebuild(iter([None if hole else next(rest) for hole in self._holes]))

    def structure(self) -> Any:
        """The container with each tensor's number in its place."""
        return self.build(range(len(self.tensors)))


def _tensor(op: str, name: str, leaf: Any) -> Tensor:
    if isinstance(leaf, Tensor):
        return leaf
    if (kind := scalar_kind(leaf)) is not None:
        return full((), leaf, dtype=default_dtype(kind))
    if not hasattr(leaf, "__array__"):
        raise errors.complaint(errors.DTypeError, op, f"{name} must be made of tensors, not {type(leaf).__name__}",
                               {name: leaf}, "let the functions close over what is no tensor")
    return asarray(leaf)


def _check_same(op: str, what: str, before: Tree, after: Tree, fix: str) -> None:
    """Raises `DTypeError` or `ShapeError` where the tensors of two containers differ in structure or type."""
    if before.structure() != after.structure():
        raise errors.complaint(errors.ArgumentError, op, f"{what} changes its structure", {
            "before": before.structure(), "after": after.structure()}, "return what was given: equal containers")
    for number, (x, y) in enumerate(zip(before.tensors, after.tensors, strict=True)):
        if x.shape != y.shape or x.dtype != y.dtype or x.device != y.device:
            which = f"{what}[{number}]" if len(before.tensors) > 1 else what
            kind = errors.ShapeError if x.shape != y.shape else errors.DTypeError
            cast = f"cast it to keep its type: y.to(tl.{x.dtype.name})" if x.shape == y.shape else fix
            raise errors.complaint(kind, op, f"{which} changes its type from {x.type} to {y.type}",
                                   {"before": x, "after": y}, cast)


_CARRY_FIX = "start from a carry of the type that the body returns, or return what grows beside it"
_BRANCH_FIX = "make both branches return tensors of the same types"


def _truth(op: str, name: str, value: Any) -> Tensor | bool:
    """A condition: a Python bool, or a tensor of one."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Tensor) and value.shape == () and value.dtype == bool:
        return value
    shown = value.type if isinstance(value, Tensor) else type(value).__name__
    raise errors.complaint(errors.DTypeError, op, f"{name} must be one bool, not {shown}", {name: value},
                           "compare it, as in x < 3, and reduce that with .all() or .any()")


# --- cond ---------------------------------------------------------------------------------------------------------


@public(method=False)
def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any) -> Any:
    """``true_fn(*operands)`` if ``pred`` else ``false_fn(*operands)``, as `jax.lax.cond`: one equation when traced.

    Both functions return containers of tensors of the same structure and types. Raises `DTypeError` where ``pred`` is
    not one bool, and `ArgumentError`, `ShapeError` or `DTypeError` where the traced branches return different things.

    >>> import tensorlite as tl
    >>> x = tl.tensor([-3.0, 1.0])
    >>> tl.cond((x > 0).all(), lambda x: x, lambda x: -x, x)
    tensor([ 3., -1.])
    """
    chosen = _truth("cond", "pred", pred)
    close = state.control
    if close is None and isinstance(chosen, Tensor) and is_traced(chosen):
        return _each_branch(chosen, true_fn, false_fn, operands)
    if close is None or isinstance(chosen, bool):
        return (true_fn if chosen is True or chosen is not False and bool(chosen.array) else false_fn)(*operands)
    given = Tree("cond", "operands", operands)
    results: list[Tree] = []

    def branch(function: Callable[..., Any]) -> Callable[..., list[Tensor]]:
        def traced(*tensors: Tensor) -> list[Tensor]:
            results.append(Tree("cond", "a branch's result", function(*given.build(tensors))))
            return results[-1].tensors
        return traced

    closed = close("cond", [branch(true_fn), branch(false_fn)], [x.type for x in given.tensors])
    _check_same("cond", "the branches' result", results[-2], results[-1], _BRANCH_FIX)
    true, false = closed.graphs
    if not true.outputs:
        return results[-1].build([])
    found = _cond(chosen, *closed.states, *given.tensors, *closed.consts, true=true, false=false)
    closed.rebind(found[:len(closed.states)])
    return results[-1].build(closed.released(found[len(closed.states):]))


def _each_branch(pred: Tensor, true_fn: Callable[..., Any], false_fn: Callable[..., Any],
                 operands: Sequence[Any]) -> Any:
    """Both branches, of which each element that `vmap` maps over takes its own."""
    true, false = (Tree("cond", "a branch's result", function(*operands)) for function in (true_fn, false_fn))
    _check_same("cond", "the branches' result", true, false, _BRANCH_FIX)
    return true.build([where(pred, a, b) for a, b in zip(true.tensors, false.tensors, strict=True)])


# --- while_loop ---------------------------------------------------------------------------------------------------


@public(method=False)
def while_loop(cond_fn: Callable[[Any], Any], body_fn: Callable[[Any], Any], init: Any) -> Any:
    """Replaces a carry by ``body_fn(carry)`` while ``cond_fn(carry)``, as `jax.lax.while_loop`.

    The carry is a container of tensors that keeps its structure and types, or `ArgumentError`, `ShapeError` or
    `DTypeError` says what changed. Eager it has derivatives as any loop; traced it has none (`GradientError`), since
    how often it runs is only known then: `scan` has.

    >>> import tensorlite as tl
    >>> tl.while_loop(lambda x: x < 100, lambda x: x * 3, tl.tensor(2))
    tensor(162)
    """
    first = Tree("while_loop", "init", init)

    def body(*tensors: Tensor) -> list[Tensor]:
        after = Tree("while_loop", "the carry", body_fn(first.build(tensors)))
        _check_same("while_loop", "the carry", first, after, _CARRY_FIX)
        return after.tensors

    def test(*tensors: Tensor) -> Tensor | bool:
        return _truth("while_loop", "what cond_fn returns", cond_fn(first.build(tensors)))

    carry: Sequence[Tensor] = first.tensors
    close = state.control
    if close is None:
        while (go := test(*carry)) is True or go is not False and not is_traced(go) and bool(go.array):
            carry = body(*carry)
        return first.build(_until_all_are_done(go, test, body, carry) if go is not False and is_traced(go) else carry)
    closed = close("while_loop", [body, lambda *tensors: [_tensor("while_loop", "cond", test(*tensors))]],
                   [x.type for x in carry], carries=len(carry), pure=(1,))
    graph, cond_graph = closed.graphs
    if not graph.outputs:
        return first.build([])
    found = _while_loop(*carry, *closed.states, *closed.consts, cond=cond_graph, body=graph,
                        carries=len(carry) + len(closed.states))
    closed.rebind(found[len(carry):])
    return first.build(closed.released(found[:len(carry)]))


def _until_all_are_done(go: Tensor, test: Callable[..., Any], body: Callable[..., Any],
                        carry: Sequence[Tensor]) -> Sequence[Tensor]:
    """The carries of the elements that `vmap` maps over, each until its own condition fails."""
    while any_of_batch(go):
        carry = [where(go, new, old) for new, old in zip(body(*carry), carry, strict=True)]
        go = logical_and(go, test(*carry))
    return carry


# --- scan and map -------------------------------------------------------------------------------------------------


@public(method=False)
def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: int | None = None,
         reverse: bool = False) -> tuple[Any, Any]:
    """Carries a value through a function over the leading axis of ``xs``, as `jax.lax.scan`.

    ``carry, y = f(carry, x)`` for each ``x`` of ``xs`` in turn (from the last one where ``reverse``); returns the last
    carry and the stacked ``y`` in the order of ``xs``. Carry, ``xs`` and ``y`` are containers of tensors; ``xs`` may
    be None if ``length`` is given. The carry keeps its structure and types, or `ArgumentError`, `ShapeError` or
    `DTypeError` says what changed.

    >>> import tensorlite as tl
    >>> tl.scan(lambda total, x: (total + x, total * x), tl.tensor(0.0), tl.tensor([1.0, 2.0, 3.0]))
    (tensor(6.), tensor([0., 2., 9.]))
    """
    return _scan_over("scan", f, init, xs, length, reverse)


@public(method=False)
def map_(f: Callable[[Any], Any], xs: Any) -> Any:
    """``f`` of each slice along the leading axis of ``xs``, stacked, as `jax.lax.map`: one loop when traced.

    >>> import tensorlite as tl
    >>> tl.map(lambda x: x.sum() * x, tl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[ 3.,  6.],
            [21., 28.]])
    """
    return _scan_over("map", lambda _, x: (None, f(x)), None, xs, None, False)[1]


def _scan_over(op: str, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int | None,
               reverse: bool) -> tuple[Any, Any]:
    first, rows = Tree(op, "init", init), Tree(op, "xs", xs)
    steps = _steps(op, rows.tensors, length)
    body = _Body(op, f, first, rows)
    carry, ys = _loop(body, steps, reverse) if state.control is None else _traced(state.control, body, steps, reverse)
    return first.build(carry), body.ys.build(ys)


def _steps(op: str, rows: Sequence[Tensor], length: int | None) -> int:
    """How many steps a scan takes; raises where there is not one answer."""
    named = {f"xs[{i}]" if len(rows) > 1 else "xs": x for i, x in enumerate(rows)}
    for name, x in named.items():
        if x.ndim == 0:
            raise errors.complaint(errors.ShapeError, op, f"{name} has no axis to go along", {name: x},
                                   "let f close over what is the same at every step")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 0):
        raise errors.complaint(errors.ArgumentError, op, "length must be a number of steps", {"length": length})
    lengths = {x.shape[0] for x in rows} | ({length} if length is not None else set())
    if len(lengths) > 1:
        told = {**named, "length": length} if length is not None else named
        shown = dict(list(told.items())[:4])
        raise errors.complaint(errors.ShapeError, op, f"lengths differ: {' and '.join(map(str, sorted(lengths)))}",
                               shown, "all leading extents must be equal, and length too where it is given")
    if not lengths:
        raise errors.complaint(errors.ArgumentError, op, "without xs nothing says how many steps to take", None,
                               "pass length=...")
    return lengths.pop()


@dataclasses.dataclass
class _Body:
    """A scan's function on flat tensors: it checks what it returns, and remembers the container of ``y``."""

    op: str
    f: Callable[[Any, Any], tuple[Any, Any]]
    first: Tree
    rows: Tree
    ys: Tree = dataclasses.field(init=False)

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        count = len(self.first.tensors)
        result = self.f(self.first.build(tensors[:count]), self.rows.build(tensors[count:]))
        if not isinstance(result, tuple) or len(result) != 2:
            raise errors.complaint(errors.ArgumentError, self.op,
                                   f"f must return a pair (carry, y), not {type(result).__name__}", None,
                                   "return carry, None where there is no y")
        carry, y = result
        after, before = Tree(self.op, "the carry", carry), getattr(self, "ys", None)
        _check_same(self.op, "the carry", self.first, after, _CARRY_FIX)
        self.ys = Tree(self.op, "y", y)
        if before is not None:
            _check_same(self.op, "y", before, self.ys, "return the same from every step")
        return after.tensors + self.ys.tensors


def _loop(body: _Body, steps: int, reverse: bool) -> tuple[list[Tensor], list[Tensor]]:
    """The eager scan: a loop over ordinary ops."""
    carry, count = body.first.tensors, len(body.first.tensors)
    if steps == 0:
        return carry, [_nothing(y) for y in body(*carry, *map(_row_of_zeros, body.rows.tensors))[count:]]
    columns = [_unbind(x) for x in body.rows.tensors]
    made: list[list[Tensor]] = [[] for _ in range(steps)]
    for i in reversed(range(steps)) if reverse else range(steps):
        found = body(*carry, *(column[i] for column in columns))
        carry, made[i] = found[:count], found[count:]
    return carry, [stack(parts) for parts in zip(*made, strict=True)]


def _row_of_zeros(x: Tensor) -> Tensor:
    return zeros(x.shape[1:], dtype=x.dtype, device=x.device)


def _nothing(y: Tensor) -> Tensor:
    """No rows of such tensors."""
    return zeros((0, *y.shape), dtype=y.dtype, device=y.device)


def _unbind_type(x: TensorType) -> tuple[TensorType, ...]:
    return (TensorType(x.dtype, x.shape[1:], x.device),) * x.shape[0]


def _unbind_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    rows = batch.apply(move_axis(inputs[0], batch.axes[0], 1))
    return rows, (0,) * len(rows)


@primitive("index", type=_unbind_type, vjp={"x": lambda g: stack(g)}, batch=_unbind_batch,
           samples=[Sample((3, 2)), Sample((1, 0)), Sample((2,))])
def _unbind(xp: Any, x: Any) -> Any:
    """The rows of an array, whose derivative is one stack of theirs."""
    return tuple(x[i, ...] for i in range(len(x)))


def _traced(close: Callable[..., Any], body: _Body, steps: int,
            reverse: bool) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """The scan as one equation."""
    first, rows = body.first.tensors, body.rows.tensors
    types = [*(x.type for x in first), *(TensorType(x.dtype, x.shape[1:], x.device) for x in rows)]
    closed = close(body.op, [body], types, carries=len(first))
    (graph,) = closed.graphs
    if not graph.outputs:
        return [], []
    operands = [*first, *closed.states, *rows, *closed.consts]
    carries = len(first) + len(closed.states)
    kept = state.recording and carries > 0 and any(x.node is not None for x in operands)
    if kept:
        graph = dataclasses.replace(graph, outputs=graph.outputs + graph.inputs[:carries])
    found = _scan(*operands, body=graph, carries=carries, slices=len(rows), length=steps, reverse=bool(reverse),
                  kept=kept)
    closed.rebind(found[len(first):carries])
    results = closed.released([*found[:len(first)], *found[carries:len(found) - kept * carries]])
    return results[:len(first)], results[len(first):]
