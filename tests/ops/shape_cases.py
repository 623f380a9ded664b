"""Calls of reductions, indexing and shape functions with drawn options, each as ours and as PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from nn.against_torch import torch

import tensorlite as tl


@dataclass(frozen=True)
class Call:
    """One function of floating arrays in both libraries, and the arrays."""

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]


class Draw:
    """What a case draws: shapes, axes, numbers and places."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.random = np.random.default_rng(self.of(st.integers(0, 2**16)))

    def of(self, strategy: st.SearchStrategy[Any]) -> Any:
        """An example of a strategy."""
        return self.data.draw(strategy)

    def integer(self, low: int, high: int) -> int:
        """An integer of [low, high]."""
        return self.of(st.integers(low, high))

    def one_of(self, *choices: Any) -> Any:
        """One of several."""
        return self.of(st.sampled_from(choices))

    def shape(self, least: int = 1, most: int = 3, low: int = 1, high: int = 4) -> tuple[int, ...]:
        """A shape of some axes."""
        return tuple(self.of(st.lists(st.integers(low, high), min_size=least, max_size=most)))

    def numbers(self, *shape: int) -> np.ndarray:
        """Different numbers, some negative, none near another or 0."""
        size = int(np.prod(shape))
        row = self.random.permutation(size) - size // 2 + 0.3 + self.random.uniform(0, 0.2, size)
        return (row / 2).reshape(shape)

    def axis(self, shape: tuple[int, ...]) -> int:
        """An axis of a shape, also counted from the end."""
        return self.integer(-len(shape), len(shape) - 1)

    def axes(self, shape: tuple[int, ...]) -> Any:
        """None, an axis or several."""
        several = tuple(a for a in range(len(shape)) if self.of(st.booleans()))
        return self.one_of(None, self.axis(shape), several or 0)

    def places(self, high: int, *shape: int) -> np.ndarray:
        """Integers of [0, high)."""
        return np.asarray(self.random.integers(0, high, shape))

    def mask(self, *shape: int) -> np.ndarray:
        """Bools."""
        return np.asarray(self.random.random(shape) < 0.5)

    def flag(self) -> bool:
        """True or false."""
        return self.of(st.booleans())


def both(name: str, *arrays: np.ndarray, **options: Any) -> Call:
    """The same name called in both libraries with the same options."""
    return given(name, arrays, (), options)


def given(name: str, arrays: tuple[np.ndarray, ...], others: tuple[Any, ...], options: dict[str, Any],
          pick: Callable[[Any], Any] = lambda y: y) -> Call:
    """Likewise with other arguments behind the arrays: numbers, or arrays of integers and bools."""
    def call(library: Any, function: Any) -> Callable[..., Any]:
        fixed = tuple(library.tensor(o) if isinstance(o, np.ndarray) else o for o in others)
        return lambda *tensors: pick(function(*tensors, *fixed, **options))
    return Call(call(tl, getattr(tl, name)), call(torch, getattr(torch, name)), arrays)


def values(y: Any) -> Any:
    """The first of what a function gives."""
    return y[0]


CASES: dict[str, Callable[[Draw], Call]] = {}


def case(function: Callable[[Draw], Call]) -> Callable[[Draw], Call]:
    """Puts a case into the table by its name."""
    CASES[function.__name__] = function
    return function


def _along_axis(name: str, pick: Callable[[Any], Any] = lambda y: y, **keep: Any) -> None:
    def build(draw: Draw) -> Call:
        shape = draw.shape()
        options = {"dim": draw.axis(shape), **{k: draw.flag() for k in keep}}
        return given(name, (draw.numbers(*shape),), (), options, pick)
    CASES[name] = build


for _name in ("cummax", "cummin"):
    _along_axis(_name, values)
for _name in ("logcumsumexp", "cumsum", "cumprod"):
    _along_axis(_name)
for _name in ("median", "nanmedian", "mode"):
    _along_axis(_name, values, keepdim=True)
