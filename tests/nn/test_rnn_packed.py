"""Sequences of different lengths: packing, padding and recurrent layers over them, against PyTorch and compiled."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, TraceError
from tensorlite.nn.utils import rnn as ours

TERMS = 1 << 14

lengths_of = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def theirs():
    from nn.against_torch import torch
    return torch.nn.utils.rnn


def flat(result):
    return [x for part in result for x in flat(part)] if type(result) in (tuple, list) else [result]


def assert_alike(found, expected):
    """Equal tensors, or None both."""
    assert (found is None) == (expected is None)
    if expected is not None:
        assert_same(found.detach(), expected.detach().numpy())


# --- packing ------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(lengths=lengths_of, extra=st.integers(0, 2), trailing=st.sampled_from([(), (2,), (2, 3)]),
       batch_first=st.booleans(), is_sorted=st.booleans(), value=st.sampled_from([0.0, -1.5]),
       total=st.sampled_from([None, 5, 7]), form=st.sampled_from([list, np.asarray, tl.tensor]))
def test_packing_and_padding_agree_with_torch(lengths, extra, trailing, batch_first, is_sorted, value, total, form):
    from nn.against_torch import draw, torch
    lengths = sorted(lengths, reverse=True) if is_sorted else lengths
    x = draw(max(lengths) + extra, len(lengths), *trailing)
    x = np.swapaxes(x, 0, 1).copy() if batch_first else x
    found = ours.pack_padded_sequence(tl.tensor(x), form(lengths), batch_first, enforce_sorted=is_sorted)
    expected = theirs().pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first,
                                             enforce_sorted=is_sorted)
    for a, b in zip(found, expected, strict=True):
        assert_alike(a, b)
    again = ours.PackedSequence(*found)
    for packed in (found, again, found._replace(data=found.data)):
        made = ours.pad_packed_sequence(packed, batch_first, value, total)
        wanted = theirs().pad_packed_sequence(expected, batch_first, value, total)
        for a, b in zip(made, wanted, strict=True):
            assert_alike(a, b)
        for a, b in zip(ours.unpack_sequence(packed), theirs().unpack_sequence(expected), strict=True):
            assert_alike(a, b)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4), batch_first=st.booleans(),
       side=st.sampled_from(["right", "left"]), value=st.sampled_from([0, 3]), trailing=st.sampled_from([(), (2,)]),
       integers=st.booleans())
def test_pad_sequence_agrees_with_torch(lengths, batch_first, side, value, trailing, integers):
    from nn.against_torch import draw, torch
    arrays = [draw(n, *trailing, seed=i) * 9 for i, n in enumerate(lengths)]
    arrays = [x.astype(np.int64) for x in arrays] if integers else arrays
    found = ours.pad_sequence([tl.tensor(x) for x in arrays], batch_first, value, side)
    expected = theirs().pad_sequence([torch.tensor(x) for x in arrays], batch_first, value, side)
    assert_alike(found, expected)
    if side == "right":
        for a, b in zip(ours.unpad_sequence(found, tl.tensor(lengths), batch_first), arrays, strict=True):
            assert_same(a, b)


def test_sequences_may_come_from_anything_that_yields_them():
    rows = [tl.ones(2), tl.ones(1)]
    assert_same(ours.pad_sequence(x for x in rows), ours.pad_sequence(rows))
    assert_same(ours.pack_sequence(x for x in rows).data, tl.ones(3))
    for x, y in zip(ours.unpad_sequence(tl.ones((2, 2)), [2, 1]), rows, strict=True):
        assert_same(x, y)


def test_gradients_go_through_packing_to_the_elements_of_sequences_alone():
    from nn.against_torch import draw, torch
    array, lengths = draw(4, 3, 2), [2, 4, 1]
    results = []
    for library, module in ((tl, ours), (torch, theirs())):
        x = library.tensor(array, requires_grad=True)
        packed = module.pack_padded_sequence(x, lengths, enforce_sorted=False)
        packed = module.PackedSequence(packed.data * packed.data, *packed[1:])
        (module.pad_packed_sequence(packed, padding_value=7.0)[0] ** 2).sum().backward()
        results.append(x.grad.numpy())
    assert_close(*results)


def test_a_packed_sequence_is_its_four_parts():
    packed = ours.pack_sequence([tl.ones((2, 1)), tl.ones((3, 1))], enforce_sorted=False)
    data, sizes, order, back = packed
    assert_same(data, packed[0])
    assert len(packed) == 4
    assert_same(sizes, np.array([2, 2, 1]))
    assert_same(order, np.array([1, 0]))
    assert_same(back, packed.unsorted_indices)
    assert packed.to(tl.float64).data.dtype == tl.float64
    for name in ("byte", "char", "short", "int", "long", "half", "bfloat16", "float", "double"):
        assert getattr(packed, name)().data.dtype == getattr(tl.ones(1), name)().dtype
    assert packed.cpu().data.device == "cpu"
    assert repr(packed).startswith("PackedSequence(data=tensor([[1.],")
    assert ours.invert_permutation(None) is None


@pytest.mark.parametrize("name", ["pack_padded_sequence", "pad_packed_sequence", "pad_sequence", "unpad_sequence",
                                  "pack_sequence", "unpack_sequence"])
def test_signatures_are_those_of_torch(name):
    plain = lambda f: [(p.name, p.default, p.kind) for p in inspect.signature(f).parameters.values()]
    assert plain(getattr(ours, name)) == plain(getattr(theirs(), name))


X = tl.ones((3, 2, 1))
PACKED = ours.pack_padded_sequence(X, [3, 2])
REFUSED = {
    "of nothing": (lambda: ours.pack_padded_sequence(X, [2, 0]), ArgumentError, """
