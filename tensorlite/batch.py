"""How ops map over a batch: the rules that follow from kinds and attributes, and what rules are written with.

A rule is a function ``rule(batch, inputs, attributes)``: it is given the inputs with their batch axes (`Batch.axes`
says which, None for what is the same for every element) and the attributes of the op for one element. It applies ops
to whole batches, and returns the output and its batch axis, or tuples of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tensorlite import errors
from tensorlite.declare import PUBLIC
from tensorlite.dispatch import apply
from tensorlite.op import OPS, Elementwise, Op
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

Attributes = Mapping[str, Any]


class Batch(NamedTuple):
    """One application of an op to a batch: its size, and the batch axis of each input, None where it has none."""

    op: Op
    size: int
    axes: tuple[int | None, ...]

    def apply(self, *inputs: Any, **attributes: Any) -> Any:
        """The op itself."""
        return apply(self.op, *inputs, **attributes)

    def in_front(self, inputs: Sequence[Any]) -> list[Any]:
        """The inputs with their batch axes first; those that have none as they are."""
        return [move_axis(x, axis, 0) for x, axis in zip(inputs, self.axes, strict=True)]

    def all_in_front(self, inputs: Sequence[Any]) -> list[Any]:
        """The inputs with a batch axis first, all of them."""
        return [repeat(x, self.size) if axis is None else move_axis(x, axis, 0)
                for x, axis in zip(inputs, self.axes, strict=True)]


Rule = Callable[[Batch, Sequence[Any], Attributes], tuple[Any, Any]]


def rule_for(batch: Batch) -> Rule:
    """The rule of an op: its own, or what follows from its kind and attributes, or else a loop over the batch.

    A loop is right for an empty batch too, of which rules need not think.
    """
    op = batch.op
    if batch.size == 0 and not is_drawn(op):
        return looped
    if op.batch is not None:
        return op.batch
    if isinstance(op, Elementwise):
        return aligned
    if op.kind == "create":
        return unchanged
    if op.attributes and op.attributes[0] in ("axis", "axes"):
        if len(op.inputs) == 1 and not op.variadic:
            return along
        if op.kind == "reduce":
            return leading
    return looped


def is_drawn(op: Op) -> bool:
    """Whether an op makes something for each element of the batch though no input differs between them."""
    return getattr(op.batch, "draws", False)


# --- moving axes --------------------------------------------------------------------------------------------------


def move_axis(x: Tensor, source: int | None, target: int) -> Tensor:
    """The tensor with one axis in another place; as it is where there is none."""
    if source is None or source == target:
        return x
    order = list(range(x.ndim))
    order.insert(target, order.pop(source))
    return apply(OPS["permute_dims"], x, axes=tuple(order))


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor in another shape."""
    return x if x.shape == tuple(shape) else apply(OPS["reshape"], x, shape=tuple(shape))


def repeat(x: Tensor, size: int) -> Tensor:
    """The tensor with a batch axis first, along which it is the same."""
    return apply(OPS["broadcast_to"], x, shape=(size, *x.shape))


def padded(x: Tensor, ndim: int) -> Tensor:
    """A batch of tensors, its axis first, with axes of extent 1 after that until each has ``ndim`` axes."""
    return reshape(x, (x.shape[0], *(1,) * (ndim + 1 - x.ndim), *x.shape[1:]))


def merged(x: Tensor, axis: int = 0) -> Tensor:
    """The tensor with an axis and the next one as one."""
    return reshape(x, (*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2:]))


def parted(x: Tensor, axis: int, *extents: int) -> Tensor:
    """The tensor with an axis as several."""
    return reshape(x, (*x.shape[:axis], *extents, *x.shape[axis + 1:]))


# --- rules that follow --------------------------------------------------------------------------------------------


