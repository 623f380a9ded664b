"""One step of recurrent networks, and the layers that take one: RNNCell, LSTMCell and GRUCell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.elementwise import relu, sigmoid, tanh
from tensorlite.ops.filled import empty, zeros
from tensorlite.ops.join import _parts
from tensorlite.ops.shape import astype
from tensorlite.tensor import Tensor

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]

State = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """What a step multiplies by: biases that only add up are both with the input's."""

    of_input: Tensor
    of_state: Tensor
    bias: Tensor | None = None
    own_bias: Tensor | None = None
    projection: Tensor | None = None


# --- one step: the state and what the input's weights made of the input, to the next state --------------------------


def _rnn_step(activation: Callable[[Tensor], Tensor]) -> Callable[[State, Tensor, Weights], State]:
    def step(state: State, given: Tensor, weights: Weights) -> State:
        return (activation(given + F.linear(state[0], weights.of_state)),)
    return step


def _lstm_step(state: State, given: Tensor, weights: Weights) -> State:
    """Hochreiter and Schmidhuber, "Long short-term memory", 1997, with the gate that forgets.

    The projection is that of Sak et al., "Long short-term memory recurrent neural network architectures", 2014.
    """
    h, c = state
    i, f, g, o = _parts(given + F.linear(h, weights.of_state), axis=given.ndim - 1, count=4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return h if weights.projection is None else F.linear(h, weights.projection), c


def _gru_step(state: State, given: Tensor, weights: Weights) -> State:
    """Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, as cuDNN has it."""
    (h,) = state
    last = given.ndim - 1
    from_state = F.linear(h, weights.of_state, weights.own_bias)
    of_input, of_state = (_parts(x, axis=last, count=3) for x in (given, from_state))
    r, z = (sigmoid(x + y) for x, y in zip(of_input[:2], of_state[:2], strict=True))
    n = tanh(of_input[2] + r * of_state[2])
    return (n + z * (h - n),)


@dataclass(frozen=True, slots=True)
class Kind:
    """A recurrent network: how many rows of weights a feature has, how many states, and its step."""

    gates: int
    states: int
    step: Callable[[State, Tensor, Weights], State]


KINDS = {"RNN_TANH": Kind(1, 1, _rnn_step(tanh)), "RNN_RELU": Kind(1, 1, _rnn_step(relu)),
         "LSTM": Kind(4, 2, _lstm_step), "GRU": Kind(3, 1, _gru_step)}


def mode_of(op: str, nonlinearity: str) -> str:
    """The kind of plain network of a nonlinearity; raises `ArgumentError` for another than tanh and relu."""
    mode = f"RNN_{nonlinearity}".upper()
    if mode not in KINDS or nonlinearity != nonlinearity.lower():
        raise complaint(ArgumentError, op, f"no nonlinearity is called {nonlinearity!r}", None, "use 'tanh' or 'relu'")
    return mode


# --- parameters -----------------------------------------------------------------------------------------------------


def check_size(layer: Module, hidden_size: Any) -> None:
    """Raises what is wrong with a number of hidden features."""
    name = type(layer).__name__
    if isinstance(hidden_size, bool) or not isinstance(hidden_size, int):
        raise complaint(DTypeError, name, "hidden_size must be an integer", {"hidden_size": hidden_size})
    if hidden_size < 1:
        raise complaint(ArgumentError, name, "hidden_size must be positive", {"hidden_size": hidden_size})


def add_weights(layer: Module, rows: int, inputs: int, states: int, bias: bool, suffix: str, dtype: Any,
                device: str | None) -> None:
    """Registers the parameters of one cell, whose names end alike."""
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, states)}
    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    for name, shape in shapes.items():
        made = Parameter(empty(shape, dtype=dtype, device=device)) if bias or len(shape) == 2 else None
        if made is not None or not suffix:
            layer.register_parameter(name + suffix, made)


