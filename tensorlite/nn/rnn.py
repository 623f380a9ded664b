"""Recurrent layers: RNN, LSTM and GRU over sequences, and their cells.

A layer multiplies the whole sequence by the input's weights at once, then carries its state through `scan`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.control import scan
from tensorlite.ops.elementwise import relu, sigmoid, tanh
from tensorlite.ops.filled import empty, zeros
from tensorlite.ops.join import _parts, concat, stack
from tensorlite.ops.shape import _permute_dims
from tensorlite.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

State = tuple[Tensor, ...]

# --- one step: the state and what the input's weights made of the input, to the next state --------------------------


def _rnn_step(activation: Callable[[Tensor], Tensor]) -> Callable[..., State]:
    def step(state: State, given: Tensor, weight: Tensor, bias: Tensor | None) -> State:
        return (activation(given + F.linear(state[0], weight, bias)),)
    return step


def _lstm_step(state: State, given: Tensor, weight: Tensor, bias: Tensor | None) -> State:
    """Hochreiter and Schmidhuber, "Long short-term memory", 1997, with the gate that forgets."""
    h, c = state
    i, f, g, o = _parts(given + F.linear(h, weight, bias), axis=given.ndim - 1, count=4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def _gru_step(state: State, given: Tensor, weight: Tensor, bias: Tensor | None) -> State:
    """Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, as cuDNN has it."""
    (h,) = state
    last = given.ndim - 1
    of_input, of_state = (_parts(x, axis=last, count=3) for x in (given, F.linear(h, weight, bias)))
    r, z = (sigmoid(x + y) for x, y in zip(of_input[:2], of_state[:2], strict=True))
    n = tanh(of_input[2] + r * of_state[2])
    return (n + z * (h - n),)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": tanh, "relu": relu}


def _activation(op: str, nonlinearity: str) -> Callable[[Tensor], Tensor]:
    if nonlinearity not in _ACTIVATIONS:
        raise complaint(ArgumentError, op, f"no nonlinearity is called {nonlinearity!r}", None, "use 'tanh' or 'relu'")
    return _ACTIVATIONS[nonlinearity]


class _Weights(Module):
    """What layers and cells share: sizes, and parameters drawn evenly from ``±1 / sqrt(hidden_size)``."""

    gates = 1
    states = 1
    step: Callable[..., State]

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__()
        if hidden_size < 1:
            raise complaint(ArgumentError, type(self).__name__, "hidden_size must be positive",
                            {"hidden_size": hidden_size})
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias

    def _add(self, inputs: int, suffix: str, dtype: Any, device: str | None) -> None:
        """Registers the parameters of one cell, whose names end alike."""
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, self.hidden_size)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            made = Parameter(empty(shape, dtype=dtype, device=device)) if self.bias or len(shape) == 2 else None
            if made is not None or not suffix:
                self.register_parameter(name + suffix, made)

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _weights(self, suffix: str) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """The input's and the state's weights, and their biases: both with the input's where they only add up."""
        of_input, of_state = (getattr(self, f"weight_{kind}{suffix}") for kind in ("ih", "hh"))
        if not self.bias:
            return of_input, of_state, None, None
        first, second = (getattr(self, f"bias_{kind}{suffix}") for kind in ("ih", "hh"))
        return (of_input, of_state, first, second) if self.gates == 3 else (of_input, of_state, first + second, None)


class _Cell(_Weights):
    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: str | None, dtype: Any) -> None:
        super().__init__(input_size, hidden_size, bias)
        self._add(input_size, "", dtype, device)
        self.reset_parameters()

    def _next(self, input: Tensor, state: State | None) -> State:
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise complaint(ShapeError, type(self).__name__, "the input must be [input_size] or [batch, input_size]",
                            {"input": input, "input_size": self.input_size})
        shape = (*input.shape[:-1], self.hidden_size)
        state = (zeros(shape, dtype=input.dtype, device=input.device),) * self.states if state is None else state
        _check_state(self, state, shape)
        of_input, of_state, bias, own = self._weights("")
        return self.step(state, F.linear(input, of_input, bias), of_state, own)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


def _check_state(layer: Module, state: State, shape: tuple[int, ...]) -> None:
    for name, x in zip(("h_0", "c_0"), state, strict=False):
        if x.shape != shape:
            raise complaint(ShapeError, type(layer).__name__, f"{name} must have shape {list(shape)}", {name: x})


