"""Mixed precision: which op takes what, and derivatives in the dtypes of their values."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import DTypeError
from tensorlite.nn import functional as F

NARROW = [tl.bfloat16, tl.float16]


def normal(*shape, dtype=tl.float32):
    return tl.tensor(np.random.default_rng(list(shape)).standard_normal(shape), dtype=dtype)


PRODUCTS = {
    "matmul": lambda: normal(2, 3) @ normal(3, 4),
    "linear": lambda: F.linear(normal(2, 3), normal(4, 3), normal(4)),
    "einsum": lambda: tl.einsum("ij,jk->ik", normal(2, 3), normal(3, 4)),
    "conv1d": lambda: F.conv1d(normal(1, 2, 5), normal(3, 2, 3)),
    "conv2d": lambda: F.conv2d(normal(1, 2, 5, 5), normal(3, 2, 3, 3), normal(3)),
    "conv3d": lambda: F.conv3d(normal(1, 2, 3, 5, 5), normal(3, 2, 2, 3, 3)),
    "conv_transpose2d": lambda: F.conv_transpose2d(normal(1, 2, 5, 5), normal(2, 3, 3, 3)),
    "attention": lambda: F.scaled_dot_product_attention(normal(1, 4, 8), normal(1, 4, 8), normal(1, 4, 8)),
    "lstm": lambda: nn.LSTM(3, 4, 2, bidirectional=True)(normal(5, 2, 3))[0],
    "gru": lambda: nn.GRUCell(3, 4)(normal(2, 3)),
}

WIDE = {
    "softmax": lambda x: F.softmax(x, 1), "log_softmax": lambda x: F.log_softmax(x, 1), "sum": lambda x: x.sum(),
    "cumsum": lambda x: tl.cumsum(x, axis=1), "prod": lambda x: tl.prod(x), "var": lambda x: tl.var(x),
    "logsumexp": lambda x: tl.logsumexp(x, axis=1), "exp": lambda x: x.exp(), "log": lambda x: x.log(),
    "pow": lambda x: x**1.5, "norm": lambda x: tl.norm(x), "softplus": lambda x: F.softplus(x),
    "cross_entropy": lambda x: F.cross_entropy(x, tl.tensor([0, 1])), "mse_loss": lambda x: F.mse_loss(x, x),
    "kl_div": lambda x: F.kl_div(x, x), "bce": lambda x: F.binary_cross_entropy(F.sigmoid(x), F.sigmoid(x)),
    "layer_norm": lambda x: F.layer_norm(x, (3,), tl.ones(3), tl.zeros(3)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, tl.ones(3), training=True),
    "group_norm": lambda x: F.group_norm(x, 3, tl.ones(3)), "rms_norm": lambda x: F.rms_norm(x, (3,), tl.ones(3)),
    "cosine_similarity": lambda x: F.cosine_similarity(x, x),
}


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: d.name)
@pytest.mark.parametrize("call", PRODUCTS.values(), ids=PRODUCTS)
def test_products_are_narrow(call, dtype):
    whole = call()
    with tl.autocast(dtype):
        assert call().dtype == dtype
    assert call().dtype == whole.dtype == tl.float32


@pytest.mark.parametrize("call", WIDE.values(), ids=WIDE)
def test_what_loses_accuracy_is_wide(call):
    x = tl.abs(normal(2, 3, dtype=tl.bfloat16))
    with tl.autocast("bfloat16"):
        assert call(x).dtype == tl.float32


def test_others_run_in_what_they_are_given():
    x = normal(2, 3, dtype=tl.bfloat16)
    with tl.autocast("float16"):
        assert (x + x).dtype == F.relu(x).dtype == x.reshape(3, 2).dtype == tl.bfloat16
        assert (normal(2) + x[:, 0]).dtype == tl.float32
        wide = normal(2, 2, dtype=tl.float64)
        assert (wide @ wide).dtype == tl.float64
        whole = tl.ones((2, 2), dtype=tl.int64)
        assert (whole @ whole).dtype == tl.int64


def network() -> nn.Module:
    tl.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))


def losses(compiled: bool, enabled: bool = True) -> list[float]:
    """A few training steps."""
    net, x, t = network(), normal(4, 3, 6, 6), tl.tensor([1, 2, 3, 4])
    optimizer = tl.optim.SGD(net.parameters(), lr=0.1)

    def step(x, t):
        optimizer.zero_grad()
        with tl.autocast("bfloat16", enabled=enabled):
            loss = F.cross_entropy(net(x), t)
        loss.backward()
        optimizer.step()
        return loss
    run = tl.jit(step) if compiled else step
    found = [run(x, t).item() for _ in range(5)]
    assert {p.dtype for p in net.parameters()} == {p.grad.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    return found


def test_training_follows_that_in_float32_as_closely_as_16_bits_allow():
    whole = np.array(losses(False, enabled=False))
    for compiled in (False, True):
        found = losses(compiled)
        assert found != whole.tolist()
        assert_close(np.array(found), whole, dtype=tl.bfloat16, terms=4)


def test_compiled_functions_know_in_which_region_they_are_called():
    run = tl.jit(lambda x, w: x @ w)
    x, w = normal(2, 3), normal(3, 4)
    for _ in range(2):
        assert run(x, w).dtype == tl.float32
        for dtype in NARROW:
            with tl.autocast(dtype):
                assert run(x, w).dtype == dtype
    assert sum(map(len, run.variants.values())) == 3


def test_parameters_are_cast_once_and_again_where_they_change():
    w, x = tl.tensor(np.ones((2, 2), np.float32), requires_grad=True), normal(2, 2)
    with tl.autocast("bfloat16") as region:
        first, second = x @ w, x @ w
        cast = {y.node.parents[1] for y in (first, second)}
        assert len(cast) == 1
        with tl.no_grad():
            assert not (x @ w).requires_grad
        assert (x @ w).requires_grad
        with tl.no_grad():
            w *= 2
        assert_same((x @ w).detach(), (first * 2).detach())
        assert region.dtype == tl.bfloat16
    (first.sum() + second.sum()).backward()
    assert w.grad.dtype == tl.float32


def test_regions_nest_and_derivatives_are_taken_in_none():
    x = tl.tensor(np.eye(2, dtype=np.float32), requires_grad=True)
    with tl.autocast("bfloat16"):
        with tl.autocast(enabled=False):
            assert (x @ x).dtype == tl.float32
            with tl.autocast("cuda"):
                assert (x @ x).dtype == tl.float16
        with tl.autocast("cpu", dtype=tl.float16):
            assert (x @ x).dtype == tl.float16
        assert (x @ x).dtype == tl.bfloat16
        assert tl.grad(lambda x: (x @ x).sum())(x.detach()).dtype == tl.float32
        assert tl.checkpoint(lambda x: x @ x)(x).dtype == tl.bfloat16
        assert tl.vmap(lambda v: v @ v)(normal(3, 2, 2)).dtype == tl.bfloat16
    y = tl.autocast("float16")(lambda: x @ x)()
    assert y.dtype == tl.float16
    y.sum().backward()
    assert_same(x.grad, np.full((2, 2), 2.0, np.float32))


def test_checkpoints_compute_again_in_the_same_precision():
    w = tl.tensor(np.random.default_rng(0).standard_normal((4, 4)), dtype=tl.float32, requires_grad=True)
    gradients = []
    for transform in (lambda f: f, tl.checkpoint):
        w.grad = None
        with tl.autocast("bfloat16"):
            loss = transform(lambda w: F.relu(w @ w) @ w)(w).sum()
        loss.backward()
        gradients.append(w.grad.numpy())
    assert_same(*gradients)


@pytest.mark.parametrize("wrong", [tl.float32, tl.float64, tl.int8, "complex64"])
def test_only_16_bits_are_taken(wrong):
    with pytest.raises(DTypeError) as caught:
        tl.autocast(wrong)
    name = np.dtype(wrong).name
    assert str(caught.value).split("\n")[0] == f"autocast: takes bfloat16 or float16, not {name}"
    assert str(caught.value).split("\n")[-1] == '  fix: tl.autocast("bfloat16")'