def draw_weights(layer: Any) -> None:
    """Draws parameters evenly from ``±1 / sqrt(hidden_size)``."""
    bound = 1 / math.sqrt(layer.hidden_size)
    for parameter in layer.parameters():
        init.uniform_(parameter, -bound, bound)


def weights_of(layer: Any, suffix: str, kind: Kind) -> Weights:
    """The weights of one cell of a layer, by what their names end in."""
    of_input, of_state = (getattr(layer, f"weight_{name}{suffix}") for name in ("ih", "hh"))
    projection = getattr(layer, f"weight_hr{suffix}") if getattr(layer, "proj_size", 0) else None
    if not layer.bias:
        return Weights(of_input, of_state, projection=projection)
    first, second = (getattr(layer, f"bias_{name}{suffix}") for name in ("ih", "hh"))
    if kind.gates == 3:
        return Weights(of_input, of_state, first, second)
    return Weights(of_input, of_state, first + second, projection=projection)


def as_state(layer: Module, hx: Any, like: Tensor, shapes: tuple[tuple[int, ...], ...]) -> State:
    """The states that a layer starts from: zeros, or those given, of which there must be one for each shape."""
    name, names = type(layer).__name__, ("h_0", "c_0")[:len(shapes)]
    if hx is None:
        return tuple(zeros(shape, dtype=like.dtype, device=like.device) for shape in shapes)
    if len(shapes) == 1:
        hx = (hx,)
    if not isinstance(hx, tuple | list) or len(hx) != len(shapes) or not all(isinstance(x, Tensor) for x in hx):
        wanted = "a tensor" if len(shapes) == 1 else "a pair of tensors, (h_0, c_0)"
        raise complaint(DTypeError, name, f"hx must be {wanted}", {"hx": hx[0] if len(shapes) == 1 else hx})
    for each, x, shape in zip(names, hx, shapes, strict=True):
        if x.shape != shape:
            raise complaint(ShapeError, name, f"{each} must have shape {list(shape)}", {each: x})
        if x.dtype != like.dtype:
            raise complaint(DTypeError, name, f"{each} must be {like.dtype.name}, as the input is", {each: x},
                            f"cast it: {each}.to(tl.{like.dtype.name})")
    return tuple(hx)


# --- cells ----------------------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What cells share: parameters of ``num_chunks`` gates, drawn evenly from ``±1 / sqrt(hidden_size)``."""

    mode: str

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__()
        check_size(self, hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        add_weights(self, num_chunks * hidden_size, input_size, hidden_size, bias, "", dtype, device)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        draw_weights(self)

    def _next(self, input: Tensor, hx: Any) -> State:
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise complaint(ShapeError, type(self).__name__, "the input must be [input_size] or [batch, input_size]",
                            {"input": input, "input_size": self.input_size})
        kind = KINDS[self.mode]
        state = as_state(self, hx, input, ((*input.shape[:-1], self.hidden_size),) * kind.states)
        weights = weights_of(self, "", kind)
        given = F.linear(input, weights.of_input, weights.bias)
        return kind.step(tuple(astype(part, given.dtype, copy=False) for part in state), given, weights)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """One step of `RNN`: ``tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)``.

    >>> import tensorlite as tl
    >>> tl.nn.RNNCell(3, 4)(tl.zeros((2, 3))).shape
    (2, 4)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity, self.mode = nonlinearity, mode_of("RNNCell", nonlinearity)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(input, hx)[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: the next ``(h, c)``.

    >>> import tensorlite as tl
    >>> h, c = tl.nn.LSTMCell(3, 4)(tl.zeros((2, 3)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    mode = "LSTM"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._next(input, hx)
        return h, c


class GRUCell(RNNCellBase):
    """One step of `GRU`.

    >>> import tensorlite as tl
    >>> tl.nn.GRUCell(3, 4)(tl.zeros((2, 3))).shape
    (2, 4)
    """

    mode = "GRU"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(input, hx)[0]