pack_padded_sequence: a sequence has at least one element
  input    float32[3, 2, 1]
  lengths  [2, 0]
  at HERE"""),
    "too long": (lambda: ours.pack_padded_sequence(X, [4, 1]), ShapeError, """
pack_padded_sequence: no sequence can be longer than the input, 3
  input    float32[3, 2, 1]
  lengths  [4, 1]
  at HERE"""),
    "not sorted": (lambda: ours.pack_padded_sequence(X, tl.tensor([1, 2])), ArgumentError, """
pack_padded_sequence: the longest sequence must come first, as enforce_sorted says
  input    float32[3, 2, 1]
  lengths  [1, 2]
  at HERE
  fix: pass enforce_sorted=False"""),
    "too many lengths": (lambda: ours.pack_padded_sequence(X, [3, 2, 1]), ShapeError, """
pack_padded_sequence: there are 3 lengths for 2 sequences
  input    float32[3, 2, 1]
  lengths  [3, 2, 1]
  at HERE"""),
    "no batch": (lambda: ours.pack_padded_sequence(tl.ones((3, 0)), []), ShapeError, """
pack_padded_sequence: there is no sequence
  input  float32[3, 0]
  at HERE"""),
    "no batch axis": (lambda: ours.pack_padded_sequence(tl.ones(3), [3]), ShapeError, """
pack_padded_sequence: input must be [longest, batch, ...]
  input  float32[3]
  at HERE"""),
    "a table of lengths": (lambda: ours.pack_padded_sequence(X, tl.tensor([[3, 2]])), ShapeError, """
pack_padded_sequence: lengths must have one axis
  lengths  int64[1, 2]
  at HERE"""),
    "lengths that are no integers": (lambda: ours.pack_padded_sequence(X, [3.0, 2.0]), DTypeError, """
pack_padded_sequence: lengths must be integers
  lengths  [3.0, 2.0]
  at HERE"""),
    "a number to pack": (lambda: ours.pack_padded_sequence(1.5, [3, 2]), DTypeError, """
pack_padded_sequence: input must be a tensor, not float
  input  1.5
  at HERE
  fix: make it one: tl.asarray(...), or use pack_sequence"""),
    "no packed sequence": (lambda: ours.pad_packed_sequence(X), DTypeError, """
pad_packed_sequence: takes a PackedSequence, not Tensor
  at HERE"""),
    "too short": (lambda: ours.pad_packed_sequence(PACKED, total_length=2), ArgumentError, """
pad_packed_sequence: a sequence of 3 elements does not fit
  total_length  2
  at HERE"""),
    "nothing to pad": (lambda: ours.pad_sequence([]), ArgumentError, """
pad_sequence: takes at least one sequence
  at HERE"""),
    "no sequences": (lambda: ours.pad_sequence(3), DTypeError, """
pad_sequence: takes a sequence of tensors
  sequences  3
  at HERE"""),
    "of other features": (lambda: ours.pad_sequence([tl.ones((1, 2)), tl.ones((1, 3))]), ShapeError, """
