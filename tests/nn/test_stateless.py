"""Modules as functions of their parameters: functional_call and stack_module_state with grad, vmap and jit; fusion."""

from __future__ import annotations

import numpy as np
import pytest
from nn.compiled import whole
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError
from tensorlite.nn import utils


def model():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


X = tl.tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32))


def test_a_call_uses_other_parameters_and_leaves_the_module_alone():
    first, second = model(), model()
    before = dict(first.named_parameters())
    found = tl.functional_call(first, dict(second.named_parameters()), X)
    assert_same(found, second(X))
    assert dict(first.named_parameters()) == before
    with pytest.raises(ShapeError):
        tl.functional_call(first, {"0.weight": tl.ones((1, 1))}, X)
    assert dict(first.named_parameters()) == before
    assert_same(tl.functional_call(first, [{"0.weight": second[0].weight}, {"0.bias": second[0].bias}], (X,)),
                nn.Sequential(second[0], first[1], first[2])(X))


def test_gradients_are_those_of_the_modules_own_parameters():
    layers = model()
    parameters = {name: p.detach() for name, p in layers.named_parameters()}

    def loss(parameters, x):
        return (tl.functional_call(layers, parameters, x) ** 2).sum()
    found = tl.grad(loss)(parameters, X)
    (layers(X) ** 2).sum().backward()
    compiled = tl.jit(tl.grad(loss))
    for name, p in layers.named_parameters():
        assert_same(found[name], p.grad)
    for _ in range(2):
        for name, g in compiled(parameters, X).items():
            assert_close(g, found[name].numpy(), terms=50)
    whole(compiled)


def test_gradients_of_each_sample():
    layers = model()
    parameters = dict(layers.named_parameters())

    def loss(parameters, x):
        return (tl.functional_call(layers, parameters, (x,)) ** 2).sum()
    each = tl.vmap(tl.grad(loss), in_axes=(None, 0))
    found = each({name: p.detach() for name, p in parameters.items()}, X)
    for name in parameters:
        looped = tl.stack([tl.grad(loss)({k: p.detach() for k, p in parameters.items()}, x)[name] for x in X])
        assert_close(found[name], looped.numpy(), terms=50)


def test_models_are_mapped_over():
    models = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval() for _ in range(3)]
    parameters, buffers = tl.stack_module_state(models)
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in parameters.values())
    run = lambda p, b, x: tl.functional_call(models[0], (p, b), (x,))
    for call in (tl.vmap(run, in_axes=(0, 0, None)), tl.jit(tl.vmap(run, in_axes=(0, 0, None)))):
        assert_close(call(parameters, buffers, X), tl.stack([m(X) for m in models]).detach().numpy(), terms=30)


def test_changed_buffers_are_in_the_dict():
    layer = nn.BatchNorm1d(3)
    buffers = {name: tl.zeros(b.shape, dtype=b.dtype) for name, b in layer.named_buffers()}
    tl.functional_call(layer, buffers, X)
    assert buffers["num_batches_tracked"].item() == 1
    assert layer.num_batches_tracked.item() == 0
    assert_close(buffers["running_mean"], X.numpy().mean(0) / 10, terms=10)

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = nn.Buffer(tl.tensor(0))

        def forward(self, x):
            self.count = self.count + 1
            return x
    counting, given = Counting(), {"count": tl.tensor(5)}
    tl.functional_call(counting, given, X)
    assert (given["count"].item(), counting.count.item()) == (6, 0)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(1, 1, bias=False)
        self.second = self.first.weight

    def forward(self, x):
        return self.first(x) + self.second


def test_tied_weights_are_replaced_under_all_names():
    module, x, two = Tied(), tl.ones((1, 1)), tl.full((1, 1), 2.0)
    assert tl.functional_call(module, {"second": two}, x).item() == 4
    assert tl.functional_call(module, {"first.weight": two}, x).item() == 4
    assert tl.functional_call(module, {"first.weight": two, "second": two}, x, strict=True).item() == 4
    apart = {"first.weight": two, "second": tl.zeros((1, 1))}
    assert tl.functional_call(module, apart, x, tie_weights=False).item() == 2
    with pytest.raises(ArgumentError) as caught:
        tl.functional_call(module, apart, x)
    assert str(caught.value).split("\n")[0] == ("functional_call: first.weight and second are the same parameter, and "
                                                "are given different tensors")