class RNNCell(_Cell):
    """One step of `RNN`: ``tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)``.

    >>> import tensorlite as tl
    >>> tl.nn.RNNCell(3, 4)(tl.zeros((2, 3))).shape
    (2, 4)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity
        self.step = _rnn_step(_activation("RNNCell", nonlinearity))

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(input, None if hx is None else (hx,))[0]


class LSTMCell(_Cell):
    """One step of `LSTM`: the next ``(h, c)``.

    >>> import tensorlite as tl
    >>> h, c = tl.nn.LSTMCell(3, 4)(tl.zeros((2, 3)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    gates = 4
    states = 2
    step = staticmethod(_lstm_step)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._next(input, hx)
        return h, c


class GRUCell(_Cell):
    """One step of `GRU`.

    >>> import tensorlite as tl
    >>> tl.nn.GRUCell(3, 4)(tl.zeros((2, 3))).shape
    (2, 4)
    """

    gates = 3
    step = staticmethod(_gru_step)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(input, None if hx is None else (hx,))[0]


class _Layers(_Weights):
    def __init__(self, input_size: int, hidden_size: int, num_layers: int, bias: bool, batch_first: bool,
                 dropout: float, bidirectional: bool, device: str | None, dtype: Any) -> None:
        super().__init__(input_size, hidden_size, bias)
        if num_layers < 1 or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise complaint(ArgumentError, type(self).__name__,
                            "num_layers must be positive, and dropout a probability",
                            {"num_layers": num_layers, "dropout": dropout})
        self.num_layers, self.batch_first, self.dropout = num_layers, batch_first, float(dropout)
        self.bidirectional = bidirectional
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                self._add(hidden_size * (1 + bidirectional) if layer else input_size, suffix, dtype, device)
        self.reset_parameters()

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)

    def flatten_parameters(self) -> None:
        """Does nothing: for programs that call it in PyTorch."""

    def _run(self, input: Tensor, state: State | None) -> tuple[Tensor, State]:
        """The outputs of the last layer and the last states of all, for inputs with or without a batch."""
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise complaint(ShapeError, type(self).__name__, "the input must be [length, batch, input_size], "
                            "[batch, length, input_size] with batch_first, or [length, input_size]",
                            {"input": input, "input_size": self.input_size})
        turned = self.batch_first and input.ndim == 3
        x = _permute_dims(input, axes=(1, 0, 2)) if turned else input
        shape = (self.num_layers * (1 + self.bidirectional), *x.shape[1:-1], self.hidden_size)
        state = (zeros(shape, dtype=x.dtype, device=x.device),) * self.states if state is None else state
        _check_state(self, state, shape)
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            made = []
            for suffix in self._suffixes(layer):
                carry, y = self._direction(x, tuple(s[len(last)] for s in state), suffix)
                last.append(carry)
                made.append(y)
            x = concat(made, axis=-1) if len(made) > 1 else made[0]
        x = _permute_dims(x, axes=(1, 0, 2)) if turned else x
        return x, tuple(stack(each) for each in zip(*last, strict=True))

    def _direction(self, x: Tensor, first: State, suffix: str) -> tuple[State, Tensor]:
        """One layer in one direction: its last state and its outputs."""
        of_input, of_state, bias, own = self._weights(suffix)

        def step(carry: State, given: Tensor) -> tuple[State, Tensor]:
            carry = self.step(carry, given, of_state, own)
            return carry, carry[0]

        return scan(step, first, F.linear(x, of_input, bias), reverse=suffix.endswith("_reverse"))

    def extra_repr(self) -> str:
        facts = {"num_layers": (self.num_layers, 1), "bias": (self.bias, True),
                 "batch_first": (self.batch_first, False), "dropout": (self.dropout, 0.0),
                 "bidirectional": (self.bidirectional, False)}
        shown = [f"{name}={value}" for name, (value, default) in facts.items() if value != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *shown])


class RNN(_Layers):
    """Layers of ``h = tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)`` over sequences, as in PyTorch.

    input: [length, batch, input_size], or [batch, length, input_size] with ``batch_first``, or without batch; ``hx``
    the first states, [num_layers * directions, batch, hidden_size]. Returns the last layer's outputs and the last
    states. Raises `ShapeError` for what does not fit.

    >>> import tensorlite as tl
    >>> output, h = tl.nn.RNN(3, 4, num_layers=2)(tl.zeros((5, 2, 3)))
    >>> output.shape, h.shape
    ((5, 2, 4), (2, 2, 4))
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.nonlinearity = nonlinearity
        self.step = _rnn_step(_activation("RNN", nonlinearity))

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h


class LSTM(_Layers):
    """Layers of long short-term memory over sequences, as in PyTorch; the gates' order is input, forget, cell, output.

    Shapes are those of `RNN`; ``hx`` and the last states are pairs ``(h, c)``.

    >>> import tensorlite as tl
    >>> output, (h, c) = tl.nn.LSTM(3, 4, bidirectional=True)(tl.zeros((5, 2, 3)))
    >>> output.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    gates = 4
    states = 2
    step = staticmethod(_lstm_step)

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)

    def forward(self, input: Tensor,
                hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, (h, c) = self._run(input, hx)
        return output, (h, c)


class GRU(_Layers):
    """Layers of gated recurrent units over sequences, as in PyTorch; the gates' order is reset, update, new.

    Shapes are those of `RNN`.

    >>> import tensorlite as tl
    >>> output, h = tl.nn.GRU(3, 4, batch_first=True)(tl.zeros((2, 5, 3)))
    >>> output.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
    """

    gates = 3
    step = staticmethod(_gru_step)

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h