pad_sequence: sequences are [length, ...], and differ in length alone
  sequences[0]  float32[1, 2]
  sequences[1]  float32[1, 3]
  at HERE"""),
    "on another side": (lambda: ours.pad_sequence([X], padding_side="up"), ArgumentError, """
pad_sequence: padding_side must be 'right' or 'left', not 'up'
  at HERE"""),
    "not one length each": (lambda: ours.unpad_sequence(X, tl.tensor([1])), ShapeError, """
unpad_sequence: there must be one length for each sequence
  padded_sequences  float32[3, 2, 1]
  lengths           int64[1]
  at HERE"""),
    "no sizes": (lambda: ours.PackedSequence(X), ArgumentError, """
PackedSequence: data and batch_sizes are both needed
  at HERE"""),
    "sizes that grow": (lambda: ours.PackedSequence(X, tl.tensor([1, 2])), ArgumentError, """
PackedSequence: batch_sizes must be positive integers that never grow
  batch_sizes  [1, 2]
  at HERE"""),
    "too little data": (lambda: ours.PackedSequence(X, tl.tensor([2, 2])), ShapeError, """
PackedSequence: batch_sizes say that there are 4 elements
  data         float32[3, 2, 1]
  batch_sizes  [2, 2]
  at HERE"""),
    "packed tables": (lambda: nn.LSTM(2, 4)(PACKED), ShapeError, """