def test_parametrized_weights_and_keywords():
    layer = utils.parametrizations.weight_norm(nn.Linear(3, 2))
    given = {"parametrizations.weight.original0": tl.zeros((2, 1)), "bias": tl.ones(2)}
    assert_same(tl.functional_call(layer, given, kwargs={"input": X}), np.ones((5, 2), np.float32))


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda m: tl.functional_call(m, {"0.weight": m[0].weight}, X, strict=True), ArgumentError,
     "functional_call: the tensors do not fit the module (missing: 0.bias, 2.weight, 2.bias)"),
    (lambda m: tl.functional_call(m, {**dict(m.named_parameters()), "x": X}, X, strict=True), ArgumentError,
     "functional_call: the tensors do not fit the module (unexpected: x)"),
    (lambda m: tl.functional_call(m, [{"0.weight": X}, {"0.weight": X}], X), ArgumentError,
     "functional_call: 0.weight is given twice"),
    (lambda m: tl.functional_call(m, 3, X), DTypeError, "functional_call: takes a dict of tensors or several, not int"),
    (lambda m: tl.functional_call(abs, {}, X), DTypeError,
     "functional_call: takes a Module, not builtin_function_or_method"),
    (lambda m: tl.stack_module_state([]), ArgumentError, "stack_module_state: takes at least one model"),
    (lambda m: tl.stack_module_state([m, model().eval()]), ArgumentError,
     "stack_module_state: all models must train, or none"),
    (lambda m: tl.stack_module_state([m, nn.Linear(1, 1)]), ArgumentError,
     "stack_module_state: the models must be of one class"),
    (lambda m: tl.stack_module_state([m, model().requires_grad_(False)]), ArgumentError,
     "stack_module_state: 0.weight requires gradients in some models, not in all"),
    (lambda m: utils.fuse_linear_bn_eval(m[0].eval(), nn.BatchNorm1d(3).eval()), ShapeError,
     "fuse_linear_bn_eval: the layer has 4 outputs, the batch norm 3 channels"),
    (lambda m: utils.fuse_linear_bn_eval(m[0], nn.BatchNorm1d(4).eval()), ArgumentError,
     "fuse_linear_bn_eval: fusion is for evaluation: a layer and a batch norm in evaluation mode"),
    (lambda m: utils.fuse_linear_bn_eval(m[0].eval(), nn.BatchNorm1d(4, track_running_stats=False).eval()),
     ArgumentError, "fuse_linear_bn_eval: the batch norm tracked no statistics"),
])
def test_what_does_not_fit_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call(model())
    assert str(caught.value).split("\n")[0] == text


def trained(layer, norm, *shape):
    norm(layer(tl.rand(shape)))
    with tl.no_grad():
        if norm.weight is not None:
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-1, 1)
    return layer.eval(), norm.eval()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_fused_layers_compute_the_same(bias, affine):
    cases = [(nn.Linear(3, 4, bias=bias), nn.BatchNorm1d(4, affine=affine), (5, 3), utils.fuse_linear_bn_eval, {}),
             (nn.Conv2d(3, 4, 2, bias=bias), nn.BatchNorm2d(4, affine=affine), (2, 3, 5, 4), utils.fuse_conv_bn_eval,
              {}),
             (nn.ConvTranspose2d(3, 4, 2, bias=bias), nn.BatchNorm2d(4, affine=affine), (2, 3, 5, 4),
              utils.fuse_conv_bn_eval, {"transpose": True})]
    for layer, norm, shape, fuse, options in cases:
        layer, norm = trained(layer, norm, *shape)
        x, before = tl.rand(shape), layer.weight.detach().numpy().copy()
        fused = fuse(layer, norm, **options)
        assert_close(fused(x), norm(layer(x)).detach().numpy(), terms=200)
        assert isinstance(fused.weight, nn.Parameter)
        assert_same(layer.weight, before)
