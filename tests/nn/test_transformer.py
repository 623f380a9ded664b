"""Transformers against PyTorch from the same parameters, over options drawn at random; compiled training steps."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import assert_close

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError

TERMS = 1 << 14
NAMES = ("TransformerEncoderLayer", "TransformerDecoderLayer", "TransformerEncoder", "TransformerDecoder",
         "Transformer")

options_of = st.fixed_dictionaries({
    "activation": st.sampled_from(["relu", "gelu", "callable"]), "norm_first": st.booleans(), "bias": st.booleans(),
    "batch_first": st.booleans(), "layer_norm_eps": st.sampled_from([1e-5, 0.1])})
masks_of = st.fixed_dictionaries({}, optional={
    "src_mask": st.sampled_from(["bool", "float"]), "tgt_mask": st.sampled_from(["bool", "float", "causal"]),
    "memory_mask": st.just("bool"), "src_key_padding_mask": st.sampled_from(["bool", "float"]),
    "tgt_key_padding_mask": st.just("bool"), "memory_key_padding_mask": st.just("bool")})


def models(name, **options):
    """Our model and PyTorch's of the same parameters, in float64 and without dropout."""
    from nn.against_torch import draw, torch
    found = []
    for library, functional in ((nn, tl.nn.functional), (torch.nn, torch.nn.functional)):
        own = {**options, "dropout": 0.0}
        own["activation"] = functional.silu if own["activation"] == "callable" else own["activation"]
        dtype = tl.float64 if library is nn else torch.float64
        if name == "Transformer":
            model = library.Transformer(8, 2, 2, 1, 12, dtype=dtype, **own)
        elif name.endswith("Layer"):
            model = getattr(library, name)(8, 2, 12, dtype=dtype, **own)
        else:
            layer = getattr(library, name + "Layer")(8, 2, 12, dtype=dtype, **own)
            model = getattr(library, name)(layer, 2, library.LayerNorm(8, dtype=dtype))
        found.append(model)
    ours, theirs = found
    assert list(ours.state_dict()) == list(theirs.state_dict())
    values = {key: draw(*x.shape, seed=i) / 3 for i, (key, x) in enumerate(ours.state_dict().items())}
    ours.load_state_dict(values)
    theirs.load_state_dict({key: torch.tensor(x) for key, x in values.items()})
    return ours, theirs


SOURCE, TARGET = 4, 3


def inputs_of(name, batch_first, batched):
    from nn.against_torch import draw
    lead = lambda n: (n,) if not batched else (2, n) if batch_first else (n, 2)
    src, tgt = draw(*lead(SOURCE), 8), draw(*lead(TARGET), 8, seed=1)
    return (src,) if "Encoder" in name else (src, tgt) if name == "Transformer" else (tgt, src)


#: What a mask of the whole model is called by parts of it.
PARTS = {"TransformerEncoder": {"src_mask": "mask", "src_key_padding_mask": "src_key_padding_mask"},
         "TransformerEncoderLayer": {"src_mask": "src_mask", "src_key_padding_mask": "src_key_padding_mask"}}


def masks_for(name, kinds, batched):
    """Arrays of masks that hide no query's first key, by the names that a part takes."""
    rng = np.random.default_rng(0)
    tokens = {"src": (SOURCE, SOURCE), "tgt": (TARGET, TARGET), "memory": (TARGET, SOURCE)}
    found = {}
    for key, kind in kinds.items():
        part = key.split("_")[0]
        shape = tokens[part]
        if "padding" in key:
            shape = (2, shape[1]) if batched else shape[1:]
        hidden = np.triu(np.ones(shape, bool), 1) if kind == "causal" else rng.random(shape) < 0.4
        hidden[..., 0] = False
        names = PARTS.get(name, {}) if "Encoder" in name else {key: key}
        if "Decoder" in name and part == "src":
            continue
        if key in names:
            found[names[key]] = np.where(hidden, -np.inf, 0.25) if kind == "float" else hidden
    return found


def run(library, model, arrays, masks, causal):
    inputs = [library.tensor(a, requires_grad=True) for a in arrays]
    y = model(*inputs, **{key: library.tensor(m) for key, m in masks.items()}, **causal)
    (y ** 3).sum().backward()
    return [y, *(x.grad for x in inputs), *(p.grad for p in model.parameters())]


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(NAMES), options=options_of, kinds=masks_of, batched=st.booleans())
def test_transformers_agree_with_torch(name, options, kinds, batched):
    from nn.against_torch import torch
    ours, theirs = models(name, **options)
    arrays, masks = inputs_of(name, options["batch_first"], batched), masks_for(name, kinds, batched)
    causal = {"tgt_is_causal": True} if "tgt_mask" in masks and kinds["tgt_mask"] == "causal" else {}
    for y, z in zip(run(tl, ours, arrays, masks, causal), run(torch, theirs, arrays, masks, {}), strict=True):
        assert_close(y, z.detach().numpy(), terms=TERMS)


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_those_of_torch(name):
    from nn.against_torch import torch
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    for a, b in ((ours, theirs), (ours.forward, theirs.forward)):
        a, b = ([(p.name, getattr(p.default, "__name__", p.default)) for p in inspect.signature(f).parameters.values()]
                for f in (a, b))
        assert a == b


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_parameters_are_drawn_as_in_torch():
    from nn.against_torch import torch
    tl.manual_seed(0)
    torch.manual_seed(0)
    ours = nn.Transformer(48, 4, 1, 1, 64).state_dict()
    for name, wanted in torch.nn.Transformer(48, 4, 1, 1, 64).state_dict().items():
        found, wanted = ours[name].numpy(), wanted.numpy()
        error = 6 * wanted.std() / found.size**0.5
        assert abs(found.mean() - wanted.mean()) <= 2 * error, name
        assert abs(found.std() - wanted.std()) <= 2 * error, name