def aligned(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Inputs that broadcast: batch axes stay where they are if all have the same, else they go in front."""
    mapped = [(x.ndim, axis) for x, axis in zip(inputs, batch.axes, strict=True) if axis is not None]
    others = [x.ndim for x, axis in zip(inputs, batch.axes, strict=True) if axis is None and isinstance(x, Tensor)]
    ndim, place = mapped[0]
    if all(m == mapped[0] for m in mapped) and all(n < ndim - place for n in others):
        return batch.apply(*inputs, **attributes), place
    ndim = max(*(n - 1 for n, _ in mapped), *others, 0)
    ready = [x if axis is None else padded(move_axis(x, axis, 0), ndim)
             for x, axis in zip(inputs, batch.axes, strict=True)]
    return batch.apply(*ready, **attributes), 0


def along(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """One input with an attribute ``axis`` or ``axes``, which moves on where the batch axis comes before it."""
    (x,), (place,) = inputs, batch.axes
    assert place is not None
    name = batch.op.attributes[0]
    axes = attributes[name]
    if axes is None:
        flat = reshape(move_axis(x, place, 0), (batch.size, x.size // batch.size))
        found = batch.apply(flat, **{**attributes, "axis": 1})
        return reshape(found, (batch.size, *(1,) * (x.ndim - 1))) if attributes.get("keepdims") else found, 0
    places = axes if isinstance(axes, tuple) else (axes,)
    moved = tuple(a + (a >= place) for a in places)
    found = batch.apply(x, **{**attributes, name: moved if isinstance(axes, tuple) else moved[0]})
    lost = 0 if attributes.get("keepdims", True) else sum(a < place for a in moved)
    return found, (place - lost if isinstance(found, Tensor) else (place,) * len(found))


def leading(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Inputs that all get a batch axis in front, and attributes that name axes, shapes and indices one further on."""
    found = batch.apply(*batch.all_in_front(inputs), **shifted(batch.size, attributes))
    return found, (0 if isinstance(found, Tensor) else (0,) * len(found))


def shifted(size: int, attributes: Attributes) -> dict[str, Any]:
    """Attributes for inputs that have one more axis in front."""
    changed = dict(attributes)
    for name in ("axis", "axes"):
        axes = changed.get(name)
        if axes is not None:
            changed[name] = tuple(a + 1 for a in axes) if isinstance(axes, tuple) else axes + 1
    if "shape" in changed:
        changed["shape"] = (size, *changed["shape"])
    if "spec" in changed:
        changed["spec"] = (slice(None), *changed["spec"])
    return changed


def unchanged(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """One input, whose axes the op does not look at."""
    (place,) = batch.axes
    return batch.apply(*inputs, **attributes), place


def folded(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Inputs whose first axis counts independent things, such as images: the batch makes more of them."""
    ready = batch.all_in_front(inputs)
    found = batch.apply(*map(merged, ready), **attributes)
    return reshape(found, (batch.size, ready[0].shape[1], *found.shape[1:])), 0


def looped(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """The op applied to one element after another: right for every op, and as slow as that."""
    ready = batch.in_front(inputs)
    if batch.size == 0 and batch.op.type_rule is not None:
        return _nothing(batch, ready, attributes)
    rows = [x for x, axis in zip(ready, batch.axes, strict=True) if axis is not None]

    def one(parts: Sequence[Tensor]) -> Any:
        rest = iter(parts)
        return batch.apply(*(x if axis is None else next(rest) for x, axis in zip(ready, batch.axes, strict=True)),
                           **attributes)

    if batch.op.type_rule is not None:
        found = PUBLIC["map"](one, rows)
    else:
        found = _stacked(batch.op, [one([apply(OPS["slice"], x, spec=(i,)) for x in rows]) for i in range(batch.size)])
    return found, (0 if isinstance(found, Tensor) else (0,) * len(found))


def _nothing(batch: Batch, ready: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """The results of no elements, whose types the op's type rule says without running it on numbers made up."""
    assert batch.op.type_rule is not None
    types = [x.type if axis is None else TensorType(x.dtype, x.shape[1:], x.device)
             for x, axis in zip(ready, batch.axes, strict=True)]
    found = batch.op.type_rule(*types, **attributes)
    made = tuple(PUBLIC["zeros"]((0, *t.shape), dtype=t.dtype, device=t.device)
                 for t in (found if isinstance(found, tuple) else (found,)))
    return (made, (0,) * len(made)) if isinstance(found, tuple) else (made[0], 0)


def _stacked(op: Op, results: Sequence[Any]) -> Any:
    """The results of an op whose shape depends on what it is given, which must be the same for all."""
    if not results:
        raise errors.complaint(errors.ShapeError, op.name, "an empty batch does not say which shape the results have")
    several = isinstance(results[0], tuple)
    columns = list(zip(*(r if several else (r,) for r in results), strict=True))
    for column in columns:
        shapes = list(dict.fromkeys(y.shape for y in column))
        if len(shapes) > 1:
            shown = " and ".join(str(list(shape)) for shape in shapes[:2])
            raise errors.complaint(errors.ShapeError, op.name,
                                   f"elements of the batch give results of different shapes, {shown}", None,
                                   "compute with masks of one shape: tl.where(condition, x, other)")
    made = tuple(PUBLIC["stack"](column) for column in columns)
    return made if several else made[0]
