"""Recurrent layers as one op: derivatives of two orders against PyTorch, small and native, and what transforms make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.kernels.cpu import team

LAYERS = {"RNN": {}, "RNN relu": {"nonlinearity": "relu"}, "LSTM": {}, "GRU": {}}
TERMS = 1 << 14
layers = st.sampled_from(list(LAYERS))


def made(name, inputs, size, dtype=tl.float64, **options):
    tl.manual_seed(0)
    return getattr(nn, name.split()[0])(inputs, size, dtype=dtype, **LAYERS[name], **options)


def twin(name, layer, **options):
    """The same layer in PyTorch."""
    from nn.against_torch import torch
    found = getattr(torch.nn, name.split()[0])(layer.input_size, layer.hidden_size, dtype=torch.float64,
                                               **LAYERS[name], **options)
    found.load_state_dict({key: torch.tensor(x.numpy()) for key, x in layer.state_dict().items()})
    return found


def flat(result):
    return [x for part in result for x in flat(part)] if isinstance(result, tuple) else [result]


def both_orders(library, layer, x, pack=lambda x: x, unpack=lambda y: y):
    """What a layer returns, its first derivatives, and those of what the input's make."""
    x = library.tensor(x, requires_grad=True)
    inputs = [x, *layer.parameters()]
    output, last = layer(pack(x))
    found = [unpack(output), *flat(last)]
    first = library.autograd.grad(sum((y * y * y + y).sum() for y in found), inputs, create_graph=True)
    second = library.autograd.grad(sum((g * g).sum() for g in first), inputs)
    return [each.detach() for each in (*found, *first, *second)]


def assert_alike(found, expected):
    for y, z in zip(found, expected, strict=True):
        assert_close(y, z.numpy(), terms=TERMS)


@given(name=layers, steps=st.integers(1, 4), batch=st.integers(1, 3), size=st.sampled_from([1, 2, 5, 40]),
       bias=st.booleans(), bidirectional=st.booleans())
@settings(max_examples=20, deadline=None)
def test_two_orders_agree_with_torch(name, steps, batch, size, bias, bidirectional):
    from nn.against_torch import draw, torch
    options = {"bias": bias, "bidirectional": bidirectional}
    layer, x = made(name, 3, size, **options), draw(steps, batch, 3)
    assert_alike(both_orders(tl, layer, x), both_orders(torch, twin(name, layer, **options), x))


@given(name=layers, lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), size=st.sampled_from([2, 40]),
       bidirectional=st.booleans())
@settings(max_examples=15, deadline=None)
def test_two_orders_of_packed_sequences_agree_with_torch(name, lengths, size, bidirectional):
    from nn.against_torch import draw, torch
    layer, x = made(name, 3, size, bidirectional=bidirectional), draw(max(lengths), len(lengths), 3)
    other, found = twin(name, layer, bidirectional=bidirectional), []
    for library, each in ((tl, layer), (torch, other)):
        pack = lambda x, of=library.nn.utils.rnn: of.pack_padded_sequence(x, lengths, enforce_sorted=False)
        found.append(both_orders(library, each, x, pack, lambda y: y.data))
    assert_alike(*found)


def numbers(*shape, dtype=np.float64):
    return tl.tensor(np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype))


def step_of(layer):
    """A function of the input: outputs, last states, and the gradients of parameters."""
    def step(x):
        found = flat(layer(x))
        return (*found, *tl.autograd.grad(sum((y * y + y).sum() for y in found), list(layer.parameters())))
    return step


@pytest.mark.parametrize("size", [4, 40])
@pytest.mark.parametrize("name", LAYERS)
def test_compiled_is_eager(name, size):
    layer, x = made(name, 3, size, num_layers=2, bidirectional=True), numbers(5, 7, 3)
    for y, z in zip(tl.jit(step_of(layer))(x), step_of(layer)(x), strict=True):
        assert_close(y, z, terms=TERMS)


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_of_sequences_is_each_of_them(name):
    layer, xs = made(name, 3, 20), numbers(3, 5, 2, 3)
    both = tl.value_and_grad(lambda x: sum((y * y + y).sum() for y in flat(layer(x))))
    for y, *parts in zip(tl.vmap(both)(xs), *map(both, xs), strict=True):
        assert_close(y, tl.stack(parts), terms=TERMS)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_different_weights_are_each_of_them(name):
    layer, x = made(name, 3, 20), numbers(5, 2, 3)
    weights = {key: tl.stack([p.detach(), -p.detach()]) for key, p in layer.named_parameters()}
    run = lambda weights, x: nn.utils.stateless.functional_call(layer, weights, (x,))[0]
    found = tl.vmap(run, in_axes=(0, None))(weights, x)
    for k in range(2):
        assert_close(found[k], run({key: p[k] for key, p in weights.items()}, x), terms=TERMS)


@pytest.mark.parametrize("name", LAYERS)
def test_forward_derivatives_are_those_of_backward(name):
    layer, x, v = made(name, 3, 20), numbers(5, 2, 3), numbers(5, 2, 3) * 0.5
    f = lambda x: layer(x)[0]
    _, pushed = tl.jvp(f, (x,), (v,))
    weights = numbers(5, 2, 20)
    (pulled,) = tl.vjp(f, x)[1](weights)
    assert_close((pushed * weights).sum(), (pulled * v).sum(), terms=TERMS)


@pytest.mark.parametrize("name", LAYERS)
def test_bits_are_those_of_one_thread(name):
    layer, x, found = made(name, 64, 256, dtype=tl.float32, bidirectional=True), numbers(8, 64, 64, dtype="f"), []
    before = tl.get_num_threads()
    try:
        for threads in (1, 2):
            team.set_num_threads(threads)
            found.append(step_of(layer)(x))
    finally:
        team.set_num_threads(before)
    for y, z in zip(*found, strict=True):
        assert_same(y.detach(), z.detach().numpy())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [tl.float16, tl.bfloat16])
def test_narrow_numbers_are_computed_in_float32(name, dtype):
    """Only what goes in and out is rounded."""
    layer, x = made(name, 3, 20, dtype=tl.float32).to(dtype), numbers(9, 2, 3).to(dtype)
    wide = made(name, 3, 20, dtype=tl.float32)
    wide.load_state_dict({key: p.to(tl.float32) for key, p in layer.state_dict().items()})
    for y, z in zip(flat(layer(x)), flat(wide(x.to(tl.float32))), strict=True):
        assert y.dtype == dtype
        assert_close(y.to(tl.float32), z.detach().to(dtype).to(tl.float32), dtype=dtype)


def test_without_a_tape_nothing_is_kept_and_derivatives_are_right_all_the_same():
    """What a traced function differentiates later was not recorded when it was traced."""
    from tensorlite.ops.recurrent import _recurrent
    given, weight, first = numbers(4, 2, 12), numbers(12, 3) * 0.3, numbers(2, 3) * 0.2
    rest = {"mode": "LSTM", "reverse": False}
    outputs = {keeps: tl.grad(lambda *x, keeps=keeps: _recurrent(*x, first, keeps=keeps, **rest)[0].sum(), (0, 1, 2))(
        given, weight, first) for keeps in (False, True)}
    for y, z in zip(*outputs.values(), strict=True):
        assert_same(y, z.numpy())
