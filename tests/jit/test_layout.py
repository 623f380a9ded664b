"""Channels last between convolutions: which values of a graph lie so, that results are the same, and who sees it."""

from __future__ import annotations

import pytest
from tolerance import WINOGRAD, assert_close_to_scale

import tensorlite as tl
from tensorlite import nn
from tensorlite.jit.layout import channels_last
from tensorlite.jit.parse import parse
from tensorlite.jit.verify import verify


def names(text: str, kept: bool = True) -> set[str]:
    """The names, as the text has them, of the values whose channels come last."""
    graph = verify(parse(text))
    order = [*graph.inputs, *(y for e in graph.equations for y in e.outputs)]
    found = channels_last(graph, lambda value: kept)
    return {f"v{k}" for k, value in enumerate(order) if value in found}


CONV = "stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups={}"
IMAGE = "float32[1, 16, 8, 8]"


def convolution(name: str, x: str, groups: int = 1) -> str:
    return f"    {name}: {IMAGE} = conv2d({x}, v1, {CONV.format(groups)})\n"


HEAD = f"def graph(v0: {IMAGE}, v1: float32[16, 16, 3, 3], v2: float32[16, 8, 3, 3]):\n"


def test_what_lies_between_two_convolutions():
    body = convolution("v3", "v0") + f"    v4: {IMAGE} = relu(v3)\n" + convolution("v5", "v4")
    assert names(HEAD + body + "    return v5\n") == {"v3", "v4"}


def test_one_convolution_alone_gains_nothing():
    pooled = "    v4: float32[1, 16, 4, 4] = max_pool2d(v3, kernel=(2, 2), stride=(2, 2), padding=(0, 0), " \
             "dilation=(1, 1), ceil_mode=False)\n"
    assert names(HEAD + convolution("v3", "v0") + pooled + "    return v4\n") == set()


def test_a_residual_is_in_the_order_of_what_it_is_added_to():
    body = (convolution("v3", "v0") + convolution("v4", "v3") + f"    v5: {IMAGE} = add(v4, v3)\n"
            + "    v6: float32[1, 16] = mean(v5, axis=(2, 3), keepdims=False, dtype=None)\n    return v6\n")
    assert names(HEAD + body) == {"v3", "v4", "v5"}


def test_what_is_tied_to_the_users_images_stays_as_they_are():
    body = (convolution("v3", "v0") + f"    v4: {IMAGE} = add(v3, v0)\n" + convolution("v5", "v4")
            + convolution("v6", "v5") + "    return v6\n")
    assert names(HEAD + body) == {"v5"}


@pytest.mark.parametrize("reader", [
    "    v5: float32[1, 1024] = reshape(v3, shape=(1, 1024))\n",
    f"    v5: {IMAGE} = conv2d(v3, v2, {CONV.format(2)})\n",
    "    v5: float32[1, 8, 8] = max(v3, axis=(1,), keepdims=False)\n",
])
def test_who_else_reads_an_image_needs_it_as_it_is(reader):
    body = convolution("v3", "v0") + convolution("v4", "v3") + reader
    assert names(HEAD + body + "    return v4, v5\n") == set()


def test_what_is_returned_is_as_users_expect():
    assert names(HEAD + convolution("v3", "v0") + convolution("v4", "v3") + "    return v3, v4\n") == set()


def test_few_pixels_are_worth_it_where_filters_are_kept():
    text = HEAD + convolution("v3", "v0") + convolution("v4", "v3") + "    return v4\n"
    assert names(text) == {"v3"}
    assert names(text, kept=False) == set()


def test_a_depthwise_convolution_keeps_the_order():
    text = HEAD.replace("16, 8, 3, 3", "16, 1, 3, 3") + convolution("v3", "v0")
    text += f"    v4: {IMAGE} = conv2d(v3, v2, {CONV.format(16)})\n" + convolution("v5", "v4") + "    return v5\n"
    assert names(text) == {"v3", "v4"}


class Block(nn.Module):
    """A block of a residual network whose step is 2."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 24, 7, 2, 3), nn.BatchNorm2d(24)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.down, self.wide = nn.Conv2d(24, 40, 1, 2), nn.Conv2d(24, 40, 3, 2, 1)
        self.tiles, self.points = nn.Conv2d(40, 40, 3, padding=1), nn.Conv2d(40, 40, 1)
        self.average, self.linear = nn.AdaptiveAvgPool2d(1), nn.Linear(40, 10)

    def forward(self, x: tl.Tensor) -> tuple[tl.Tensor, tl.Tensor]:
        x = self.pool(tl.relu(self.norm(self.first(x))))
        x = tl.relu(self.wide(x)) + self.down(x)
        gate = tl.sigmoid(tl.mean(x, axis=(2, 3), keepdims=True))
        y = self.points(tl.gelu(self.tiles(x)) * gate) + x
        return self.linear(tl.reshape(self.average(y), (-1, 40))), tl.max(y, axis=(2, 3))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_network_computes_the_same(batch):
    tl.manual_seed(0)
    net = Block().eval()
    jitted = tl.jit(net)
    x = tl.randn(batch, 3, 61, 50)
    with tl.no_grad():
        found, expected = jitted(x), net(x)
        for y, z in zip(found, expected, strict=True):
            assert_close_to_scale(y.numpy(), z.numpy(), WINOGRAD)
        net.tiles.weight.copy_(net.tiles.weight * 2)
        assert_close_to_scale(jitted(x)[1].numpy(), net(x)[1].numpy(), WINOGRAD)
    (found,) = jitted.explain().specialisations
    assert not found.edges
    last = [kernel for kernel in found.kernels if kernel.last]
    assert {"max_pool2d"} < {kernel.name for kernel in last}
    assert "write images whose channels come last in memory" in str(jitted.explain())


def test_training_and_evaluating_share_a_network():
    tl.manual_seed(0)
    net, x = Block(), tl.randn(2, 3, 40, 40)
    step = tl.jit(lambda: net(x)[0].sum().backward())
    step()
    gradient = net.tiles.weight.grad.numpy().copy()
    net.zero_grad()
    net(x)[0].sum().backward()
    assert_close_to_scale(gradient, net.tiles.weight.grad.numpy(), 10 * WINOGRAD)
