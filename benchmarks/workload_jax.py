"""The workloads in JAX's own style: pure functions of dicts of arrays, the same weights and batch, `jax.jit`, donation.

Images and convolutions are laid out channels last, which XLA is fastest with on CPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tensorlite.benchmarks.workloads import Workload

Arrays = dict[str, Any]
Forward = Callable[[Arrays, Arrays, Any], tuple[Any, Arrays]]
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


# --- layers -------------------------------------------------------------------------------------------------------


def linear(p: Arrays, name: str, x: Any) -> Any:
    """``x @ weight.T``, and the bias if there is one."""
    y = x @ p[f"{name}.weight"].T
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def conv(p: Arrays, name: str, x: Any, stride: int = 1) -> Any:
    """A convolution padded to keep its size at stride 1; x: [images, height, width, channels]."""
    weight = p[f"{name}.weight"]
    pad = weight.shape[0] // 2
    y = lax.conv_general_dilated(x, weight, (stride, stride), [(pad, pad)] * 2,
                                 dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def layer_norm(p: Arrays, name: str, x: Any) -> Any:
    """Normalises the last axis."""
    mean = x.mean(-1, keepdims=True)
    var = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def batch_norm(p: Arrays, s: Arrays, name: str, x: Any, changed: Arrays) -> Any:
    """Normalises channels over a batch, and adds the moved statistics to ``changed``."""
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    count = x.size // x.shape[-1]
    changed[f"{name}.running_mean"] = 0.9 * s[f"{name}.running_mean"] + 0.1 * mean
    changed[f"{name}.running_var"] = 0.9 * s[f"{name}.running_var"] + 0.1 * var * (count / (count - 1))
    changed[f"{name}.num_batches_tracked"] = s[f"{name}.num_batches_tracked"] + 1
    return (x - mean) * (lax.rsqrt(var + 1e-5) * p[f"{name}.weight"]) + p[f"{name}.bias"]


# --- models: state and x to scores and changed state --------------------------------------------------------------


def mlp(p: Arrays, s: Arrays, x: Any) -> tuple[Any, Arrays]:
    """As `workload_models.MLP`."""
    x = jax.nn.relu(linear(p, "0", x))
    x = jax.nn.relu(linear(p, "2", x))
    return linear(p, "4", x), s


def conv_net(p: Arrays, s: Arrays, x: Any) -> tuple[Any, Arrays]:
    """As `workload_models.ConvNet`."""
    x = jax.nn.relu(conv(p, "0", x))
    x = jax.nn.relu(conv(p, "2", x))
    x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).max((2, 4))
    x = jax.nn.relu(linear(p, "6", x.reshape(len(x), -1)))
    return linear(p, "8", x), s


def res_net(p: Arrays, s: Arrays, x: Any) -> tuple[Any, Arrays]:
    """As `workload_models.ResNet`."""
    changed: Arrays = {}

    def normed(convolution: str, norm: str, x: Any, stride: int = 1) -> Any:
        return batch_norm(p, s, norm, conv(p, convolution, x, stride), changed)

    x = jax.nn.relu(normed("conv1", "bn1", x))
    for block in dict.fromkeys(name.rpartition(".conv1")[0] for name in p if name.endswith(".conv1.weight")):
        down = f"{block}.downsample"
        stride = 2 if f"{down}.0.weight" in p else 1
        y = jax.nn.relu(normed(f"{block}.conv1", f"{block}.bn1", x, stride))
        y = normed(f"{block}.conv2", f"{block}.bn2", y)
        x = jax.nn.relu(y + (normed(f"{down}.0", f"{down}.1", x, stride) if stride == 2 else x))
    return linear(p, "fc", x.mean((1, 2))), changed


def gpt(p: Arrays, s: Arrays, tokens: Any, heads: int) -> tuple[Any, Arrays]:
    """As `workload_models.GPT`."""
    batch, count = tokens.shape
    x = p["wte.weight"][tokens] + p["wpe.weight"][:count]
    dim = x.shape[-1]
    earlier = jnp.tril(jnp.ones((count, count), bool))
    for block in dict.fromkeys(name.partition(".ln_1")[0] for name in p if ".ln_1." in name):
        q, k, v = (part.reshape(batch, count, heads, dim // heads).transpose(0, 2, 1, 3) for part in jnp.split(
            linear(p, f"{block}.attn.qkv", layer_norm(p, f"{block}.ln_1", x)), 3, -1))
        scores = jnp.where(earlier, q @ k.swapaxes(-1, -2) * (dim // heads)**-0.5, -jnp.inf)
        out = (jax.nn.softmax(scores, -1) @ v).transpose(0, 2, 1, 3).reshape(batch, count, dim)
        x = x + linear(p, f"{block}.attn.proj", out)
        y = jax.nn.gelu(linear(p, f"{block}.mlp.0", layer_norm(p, f"{block}.ln_2", x)), approximate=False)
        x = x + linear(p, f"{block}.mlp.2", y)
    return linear(p, "head", layer_norm(p, "ln_f", x)).reshape(batch * count, -1), s


def char_lstm(p: Arrays, s: Arrays, tokens: Any) -> tuple[Any, Arrays]:
    """As `workload_models.CharLSTM`: the products with the inputs before the loop, a `lax.scan` over the rest."""
    x = p["embedding.weight"][tokens].swapaxes(0, 1)
    inputs = x @ p["lstm.weight_ih_l0"].T + p["lstm.bias_ih_l0"] + p["lstm.bias_hh_l0"]
    recurrent = p["lstm.weight_hh_l0"].T

    def cell(carry: Any, gates: Any) -> tuple[Any, Any]:
        h, c = carry
        i, f, g, o = jnp.split(gates + h @ recurrent, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], recurrent.shape[0]))
    _, out = lax.scan(cell, (zeros, zeros), inputs)
    return linear(p, "head", out.swapaxes(0, 1).reshape(tokens.size, -1)), s


# --- optimizers: parameters, gradients and state to parameters and state ------------------------------------------


def sgd(p: Arrays, g: Arrays, state: Arrays, lr: float, momentum: float) -> tuple[Arrays, Arrays]:
    """SGD with momentum, as PyTorch has it."""
    velocity = jax.tree.map(lambda v, g: momentum * v + g, state["velocity"], g)
    return jax.tree.map(lambda p, v: p - lr * v, p, velocity), {"velocity": velocity}


def adam(decay: float, p: Arrays, g: Arrays, state: Arrays, lr: float) -> tuple[Arrays, Arrays]:
    """Adam, and AdamW where the parameters decay."""
    step = state["step"] + 1
    mean = jax.tree.map(lambda m, g: m + (g - m) * (1 - 0.9), state["mean"], g)
    square = jax.tree.map(lambda v, g: 0.999 * v + (1 - 0.999) * g * g, state["square"], g)
    rate, root = lr / (1 - 0.9**step), jnp.sqrt(1 - 0.999**step)
    p = jax.tree.map(lambda p, m, v: p * (1 - lr * decay) - rate * m / (jnp.sqrt(v) / root + 1e-8), p, mean, square)
    return p, {"step": step, "mean": mean, "square": square}


def _optimizer(workload: Workload, p: Arrays) -> tuple[Callable[..., tuple[Arrays, Arrays]], Arrays]:
    zeros = lambda: jax.tree.map(jnp.zeros_like, p)
    if workload.optimizer == "SGD":
        return lambda *a: sgd(*a, **workload.options), {"velocity": zeros()}
    decay = 1e-2 if workload.optimizer == "AdamW" else 0.0
    return lambda *a: adam(decay, *a, **workload.options), {"step": 0.0, "mean": zeros(), "square": zeros()}


# --- the step -----------------------------------------------------------------------------------------------------


def _forward(workload: Workload) -> Forward:
    if workload.network == "GPT":
        return lambda p, s, x: gpt(p, s, x, workload.sizes["heads"])
    return {"MLP": mlp, "ConvNet": conv_net, "ResNet": res_net, "CharLSTM": char_lstm}[workload.network]


def _channels_last(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The convolutions' weights as [height, width, in, out], and of an affine map after them the inputs' order."""
    found = {name: x.transpose(2, 3, 1, 0) if x.ndim == 4 else x for name, x in weights.items()}
    if "6.weight" in found:
        channels = weights["2.weight"].shape[0]
        out, inputs = weights["6.weight"].shape
        side = round((inputs // channels)**0.5)
        found["6.weight"] = weights["6.weight"].reshape(out, channels, side, side).transpose(0, 2, 3, 1).reshape(
            out, inputs)
    return found


def build(workload: Workload, seed: int = 0) -> tuple[Callable[[Any, Any], Any], Any]:
    """The training step, which keeps and donates its state, and its batch; each call waits for its results."""
    arrays = {name: jnp.array(x) for name, x in _channels_last(workload.weights(seed)).items()}
    s = {name: x for name, x in arrays.items() if name.endswith(_STATISTICS)}
    p = {name: x for name, x in arrays.items() if name not in s}
    images, classes = workload.batch(seed)
    x = jnp.array(images.transpose(0, 2, 3, 1) if images.ndim == 4 else images)
    forward, (move, moments) = _forward(workload), _optimizer(workload, p)

    def loss_of(p: Arrays, s: Arrays, x: Any, y: Any) -> tuple[Any, Arrays]:
        scores, s = forward(p, s, x)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(scores, -1), y[:, None], 1)
        return -chosen.mean(), s

    @jax.jit(donate_argnums=0)
    def train(state: Any, x: Any, y: Any) -> tuple[Any, Any]:
        p, s, moments = state
        (loss, s), g = jax.value_and_grad(loss_of, has_aux=True)(p, s, x, y)
        p, moments = move(p, g, moments)
        return (p, s, moments), loss

    state = [(p, s, moments)]

    def step(x: Any, y: Any) -> Any:
        state[0], loss = jax.block_until_ready(train(state[0], x, y))
        return loss
    return step, (x, jnp.array(classes))


# --- functions ----------------------------------------------------------------------------------------------------


def runner(function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> Callable[[], Any]:
    """Calls a compiled function of arrays, and waits for what it gives."""
    compiled, there = jax.jit(function), [jnp.array(x) for x in arrays]
    return lambda: jax.block_until_ready(compiled(*there))


def perceptron(weights: Sequence[np.ndarray], x: np.ndarray) -> Callable[[], Any]:
    """Inference of two affine maps with ReLU between them."""
    first, first_bias, second, second_bias = (jnp.array(array) for array in weights)
    return runner(lambda x: jax.nn.relu(x @ first.T + first_bias) @ second.T + second_bias, [x])