_along_axis("aminmax", lambda y: y.min + 2 * y.max, keepdim=True)
_along_axis("sum", keepdim=True)
_along_axis("prod", keepdim=True)
_along_axis("unbind", lambda y: y[0] + 2 * y[-1])


@case
def median_of_all(draw):
    return both(draw.one_of("median", "nanmedian"), draw.numbers(*draw.shape(0)))


@case
def kthvalue(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    return given("kthvalue", (draw.numbers(*shape),), (draw.integer(1, shape[axis]),),
                 {"dim": axis, "keepdim": draw.flag()}, values)


@case
def topk(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    return given("topk", (draw.numbers(*shape),), (draw.integer(1, shape[axis]), axis, draw.flag()), {}, values)


@case
def amax_and_amin(draw):
    shape = draw.shape(0)
    options = {"keepdim": draw.flag()}
    if draw.flag() and shape:
        options["dim"] = draw.axes(shape) or 0
    return both(draw.one_of("amax", "amin"), np.round(draw.numbers(*shape) / 4), **options)


@case
def several_reductions(draw):
    shape = draw.shape()
    name = draw.one_of("logsumexp", "nansum", "nanmean", "mean")
    axes = draw.axes(shape)
    if name == "logsumexp" and axes is None:
        axes = 0
    return both(name, draw.numbers(*shape), dim=axes, keepdim=draw.flag())


@case
def std_and_mean(draw):
    shape = draw.shape(low=3)
    return given(draw.one_of("std_mean", "var_mean"), (draw.numbers(*shape),), (),
                 {"dim": draw.axes(shape), "keepdim": draw.flag(), "correction": draw.one_of(0, 1, 2)},
                 lambda y: y[0] + 3 * y[1])


@case
def quantile(draw):
    shape = draw.shape()
    q = draw.one_of(0.0, 0.3, 0.5, 1.0, np.array([0.25, 0.9]), np.array([0.6]))
    return given(draw.one_of("quantile", "nanquantile"), (draw.numbers(*shape),), (q,),
                 {"dim": draw.one_of(None, draw.axis(shape)), "keepdim": draw.flag(),
                  "interpolation": draw.one_of("linear", "lower", "higher", "midpoint", "nearest")})


@case
def norm(draw):
    shape = draw.shape()
    p = draw.one_of(0.5, 1, 1.5, 2, 3, float("inf"), -float("inf"), -1, "fro")
    return both("norm", draw.numbers(*shape), p=p, dim=draw.axes(shape), keepdim=draw.flag())


@case
def dist(draw):
    shape = draw.shape()
    return both("dist", draw.numbers(*shape), 2 * draw.numbers(*shape) + 0.1, p=draw.one_of(1, 2, 3))


@case
def renorm(draw):
    shape = draw.shape(2)
    return both("renorm", draw.numbers(*shape), p=draw.one_of(1, 2, 3), dim=draw.axis(shape), maxnorm=1.5)


@case
def cov(draw):
    count = draw.integer(3, 5)
    options: dict[str, Any] = {"correction": draw.one_of(0, 1)}
    both_weights = draw.flag(), draw.flag()
    fweights, aweights = 1 + draw.places(3, count), 0.5 + np.abs(draw.numbers(count))

    def call(library):
        own = dict(options)
        if both_weights[0]:
            own["fweights"] = library.tensor(fweights)
        if both_weights[1]:
            own["aweights"] = library.tensor(aweights)
        return lambda x: library.cov(x, **own)
    return Call(call(tl), call(torch), (draw.numbers(*draw.one_of((), (1,), (3,)), count),))


@case
def corrcoef(draw):
    return both("corrcoef", draw.numbers(3, draw.integer(4, 6)))


@case
def trapezoid(draw):
    shape = draw.shape(low=2)
    axis = draw.axis(shape)
    name = draw.one_of("trapezoid", "cumulative_trapezoid")
    how = draw.one_of("dx", "one axis", "all")
    if how == "dx":
        return both(name, draw.numbers(*shape), dx=0.5, dim=axis)
    return both(name, draw.numbers(*shape), draw.numbers(*(shape if how == "all" else (shape[axis],))), dim=axis)


# --- indexing -----------------------------------------------------------------------------------------------------


@case
def masked_fill(draw):
    shape = draw.shape()
    mask = draw.mask(*(shape if draw.flag() else shape[1:]))
    return given("masked_fill", (draw.numbers(*shape),), (mask, 2.5), {})


@case
def masked_fill_of_a_tensor(draw):
    mask = draw.mask(*draw.shape())
    return Call(lambda x, v: tl.masked_fill(x, tl.tensor(mask), v),
                lambda x, v: torch.masked_fill(x, torch.tensor(mask), v), (draw.numbers(*mask.shape), draw.numbers()))


@case
def masked_scatter(draw):
    mask = draw.mask(*draw.shape())
    return Call(lambda x, s: tl.masked_scatter(x, tl.tensor(mask), s),
                lambda x, s: torch.masked_scatter(x, torch.tensor(mask), s),
                (draw.numbers(*mask.shape), draw.numbers(mask.size + 1)))


def _places_within(draw: Draw, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """An index of `gather` and `scatter`: smaller along other axes, of any extent along its own."""
    extents = [draw.integer(1, n) for n in shape]
    extents[axis] = draw.integer(1, 5)
    return draw.places(shape[axis], *extents)


@case
def gather(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    return given("gather", (draw.numbers(*shape),), (axis, _places_within(draw, shape, axis)), {})


@case
def scatter_reduce(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    index = _places_within(draw, shape, axis)
    source = draw.numbers(*index.shape)
    options = {"reduce": draw.one_of("sum", "prod", "mean", "amax", "amin"), "include_self": draw.flag()}
    return Call(lambda x, s: tl.scatter_reduce(x, axis, tl.tensor(index), s, **options),
                lambda x, s: torch.scatter_reduce(x, axis, torch.tensor(index), s, **options),
                (draw.numbers(*shape), source))


@case
def index_add(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    index = draw.places(shape[axis], draw.integer(1, 5))
    source = draw.numbers(*shape[:axis], index.size, *shape[axis:][1:])
    alpha = draw.one_of(1, 2.5)
    return Call(lambda x, s: tl.index_add(x, axis, tl.tensor(index), s, alpha=alpha),
                lambda x, s: torch.index_add(x, axis, torch.tensor(index), s, alpha=alpha),
                (draw.numbers(*shape), source))


@case
def index_copy(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    index = draw.random.permutation(shape[axis])[:draw.integer(1, shape[axis])]
    source = draw.numbers(*shape[:axis], index.size, *shape[axis:][1:])
    return Call(lambda x, s: tl.index_copy(x, axis, tl.tensor(index), s),
                lambda x, s: torch.index_copy(x, axis, torch.tensor(index), s), (draw.numbers(*shape), source))


@case
def index_fill(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    index = draw.places(shape[axis], draw.integer(0, 4))
    return given("index_fill", (draw.numbers(*shape),), (axis, index, 1.5), {})


@case
def index_put(draw):
    shape = draw.shape(2)
    accumulate = draw.flag()
    count = draw.integer(1, 4)
    rows, columns = draw.places(shape[0], count), draw.places(shape[1], count)
    if not accumulate:  # PyTorch leaves open which of several stays
        rows, columns = rows[:1], columns[:1]
    return Call(lambda x, v: tl.index_put(x, (tl.tensor(rows), tl.tensor(columns)), v, accumulate),
                lambda x, v: torch.index_put(x, (torch.tensor(rows), torch.tensor(columns)), v, accumulate),
                (draw.numbers(*shape), draw.numbers(*draw.one_of((), (rows.size, *shape[2:])))))


@case
def index_select(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    return given("index_select", (draw.numbers(*shape),), (axis, draw.places(shape[axis], draw.integer(0, 4))), {})


@case
def take_along_dim(draw):
    shape = draw.shape()
    axis = draw.one_of(None, draw.axis(shape))
    index = draw.places(int(np.prod(shape)), 5) if axis is None else draw.places(
        shape[axis], *shape[:axis % len(shape)], 3, *shape[axis % len(shape) + 1:])
    return given("take_along_dim", (draw.numbers(*shape),), (index, axis), {})


@case
def select(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    return given("select", (draw.numbers(*shape),), (axis, draw.integer(-shape[axis], shape[axis] - 1)), {})


@case
def narrow(draw):
    shape = draw.shape()
    axis = draw.axis(shape)
    start = draw.integer(0, shape[axis] - 1)
    length = draw.integer(0, shape[axis] - start)
    return given("narrow", (draw.numbers(*shape),), (axis, start, length), {})


@case
def unfold(draw):
    shape = draw.shape(0)
    axis = draw.axis(shape or (1,))
    size, step = draw.integer(1, shape[axis] if shape else 1), draw.integer(1, 3)
    return Call(lambda x: x.unfold(axis, size, step), lambda x: x.unfold(axis, size, step), (draw.numbers(*shape),))


@case
def scattered_slices(draw):
    shape = draw.shape(2, low=2)
    axis = draw.axis(shape) % len(shape)
    if draw.flag():
        index = draw.integer(-shape[axis], shape[axis] - 1)
        return both("select_scatter", draw.numbers(*shape), draw.numbers(*shape[:axis], *shape[axis + 1:]), dim=axis,
                    index=index)
    n = len(range(*slice(1, None, 2).indices(shape[axis])))
    return both("slice_scatter", draw.numbers(*shape), draw.numbers(*shape[:axis], n, *shape[axis + 1:]), dim=axis,
                start=1, step=2)


# --- shape --------------------------------------------------------------------------------------------------------


@case
def diagonal(draw):
    shape = draw.shape(2)
    first, second = draw.random.permutation(len(shape))[:2].tolist()
    return both("diagonal", draw.numbers(*shape), offset=draw.integer(-3, 3), dim1=first - draw.one_of(0, len(shape)),
                dim2=second)


@case
def diagonal_scatter(draw):
    shape = draw.shape(2)
    first, second = draw.random.permutation(len(shape))[:2].tolist()
    options = {"offset": draw.integer(-min(shape) + 1, min(shape) - 1), "dim1": first, "dim2": second}
    x = draw.numbers(*shape)
    return both("diagonal_scatter", x, draw.numbers(*x.diagonal(*options.values()).shape), **options)


@case
def diag_embed(draw):
    shape = draw.shape()
    first, second = draw.random.permutation(len(shape) + 1)[:2].tolist()
    return both("diag_embed", draw.numbers(*shape), offset=draw.integer(-2, 2), dim1=first, dim2=second)


@case
def diag(draw):
    return given("diag", (draw.numbers(*draw.shape(1, 2)),), (draw.integer(-3, 3),), {})


@case
def diagflat(draw):
    return given("diagflat", (draw.numbers(*draw.shape(0)),), (draw.integer(-2, 2),), {})


@case
def rot90(draw):
    shape = draw.shape(2)
    dims = draw.random.permutation(len(shape))[:2].tolist()
    return both("rot90", draw.numbers(*shape), k=draw.integer(-5, 5), dims=dims)


@case
def flips_and_rolls(draw):
    shape = draw.shape(2)
    axis = draw.axis(shape)
    return draw.one_of(both("fliplr", draw.numbers(*shape)), both("flipud", draw.numbers(*shape)),
                       given("flip", (draw.numbers(*shape),), ((axis,),), {}),
                       given("roll", (draw.numbers(*shape),), (draw.integer(-3, 3), axis), {}))


@case
def triangles(draw):
    shape = draw.shape(2)
    return given(draw.one_of("tril", "triu"), (draw.numbers(*shape),), (draw.integer(-3, 3),), {})


@case
def repeat_interleave(draw):
    shape = draw.shape()
    axis = draw.one_of(None, draw.axis(shape))
    extent = int(np.prod(shape)) if axis is None else shape[axis]
    several = draw.places(3, extent)
    options = draw.one_of(((3, axis), {}), ((several, axis), {}), ((), {"repeats": 3, "dim": axis}))
    return given("repeat_interleave", (draw.numbers(*shape),), *options)


@case
def flatten_and_unflatten(draw):
    shape = draw.shape(2)
    first = draw.integer(0, len(shape) - 1)
    flat = given("flatten", (draw.numbers(*shape),), (first, draw.integer(first, len(shape) - 1) - len(shape)), {})
    wide = (*shape[:first], 6, *shape[first:])
    parted = given("unflatten", (draw.numbers(*wide),), (first, draw.one_of((2, 3), (-1, 2), (6,), (1, 2, -1))), {})
    return draw.one_of(flat, parted, both("ravel", draw.numbers(*shape)))


def _sum_of_parts(parts: Any) -> Any:
    return sum((i + 1) * part.sum() for i, part in enumerate(parts))


@case
def splits(draw):
    shape = draw.shape(3, low=2)
    axis = draw.axis(shape)
    cuts = draw.one_of(1, 2, 3, (1, 2), (0, 5, 1), (-1,))
    lengths = draw.integer(1, shape[axis])
    name, others = draw.one_of(("tensor_split", (cuts, axis)), ("hsplit", ((1,),)), ("vsplit", ((1,),)),
                               ("dsplit", (1,)), ("chunk", (draw.integer(1, 4), axis)), ("split", (lengths, axis)),
                               ("split", ([lengths, shape[axis] - lengths], axis)))
    return given(name, (draw.numbers(*shape),), others, {}, _sum_of_parts)


@case
def stacks(draw):
    name = draw.one_of("hstack", "vstack", "dstack", "column_stack", "atleast_1d", "atleast_2d", "atleast_3d",
                       "block_diag")
    shape = draw.shape(0, 2 if name == "block_diag" else 3)
    arrays = draw.numbers(*shape), draw.numbers(*shape) + 1

    def call(library):
        function = getattr(library, name)
        if name.startswith("atleast"):
            return lambda x, y: function(x, y)[0] * function(y)
        return (lambda x, y: function(x, y)) if name == "block_diag" else (lambda x, y: function([x, y]))
    return Call(call(tl), call(torch), arrays)


@case
def expansions(draw):
    n, m = draw.integer(1, 4), draw.integer(1, 4)
    x = draw.numbers(n, 1)
    return draw.one_of(Call(lambda x: x.expand(2, -1, m), lambda x: x.expand(2, -1, m), (x,)),
                       Call(lambda x, y: x.expand_as(y) * y, lambda x, y: x.expand_as(y) * y, (x, draw.numbers(n, m))),
                       given("broadcast_tensors", (x, draw.numbers(m)), (), {}, lambda y: y[0] * y[1]),
                       given("swapdims", (x,), (0, -1), {}))


@case
def products_of_sets(draw):
    x, y = draw.numbers(draw.integer(2, 4)), draw.numbers(draw.integer(1, 3))
    return draw.one_of(both("cartesian_prod", x, y), both("cartesian_prod", x),
                       both("combinations", x, r=draw.integer(1, 3), with_replacement=draw.flag()))


@case
def meshgrid(draw):
    x, y = draw.numbers(draw.integer(1, 4)), draw.numbers(draw.integer(1, 3))
    return given("meshgrid", (x, y), (), {"indexing": draw.one_of("ij", "xy")}, lambda grids: grids[0] * grids[1])
