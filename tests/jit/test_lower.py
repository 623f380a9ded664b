"""Native programs give the eager numbers at the sizes, layouts and dtypes where kernels change their form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from laws.stages import check_stages, leaves

import tensorlite as tl
from tensorlite.jit.lower import lower
from tensorlite.jit.pipeline import optimize
from tensorlite.jit.program import Edge, steps_within
from tensorlite.nn import functional as F
from tensorlite.tensor_type import GROUPS

#: Sums of ten thousands of products, in another order.
TERMS = 1 << 16

RANDOM = np.random.default_rng(0)


def draw(*shape: int, dtype: Any = np.float32) -> tl.Tensor:
    return tl.tensor(RANDOM.standard_normal(shape).astype(dtype))


def both_ways(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function's results, and its gradient by all of its arguments."""
    def loss(*operands: tl.Tensor) -> Any:
        return sum((y * y).sum() * 0.5 for y in leaves(function(*operands)) if y.dtype in GROUPS["floating"])
    return lambda *operands: (function(*operands), tl.grad(loss, argnums=tuple(range(len(operands))))(*operands))


def many_reductions(x):
    return [x.sum(), x.mean(), x.mean(0), x.var(), x.max(), x.min(-1), tl.logsumexp(x, axis=-1),
            tl.softmax(x, axis=0), tl.log_softmax(x, axis=-1), (x * x).sum(-1, keepdims=True) * x]


def broadcasts(x, y):
    return [tl.exp(x * 0.1) * y + x, tl.where(x > y, x, y).sum(0), (x - y).mean()]


def moves(x):
    return [tl.concat([x, x * 2], axis=0)[::2], tl.stack([x, x + 1], axis=-1).sum(0), tl.flip(x) * x,
            tl.roll(x, 1) + x, x.reshape(-1)[1:].sum(), tl.repeat(x, 2, axis=0).mean(0)]


def picks(x):
    return [x[tl.tensor([0, 0])], x[-1] * 2, tl.sort(x, axis=0), tl.cumulative_sum(x, axis=-1), x[..., ::-1] * x]


def attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def convolution(stride=1, padding=0, groups=1):
    def function(x, w, b):
        y = tl.relu(F.conv2d(x, w, b, stride=stride, padding=padding, groups=groups))
        return F.max_pool2d(y, 2) if min(y.shape[2:]) > 4 else F.avg_pool2d(y, 2)
    return function


LABELS = tl.tensor(RANDOM.integers(0, 7, 33))

CASES: dict[str, tuple[Callable[..., Any], tuple[tl.Tensor, ...]]] = {
    **{f"product {m} {k} {n}": (lambda a, b: tl.gelu(a @ b + 1) * 2, (draw(m, k), draw(k, n)))
       for m, k, n in [(1, 1, 1), (3, 1, 5), (17, 33, 65), (1, 512, 3), (513, 2, 2), (64, 257, 31)]},
    **{f"linear {m} {k} {n}": (lambda x, w, b: tl.relu(F.linear(x, w, b)), (draw(m, k), draw(n, k), draw(n)))
       for m, k, n in [(1, 7, 1), (17, 33, 65), (64, 257, 31)]},
    "product of transposed": (lambda a, b: tl.tanh(a.T @ b.T).sum(0), (draw(33, 17), draw(65, 33))),
    **{f"products {shape}": (lambda a, b: (a @ b) * a.sum(), (draw(*shape, 17, 5), draw(*shape, 5, 9)))
       for shape in [(2, 3), (1, 4)]},
    "products with one": (lambda a, b: a @ b + 1, (draw(2, 3, 17, 5), draw(5, 9))),
    "products broadcast": (lambda a, b: a @ b, (draw(2, 1, 17, 5), draw(3, 5, 9))),
    **{f"attention {shape}": (attention, tuple(draw(*shape) for _ in range(3))) for shape in [(2, 3, 17, 5),
                                                                                            (1, 1, 33, 8)]},
    "convolution 3x3": (convolution(padding=1), (draw(2, 3, 8, 8), draw(4, 3, 3, 3), draw(4))),
    "convolution in groups": (convolution(stride=2, groups=2), (draw(1, 4, 9, 11), draw(6, 2, 3, 3), draw(6))),
    "convolution 1x1": (convolution(), (draw(2, 8, 16, 16), draw(8, 8, 1, 1), draw(8))),
    "convolution by channel": (convolution(padding=1, groups=6), (draw(2, 6, 9, 9), draw(6, 1, 3, 3), draw(6))),
    "loss": (lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.1), (draw(33, 7),)),
    "loss of some": (lambda x: F.cross_entropy(x, LABELS, ignore_index=3, reduction="sum"), (draw(33, 7),)),
    "loss apart": (lambda x: F.cross_entropy(x, LABELS, reduction="none"), (draw(33, 7),)),
}
for shape in [(5,), (64, 65), (3, 1025), (1000, 3), (2, 3, 4, 5), (300, 300), (1, 40000), (40000, 1)]:
    CASES[f"reductions {shape}"] = many_reductions, (draw(*shape),)
    CASES[f"normalization {shape}"] = (lambda x, w, b: F.layer_norm(x, (x.shape[-1],), w, b) * x,
                                       (draw(*shape), draw(shape[-1]), draw(shape[-1])))
    CASES[f"broadcasts {shape}"] = broadcasts, (draw(*shape), draw(shape[-1]))
    CASES[f"moves {shape}"] = moves, (draw(*shape),)
    CASES[f"picks {shape}"] = picks, (draw(*shape),)

