"""What vmap says of misuse, word for word, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from exponential import Exponential
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite.errors import (
    ArgumentError,
    AxisError,
    DTypeError,
    GradientError,
    ShapeError,
    TraceError,
)

X = np.random.default_rng(1).normal(size=(4, 3))
V = np.array([1.0, -2.0, 0.5])


def of(array) -> tl.Tensor:
    return tl.tensor(array, dtype=tl.float64)


def identity(x):
    return x


DIFFER = ("{op}: the elements differ within vmap's batch\n  x  float64[]\n  at {line}\n"
          "  fix: keep computing with the tensor, or return it and ask outside of the function")


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: tl.vmap(lambda x, y: x)(of(X), of(np.zeros((5, 2)))), ShapeError,
     "vmap: mapped axes have different extents: argument 0 has 4, argument 1 has 5\n  argument 0  float64[4, 3]\n"
     "  argument 1  float64[5, 2]\n  at {line}\n"
     "  fix: map over axes of one extent, or pass None for what is not mapped"),
    (lambda: tl.vmap(identity)(of(1.0)), AxisError,
     "vmap: argument 0 has no axis to map over\n  argument 0  float64[]\n  at {line}\n"
     "  fix: pass None for it in in_axes"),
    (lambda: tl.vmap(identity, in_axes=2)(of(X)), AxisError,
     "vmap: argument 0 has no axis 2 to map over\n  argument 0  float64[4, 3]\n  at {line}\n"
     "  fix: use -2 to 1, or None for what is not mapped"),
    (lambda: tl.vmap(lambda x, y: x)({"a": [of(X)]}, 2.0), DTypeError,
     "vmap: argument 1 is no tensor, and has no axis to map over\n  argument 1  2.0\n  at {line}\n"
     "  fix: pass None for it in in_axes"),
    (lambda: tl.vmap(identity)({"a": [of(X), of(2.0)]}), AxisError,
     "vmap: argument 0['a'][1] has no axis to map over\n  argument 0['a'][1]  float64[]\n  at {line}\n"
     "  fix: pass None for it in in_axes"),
    (lambda: tl.vmap(identity, in_axes=None)(of(X)), ArgumentError,
     "vmap: no argument is mapped: nothing says how large the batch is\n  at {line}\n"
     "  fix: give at least one argument an axis in in_axes"),
    (lambda: tl.vmap(lambda x, y: x, in_axes=(0,))(of(X), of(X)), ArgumentError,
     "vmap: in_axes has 1 entry for 2 arguments\n  in_axes  (0,)\n  at {line}\n"
     "  fix: give one for each argument by position, or one integer for all"),
    (lambda: tl.vmap(identity, in_axes=({"a": 0, "b": 1},))({"a": of(X)}), ArgumentError,
     "vmap: in_axes does not have the structure of argument 0\n  in_axes     {'a': 0, 'b': 1}\n"
     "  argument 0  ['a']\n  at {line}\n  fix: give one axis for all of it, or one for each of its parts"),
    (lambda: tl.vmap(identity, in_axes=((0, 0),))(of(X)), ArgumentError,
     "vmap: in_axes does not have the structure of argument 0\n  in_axes     (0, 0)\n  argument 0  float64[4, 3]\n"
     "  at {line}\n  fix: give one axis for all of it, or one for each of its parts"),
    (lambda: tl.vmap(identity, in_axes="first")(of(X)), DTypeError,
     "vmap: in_axes is made of integers and None, not str\n  in_axes  'first'\n  at {line}"),
    (lambda: tl.vmap(identity, out_axes=(0, 0))(of(X)), ArgumentError,
     "vmap: out_axes does not have the structure of the result\n  out_axes    (0, 0)\n  the result  float64[3]\n"
     "  at {line}\n  fix: give one axis for all of it, or one for each of its parts"),
    (lambda: tl.vmap(lambda x: "text")(of(X)), DTypeError,
     "vmap: the function must return tensors, not str\n  the result  'text'\n  at {line}"),
    (lambda: tl.vmap(lambda x: (x, x), out_axes=(0, None))(of(X)), ArgumentError,
     "vmap: the result[1] differs between the elements of the batch: its out_axes cannot be None\n"
     "  the result[1]  float64[3]\n  at {line}\n  fix: give the axis where the batch goes"),
    (lambda: tl.vmap(identity, out_axes=5)(of(X)), AxisError,
     "vmap: the batch cannot be axis 5 of the result\n  the result  float64[3]\n  at {line}\n  fix: use -2 to 1"),
    (lambda: tl.vmap(lambda x: x.sum().item())(of(X)), TraceError, DIFFER.replace("{op}", "item")),
    (lambda: tl.vmap(lambda x: float(x[0]))(of(X)), TraceError, DIFFER.replace("{op}", "float")),
    (lambda: tl.vmap(lambda x: x if x.sum() > 0 else -x)(of(X)), TraceError,
     "bool: a value that differs between the elements of vmap's batch decides in Python\n  x  bool[]\n  at {line}\n"
     "  fix: use tl.where(condition, a, b), tl.cond(condition, f, g) or tl.while_loop; or decide outside of the "
     "function"),
    (lambda: tl.vmap(lambda x: x[x > 0])(of(X)), TraceError,
     "index: a mask that differs between the elements of vmap's batch picks another number for each\n  x  bool[3]\n"
     "  at {line}\n  fix: use tl.where(mask, x, 0), which keeps the shape"),
    (lambda: tl.vmap(lambda x: [1, 2, 3][x.argmax()])(of(X)), TraceError,
     "index: an index or a size of Python must be the same for all elements of vmap's batch\n  x  int64[]\n"
     "  at {line}\n  fix: index by the tensor itself, as in x[i]"),
    (lambda: tl.vmap(lambda x: x + of([1.0, 2.0]))(of(X)), ShapeError,
     "add: shapes [3] and [2] do not broadcast\n  x1  float64[3]\n  x2  float64[2]\n  at {line}\n"
     "  fix: extents must be equal or 1, counted from the last axis"),
    (lambda: tl.vmap(lambda x: x @ of(np.ones((2, 2))))(of(X)), ShapeError,
     "matmul: x1 has 3 columns, x2 has 2 rows\n  x1  float64[1, 3]\n  x2  float64[2, 2]\n  at {line}"),
    (lambda: tl.vmap(tl.nonzero)(tl.tensor([[0, 1], [1, 1]])), ShapeError,
     "nonzero: elements of the batch give results of different shapes, [1] and [2]\n  at {line}\n"
     "  fix: compute with masks of one shape: tl.where(condition, x, other)"),
])
def test_misuse_is_told_word_for_word(call, error, text):
    with pytest.raises(error) as caught:
        call()
    told = str(caught.value)
    line = next(part for part in told.splitlines() if part.startswith("  at ")).removeprefix("  at ")
    assert line.startswith("test_vmap_misuse.py:")
    assert told == text.replace("{line}", line)


def test_outside_tensors_cannot_hold_a_value_for_each_element():
    kept = of(V)
    with pytest.raises(TraceError) as caught:
        tl.vmap(lambda x: kept.copy_(x) * 2)(of(X))
    assert str(caught.value).startswith(
        "vmap: a tensor from outside of the function would hold a value for each element\n  tensor  float64[3]\n  at ")
    assert str(caught.value).endswith("\n  fix: return the value instead, and combine the batch's values outside")
    assert_same(kept, V)


def test_views_are_not_changed_in_place():
    def function(x):
        view = x[1:]
        view += 1
        return x

    with pytest.raises(GradientError) as caught:
        tl.vmap(function)(of(X))
    assert str(caught.value).startswith(
        "+=: the tensor is a view of another one that is still in use, and would not change it\n"
        "  view  float64[2]\n  base  float64[3]\n  at ")


def test_walks_inside_do_not_reach_what_is_outside():
    w = tl.tensor(V, requires_grad=True)
    with pytest.raises(GradientError) as caught:
        tl.vmap(lambda x: (w * x).sum().backward())(of(X))
    assert str(caught.value).startswith(
        "backward: what the output depends on requires gradients outside of vmap\n  output  float64[]\n  at ")
    assert str(caught.value).endswith(
        "\n  fix: call tl.grad inside, of a function of what the gradient is by; or walk outside")
    assert w.grad is None


def test_values_tracked_outside_are_detached_before_python_has_them():
    w = tl.tensor(V, requires_grad=True)
    with pytest.raises(TraceError) as caught:
        tl.vmap(lambda x: x * float(w.sum()))(of(X))
    assert str(caught.value).startswith("float: the tensor has a derivative outside of vmap, which Python would lose\n")
    assert_close(tl.vmap(lambda x: x * float(w.sum().detach()))(of(X)), X * V.sum())


def test_kept_tensors_are_refused_outside():
    kept = []
    tl.vmap(lambda x: kept.append(x * 2) or x)(of(X))
    with pytest.raises(TraceError) as caught:
        kept[0].sum()
    assert str(caught.value).startswith(
        "sum: a tensor of a traced function or of vmap was kept and is used outside of it\n  x         float64[3]\n")
    with pytest.raises(TraceError, match="a tensor of another trace was kept and is used here"):
        tl.jit(lambda x: x + kept[0])(of(V))


def test_debug_nans_is_put_around_the_call():
    def function(x):
        with tl.debug_nans():
            return tl.log(x)

    with pytest.raises(TraceError) as caught:
        tl.vmap(function)(of(X))
    assert str(caught.value).startswith(
        "debug_nans: inside of vmap and traced functions no op has a result to look at\n  at ")


def test_own_derivatives_both_inside_and_outside_are_refused():
    with pytest.raises(GradientError) as caught:
        tl.grad(lambda w: tl.vmap(tl.grad(lambda x: Exponential.apply(x * w).sum()))(of(X)).sum())(of(V))
    assert str(caught.value).startswith("Exponential: its derivative is taken both inside and outside of vmap\n  at ")