LSTM: packed data must be [elements, input_size]
  padded      float32[3, 2, 1]
  input_size  2
  at HERE"""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_packed_is_told(name):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    place = f"test_rnn_packed.py:{call.__code__.co_firstlineno} in <lambda>"
    assert str(caught.value) == text.strip().replace("HERE", place)


# --- layers -------------------------------------------------------------------------------------------------------

layers = st.fixed_dictionaries({
    "num_layers": st.integers(1, 2), "bias": st.booleans(), "bidirectional": st.booleans(),
    "batch_first": st.booleans()})
kinds = st.sampled_from([("RNN", {"nonlinearity": "tanh"}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}),
                         ("LSTM", {"proj_size": 2}), ("GRU", {})])


def pair(name, **options):
    from nn.against_torch import torch
    a = getattr(nn, name)(3, 4, dtype=tl.float64, **options)
    b = getattr(torch.nn, name)(3, 4, dtype=torch.float64, **options)
    assert list(a.state_dict()) == list(b.state_dict())
    assert repr(a) == repr(b)
    b.load_state_dict({key: torch.tensor(x.numpy()) for key, x in a.state_dict().items()})
    return a, b


def first_states(name, options, leading):
    """Arrays of the states to begin with."""
    from nn.against_torch import draw
    count = options["num_layers"] * (1 + options["bidirectional"])
    sizes = [options.get("proj_size") or 4, 4][:2 if name == "LSTM" else 1]
    return [draw(count, *leading, size, seed=i) for i, size in enumerate(sizes)]


def run(library, layer, x, states, pack=None, unpack=None):
    """Outputs, and derivatives with respect to input, first states and parameters."""
    x = library.tensor(x, requires_grad=True)
    states = [library.tensor(s, requires_grad=True) for s in states]
    hx = tuple(states) if len(states) > 1 else states[0] if states else None
    output, last = layer(x if pack is None else pack(x), hx)
    found = [output if unpack is None else unpack(output), *flat(last)]
    sum((y * y + y).sum() for y in found).backward()
    return [*found, *(t.grad for t in (x, *states, *layer.parameters()))]


@settings(max_examples=30, deadline=None)
@given(kind=kinds, options=layers, lengths=lengths_of, is_sorted=st.booleans(), has_states=st.booleans(),
       extra=st.integers(0, 1), jit=st.booleans())
def test_layers_over_packed_sequences_agree_with_torch(kind, options, lengths, is_sorted, has_states, extra, jit):
    from nn.against_torch import draw, torch
    name, own = kind
    lengths = sorted(lengths, reverse=True) if is_sorted else lengths
    a, b = pair(name, **options, **own)
    x = draw(max(lengths), len(lengths), 3)
    x = np.concatenate([x, np.full((extra, *x.shape[1:]), np.nan)])  # what nobody may look at
    states = first_states(name, {**options, **own}, (len(lengths),)) if has_states else []

    def packing(module, lengths):
        return (lambda x: module.pack_padded_sequence(x, lengths, enforce_sorted=is_sorted),
                lambda y: module.pad_packed_sequence(y, total_length=len(x))[0])

    expected = run(torch, b, x, states, *packing(theirs(), lengths))
    if jit:
        found = tl.jit(lambda lengths: run(tl, a, x, states, *packing(ours, lengths)))(tl.tensor(lengths))
    else:
        found = run(tl, a, x, states, *packing(ours, lengths))
    for y, z in zip(found, expected, strict=True):
        assert_close(y, z.detach().numpy(), terms=TERMS)


@settings(max_examples=20, deadline=None)
@given(kind=kinds, options=layers, batch=st.sampled_from([None, 1, 3]), steps=st.integers(1, 4),
       has_states=st.booleans())
def test_layers_over_padded_sequences_agree_with_torch(kind, options, batch, steps, has_states):
    from nn.against_torch import draw, torch
    name, own = kind
    a, b = pair(name, **options, **own)
    leading = () if batch is None else (batch,)
    x = draw(*((batch, steps) if leading and options["batch_first"] else (steps, *leading)), 3)
    states = first_states(name, {**options, **own}, leading) if has_states else []
    for y, z in zip(run(tl, a, x, states), run(torch, b, x, states), strict=True):
        assert_close(y, z.detach().numpy(), terms=TERMS)


def test_one_compiled_loop_serves_all_lengths():
    layer = nn.LSTM(3, 4, bidirectional=True, dtype=tl.float64)
    rng = np.random.default_rng(0)
    x = tl.tensor(rng.standard_normal((6, 3, 3)))

    def step(x, lengths):
        packed = ours.pack_padded_sequence(x, lengths, enforce_sorted=False)
        y, (h, c) = layer(packed)
        padded, _ = ours.pad_packed_sequence(y, total_length=6)
        loss = (padded ** 2).sum() + h.sum() + c.sum()
        return padded, h, tl.autograd.grad(loss, list(layer.parameters()))

    compiled = tl.jit(step)
    for lengths in ([6, 1, 3], [2, 2, 2], [1, 5, 4]):
        found, expected = (f(x, tl.tensor(lengths)) for f in (compiled, step))
        for y, z in zip(flat(found), flat(expected), strict=True):
            assert_close(y, z, terms=TERMS)
    (one,) = compiled.explain().specialisations
    assert not one.edges


def test_a_compiled_training_step_of_a_packed_lstm_is_that_of_eager():
    rng = np.random.default_rng(0)
    x, target = tl.tensor(rng.standard_normal((5, 3, 3))), tl.tensor(rng.standard_normal((3, 8)))
    lengths, results = tl.tensor([2, 5, 3]), []
    for decorate in (lambda f: f, tl.jit):
        tl.manual_seed(0)
        layer = nn.LSTM(3, 4, num_layers=2, dropout=0.25, bidirectional=True, dtype=tl.float64)
        optimizer = tl.optim.Adam(layer.parameters(), 0.1)

        @decorate
        def step(x, lengths, target, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            packed = ours.pack_padded_sequence(x, lengths, enforce_sorted=False)
            output, _ = ours.pad_packed_sequence(layer(packed)[0], total_length=5)
            loss = ((output.sum(0) - target) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        results.append([float(step(x, lengths, target)) for _ in range(4)])
    assert results[0][-1] < results[0][0]
    assert_close(np.array(results[1]), np.array(results[0]), terms=TERMS)


def test_what_only_lengths_tell_is_refused_in_a_trace_by_name():
    def shape(x, lengths):
        return ours.pad_packed_sequence(ours.pack_padded_sequence(x, lengths))[0]

    with pytest.raises(TraceError, match=r"pad_packed_sequence: how long the longest sequence is is only known") as c:
        tl.jit(shape)(X, tl.tensor([3, 2]))
    assert str(c.value).endswith("fix: pass total_length=3")
    with pytest.raises(TraceError, match="PackedSequence: how many elements there are at each time is only known"):
        tl.jit(lambda x, n: ours.pack_padded_sequence(x, n).data)(X, tl.tensor([3, 2]))


def test_lengths_that_a_trace_closes_over_are_state_and_those_of_python_are_known():
    lengths = tl.tensor([3, 1])
    x = tl.tensor(np.arange(6.0).reshape(3, 2, 1))
    state = tl.jit(lambda x: ours.pad_packed_sequence(ours.pack_padded_sequence(x, lengths), total_length=3)[0])
    for wanted in ([3, 1], [2, 2]):
        lengths.copy_(tl.tensor(wanted))
        assert_same(state(x)[:, :, 0], np.where(np.arange(3)[:, None] < wanted, x.numpy()[:, :, 0], 0))
    known = tl.jit(lambda x: tuple(ours.pack_padded_sequence(x, [1, 2], enforce_sorted=False)))
    for found, expected in zip(known(x), ours.pack_padded_sequence(x, [1, 2], enforce_sorted=False), strict=True):
        assert_same(found, expected)


def test_second_derivatives_agree_with_torch():
    from nn.against_torch import compare, draw, torch
    a, b = pair("GRU", bidirectional=True)

    def function(module, layer):
        return lambda x: module.pad_packed_sequence(layer(module.pack_padded_sequence(
            x, [2, 4, 3], enforce_sorted=False))[0])[0]

    for ours_ in (function(ours, a), tl.jit(function(ours, a))):
        compare(ours_, function(torch.nn.utils.rnn, b), draw(5, 3, 3), terms=TERMS)


def test_packed_sequences_go_in_and_out_of_compiled_functions():
    layer = nn.GRU(1, 2)
    found, h = tl.jit(lambda packed: layer(packed))(PACKED)
    expected, g = layer(PACKED)
    assert_close(found.data, expected.data, terms=64)
    assert_close(h, g, terms=64)


def test_a_layer_maps_over_batches_of_lengths():
    layer = nn.GRU(2, 3, bidirectional=True, dtype=tl.float64)
    x = tl.tensor(np.random.default_rng(0).standard_normal((2, 4, 3, 2)))
    lengths = tl.tensor([[4, 2, 1], [3, 3, 2]])

    def last(x, lengths):
        return layer(ours.pack_padded_sequence(x, lengths, enforce_sorted=False))[1]

    found = tl.vmap(last)(x, lengths)
    assert_close(found, tl.stack([last(*each) for each in zip(tl.unstack(x), tl.unstack(lengths), strict=True)]),
                 terms=TERMS)


@pytest.mark.parametrize(("call", "problem"), [
    (lambda: nn.LSTM(3, 4, proj_size=4), "LSTM: proj_size must be below hidden_size, and 0 for no projection"),
    (lambda: nn.RNNBase("GRU", 3, 4, proj_size=2), "RNNBase: only an LSTM has projections"),
    (lambda: nn.RNNBase("X", 3, 4), "RNNBase: no mode is called 'X'"),
    (lambda: nn.GRU(3, 4.0), "GRU: hidden_size must be an integer"),
    (lambda: nn.LSTM(3, 4)(tl.ones((2, 1, 3)), tl.ones((1, 1, 4))), "LSTM: hx must be a pair of tensors, (h_0, c_0)"),
    (lambda: nn.LSTM(3, 4, proj_size=2)(tl.ones((2, 1, 3)), (tl.ones((1, 1, 4)),) * 2),
     "LSTM: h_0 must have shape [1, 1, 2]"),
    (lambda: nn.GRU(3, 4)(tl.ones((2, 1, 3)), tl.ones((1, 1, 4), dtype=tl.float64)), "GRU: h_0 must be float32, as"),
    (lambda: nn.GRU(3, 4)([1.0]), "GRU: the input must be a tensor or a PackedSequence, not list"),
])
def test_what_layers_cannot_be_is_told(call, problem):
    with pytest.raises((ArgumentError, DTypeError, ShapeError)) as caught:
        call()
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_no_samples_and_no_steps_give_nothing(name):
    layer = getattr(nn, name)(2, 3, num_layers=2, bidirectional=True)
    for shape in ((3, 0, 2), (0, 4, 2)):
        output, last = layer(tl.zeros(shape))
        assert output.shape == (*shape[:2], 6)
        assert flat(last)[0].shape == (4, shape[1], 3)


def test_layers_say_what_they_are_made_of():
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2)
    assert isinstance(layer, nn.RNNBase)
    assert isinstance(nn.GRUCell(3, 4), nn.RNNCellBase)
    assert layer.mode == "LSTM"
    assert [[tuple(p.shape) for p in row] for row in layer.all_weights][2] == [(16, 4), (16, 2), (16,), (16,), (2, 4)]


@pytest.mark.parametrize("name", ["RNNBase", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell"])
def test_constructors_are_those_of_torch(name):
    from nn.against_torch import torch
    plain = lambda f: [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
    assert plain(getattr(nn, name)) == plain(getattr(torch.nn, name))