#: What is slow to compile and like others is tried once.
ONCE = {f"{what} {shape}" for what in ("normalization", "picks", "moves") for shape in [(5,), (2, 3, 4, 5), (1, 40000)]}
CHOSEN = [name for name in CASES if name not in ONCE]


@pytest.mark.parametrize("name", CHOSEN)
def test_values_and_gradients(name):
    function, operands = CASES[name]
    check_stages(both_ways(function), operands, terms=TERMS)


NARROW = ["linear 17 33 65", "reductions (64, 65)", "normalization (3, 1025)", "attention (2, 3, 17, 5)", "loss",
          "picks (64, 65)"]


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16], ids=lambda d: d.name)
@pytest.mark.parametrize("name", NARROW)
def test_half_precision(name, dtype):
    function, operands = CASES[name]
    check_stages(both_ways(function), [x.to(dtype) for x in operands], terms=64)


LAYOUTS = {"transposed": lambda x: x.T, "stepped": lambda x: x[::2, 1:], "reversed": lambda x: x[::-1, ::-1],
           "repeated": lambda x: tl.broadcast_to(x[:1], x.shape), "a column": lambda x: x[:, :1],
           "one number": lambda x: x[3, 5], "folded": lambda x: x.reshape(5, 8, 30).permute(2, 0, 1)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_views_are_read_where_they_are(name):
    """Within a graph, movement is strides alone, whatever reads it."""
    view = LAYOUTS[name]
    x = draw(40, 30)

    def function(x):
        y = view(x)
        flat = y.reshape(-1, 1) if y.ndim < 2 else y.reshape(y.shape[0], -1)
        return [y * 2, y.sum(), tl.exp(y), flat @ flat.T, flat.max(0), tl.sort(flat, axis=0), view(x + 1), y]
    check_stages(both_ways(function), [x], terms=TERMS)


def edges(function: Callable[..., Any], *arguments: tl.Tensor) -> list[str]:
    """The ops that have no native form here."""
    lowered = lower(optimize(tl.trace(function, *arguments)))
    return [step.equation.op.name for outer in lowered.steps for step in steps_within(outer) if isinstance(step, Edge)]


def test_ops_without_a_native_form_run_from_python_beside_native_ones():
    x = draw(4, 4, dtype=np.float64)
    z = tl.tensor(RANDOM.standard_normal((4, 4)) + 1j)
    function = lambda x, z: (tl.exp(x) @ x, tl.real(z * z) + x, tl.sin(z) * 2, tl.real(tl.exp(z)).sum() + tl.sin(x))
    assert edges(function, x, z)
    check_stages(function, [x, z], terms=16)


NATIVE = ["reductions (64, 65)", "linear 17 33 65", "convolution 3x3", "attention (2, 3, 17, 5)", "loss",
          "normalization (64, 65)", "broadcasts (64, 65)", "moves (64, 65)"]


@pytest.mark.parametrize("name", NATIVE)
def test_what_networks_are_made_of_is_native(name):
    function, operands = CASES[name]
    assert edges(both_ways(function), *operands) == []


@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16], ids=lambda d: d.name)
@pytest.mark.parametrize("name", ["reductions (64, 65)", "linear 17 33 65"])
def test_what_has_16_bits_is_native_too(name, dtype):
    function, operands = CASES[name]
    assert edges(both_ways(function), *(x.to(dtype) for x in operands)) == []


@pytest.mark.parametrize("shape", [(1, 1, 14), (1, 1, 1, 5), (1, 3, 5)])
def test_products_of_one_row_in_a_stack(shape):
    x, weight, bias = draw(*shape), draw(1, shape[-1]), draw(1)
    check_stages(both_ways(lambda *operands: tl.tanh(F.linear(*operands))), [x, weight, bias], terms=64)
