"""Activations and dropout: against PyTorch, at their kinks and ends, and by statistics."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError
from tensorlite.nn import functional as F

CALLS = {
    "relu": [{}], "gelu": [{}, {"approximate": "tanh"}], "sigmoid": [{}], "tanh": [{}], "silu": [{}],
    "softplus": [{}, {"beta": 0.5}, {"beta": 3.0, "threshold": 1.0}], "leaky_relu": [{}, {"negative_slope": 0.2}],
    "elu": [{}, {"alpha": 0.5}],
}


@pytest.mark.parametrize(("name", "options"), [(name, options) for name, calls in CALLS.items() for options in calls])
def test_activations_agree_with_torch(name, options):
    from nn.against_torch import compare, draw, torch
    compare(lambda x: getattr(F, name)(x, **options), lambda x: getattr(torch.nn.functional, name)(x, **options),
            draw(4, 9) * 3, terms=4)


@pytest.mark.parametrize("name", CALLS)
def test_activations_at_zero_and_far_away_agree_with_torch(name):
    from nn.against_torch import to_torch, torch
    x = tl.tensor([0.0, -1e4, 1e4, -90.0, 90.0, 20.0, 19.0], requires_grad=True)
    x_ = to_torch(x).requires_grad_()
    y, y_ = getattr(F, name)(x), getattr(torch.nn.functional, name)(x_)
    y.sum().backward()
    y_.sum().backward()
    assert_close(y, y_.detach().numpy())
    assert_close(x.grad, x_.grad.numpy())


@pytest.mark.parametrize("name", ["relu", "silu", "leaky_relu", "elu"])
def test_inplace_rebinds_the_input(name):
    x = tl.tensor([-1.0, 2.0])
    expected = getattr(F, name)(x)
    assert getattr(F, name)(x, inplace=True) is x
    assert_same(x, expected)


def test_layers_call_the_functions():
    x = tl.tensor([[-1.0, 0.5, 2.0]])
    for layer, expected in [
        (nn.ReLU(), F.relu(x)), (nn.GELU("tanh"), F.gelu(x, "tanh")), (nn.Sigmoid(), F.sigmoid(x)),
        (nn.Tanh(), F.tanh(x)),
        (nn.SiLU(), F.silu(x)), (nn.Softplus(2.0, 3.0), F.softplus(x, 2.0, 3.0)),
        (nn.LeakyReLU(0.3), F.leaky_relu(x, 0.3)),
        (nn.ELU(0.3), F.elu(x, 0.3)), (nn.Softmax(1), F.softmax(x, 1)), (nn.LogSoftmax(1), F.log_softmax(x, 1)),
        (nn.Identity(1, of="no use"), x), (nn.Dropout(0.5).eval(), x),
    ]:
        assert_same(layer(x), expected)


def test_dropout_keeps_the_mean_and_its_share():
    tl.manual_seed(0)
    x = tl.ones(200_000)
    y = F.dropout(x, 0.3).numpy()
    kept = y != 0
    assert_same(np.unique(y[kept]), np.array([np.float32(1 / 0.7)]))
    deviation = (0.3 * 0.7 / x.size) ** 0.5
    assert abs(kept.mean() - 0.7) < 5 * deviation


def test_dropout_is_drawn_anew_and_by_seed():
    x = tl.ones(64)
    tl.manual_seed(3)
    first, second = F.dropout(x), F.dropout(x)
    tl.manual_seed(3)
    assert_same(F.dropout(x), first)
    assert (first.numpy() != second.numpy()).any()


def test_the_derivative_of_dropout_is_its_own_mask():
    x = tl.tensor(np.full(100, 3.0), requires_grad=True)
    y = F.dropout(x, 0.25)
    y.sum().backward()
    assert_same(x.grad, y.detach().numpy() / 3.0)


def test_dropout_at_its_ends():
    x = tl.tensor([1.0, float("inf")])
    assert_same(F.dropout(x, 1.0), np.zeros(2, np.float32))
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.9, training=False) is x
    assert F.dropout(x, 1.0, inplace=True) is x
    assert_same(x, np.zeros(2, np.float32))


@pytest.mark.parametrize(("call", "text"), [
    (lambda: F.dropout(tl.ones(1), 1.5), "dropout: p must be between 0 and 1, not 1.5"),
    (lambda: nn.Dropout(-0.1), "Dropout: p must be between 0 and 1, not -0.1"),
    (lambda: F.gelu(tl.ones(1), "erf"), "gelu: approximate must be 'none' or 'tanh', not 'erf'"),
    (lambda: nn.GELU("erf"), "GELU: approximate must be 'none' or 'tanh', not 'erf'"),
])
def test_options_that_make_no_sense_are_named(call, text):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text