def test_layers_of_a_stack_are_copies_with_parameters_of_their_own():
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 4), 2)
    first, second = stack.layers
    assert first.linear1.weight is not second.linear1.weight
    np.testing.assert_array_equal(first.linear1.weight.detach().numpy(), second.linear1.weight.detach().numpy())
    assert "norm" not in dict(stack.named_modules())


@pytest.mark.parametrize("tokens", [0, 1, 4])
def test_the_causal_mask_is_torchs(tokens):
    from nn.against_torch import torch
    found = nn.Transformer.generate_square_subsequent_mask(tokens, dtype=tl.float64)
    assert_close(found, torch.nn.Transformer.generate_square_subsequent_mask(tokens, dtype=torch.float64).numpy())


def test_own_encoders_and_decoders_are_used():
    class Encoder(nn.Module):
        def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
            return src * 2

    class Decoder(nn.Module):
        def forward(self, tgt, memory, **masks):
            return tgt + memory.sum()

    model = nn.Transformer(4, 1, custom_encoder=Encoder(), custom_decoder=Decoder())
    assert not list(model.parameters())
    assert_close(model(tl.ones((1, 1, 4)), tl.ones((1, 1, 4))), np.full((1, 1, 4), 9, np.float32))


def test_a_causal_model_does_not_see_what_comes():
    tl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    mask = nn.Transformer.generate_square_subsequent_mask(6)
    x = tl.tensor(np.random.default_rng(0).standard_normal((2, 6, 8), np.float32))
    full, part = (layer(x[:, :n], mask[:n, :n], is_causal=True) for n in (6, 4))
    assert_close(full[:, :4], part, terms=64)
    assert_close(full, layer(x, mask), terms=64)


REFUSED = {
    "an activation": (lambda: nn.TransformerEncoderLayer(8, 2, activation="tanh"), ArgumentError, """
TransformerEncoderLayer: no activation is called 'tanh'
  at HERE
  fix: use 'relu', 'gelu' or a function"""),
    "features": (lambda: nn.Transformer(8, 2, 1, 1, 4)(tl.ones((3, 2, 8)), tl.ones((3, 2, 7))), ShapeError, """
Transformer: src and tgt must have 8 features
  src  float32[3, 2, 8]
  tgt  float32[3, 2, 7]
  at HERE"""),
    "samples": (lambda: nn.Transformer(8, 2, 1, 1, 4)(tl.ones((3, 2, 8)), tl.ones((3, 1, 8))), ShapeError, """
Transformer: src and tgt must have as many samples as each other
  src  float32[3, 2, 8]
  tgt  float32[3, 1, 8]
  at HERE"""),
    "axes": (lambda: nn.Transformer(8, 2, 1, 1, 4)(tl.ones((3, 2, 8)), tl.ones((3, 8))), ShapeError, """
Transformer: src and tgt must have as many samples as each other
  src  float32[3, 2, 8]
  tgt  float32[3, 8]
  at HERE"""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_told(name):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    assert re.sub(r"at test_transformer.py:\d+ in .*", "at HERE", str(caught.value)) == text.strip()


# --- compiled -------------------------------------------------------------------------------------------------------


def translator(dropout):
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=dropout, batch_first=True, norm_first=True, activation="gelu",
                           dtype=tl.float64)
    return nn.ModuleDict({
        "source": nn.Embedding(11, 8, dtype=tl.float64), "target": nn.Embedding(7, 8, dtype=tl.float64),
        "place": nn.SinusoidalPositionalEncoding(8, dropout, batch_first=True), "model": model,
        "head": nn.Linear(8, 7, dtype=tl.float64)})


def test_a_compiled_training_step_of_a_transformer_is_that_of_eager():
    rng = np.random.default_rng(0)
    source, target = tl.tensor(rng.integers(1, 11, (3, 6))), tl.tensor(rng.integers(0, 7, (3, 5)))
    source[:, -1] = tl.tensor([0, 1, 0])
    results = []
    for decorate in (lambda f: f, tl.jit):
        tl.manual_seed(0)
        parts = translator(0.1)
        optimizer = tl.optim.Adam(parts.parameters(), 0.02)
        causal = nn.Transformer.generate_square_subsequent_mask(4, dtype=tl.float64)

        @decorate
        def step(source, target, parts=parts, optimizer=optimizer, causal=causal):
            optimizer.zero_grad()
            padding = source == 0
            y = parts["model"](parts["place"](parts["source"](source)), parts["place"](parts["target"](target[:, :-1])),
                               tgt_mask=causal, tgt_is_causal=True, src_key_padding_mask=padding,
                               memory_key_padding_mask=padding)
            loss = nn.functional.cross_entropy(parts["head"](y).reshape(-1, 7), target[:, 1:].reshape(-1))
            loss.backward()
            optimizer.step()
            return loss

        results.append([float(step(source, target)) for _ in range(5)])
    assert results[0][-1] < results[0][0]
    assert_close(np.array(results[1]), np.array(results[0]), terms=TERMS)
    assert not step.explain().edges


def test_a_model_maps_over_samples():
    tl.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True, dtype=tl.float64)
    rng = np.random.default_rng(0)
    src, tgt = tl.tensor(rng.standard_normal((3, 4, 8))), tl.tensor(rng.standard_normal((3, 5, 8)))
    assert_close(tl.vmap(model)(src, tgt), model(src, tgt), terms=TERMS)
