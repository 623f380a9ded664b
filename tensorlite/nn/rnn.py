"""Recurrent layers: RNN, LSTM and GRU over sequences, padded, packed or alone.

A layer multiplies the whole sequence by the input's weights at once, then goes over time by one op (`ops.recurrent`);
with projections by `scan`. Of packed sequences it runs over the padded batch, and leaves the state of each sequence
that has ended, or not begun, as it is.
"""

from __future__ import annotations

from typing import Any

from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.rnn_cells import KINDS, State, add_weights, as_state, check_size, draw_weights, mode_of, weights_of
from tensorlite.nn.utils.rnn import PackedSequence, present
from tensorlite.ops.control_flow.control import scan
from tensorlite.ops.elementwise import where
from tensorlite.ops.filled import empty
from tensorlite.ops.join import concat, stack
from tensorlite.ops.recurrent import recurrence, recurrence_takes
from tensorlite.ops.shape import _permute_dims, astype
from tensorlite.tensor import Tensor
from tensorlite.traced import is_traced

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

Sequences = Tensor | PackedSequence


class RNNBase(Module):
    """What recurrent layers share: ``mode`` is one of RNN_TANH, RNN_RELU, LSTM and GRU.

    Parameters are drawn evenly from ``±1 / sqrt(hidden_size)``. Raises `ArgumentError` and `DTypeError` for sizes and
    options that no layer has.
    """

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        self._check_options(mode, hidden_size, num_layers, dropout, proj_size)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        directions = 1 + bool(bidirectional)
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                add_weights(self, KINDS[mode].gates * hidden_size, self._features * directions if layer else input_size,
                            self._features, bias, suffix, dtype, device)
                if proj_size:
                    self.register_parameter(f"weight_hr{suffix}", Parameter(
                        empty((proj_size, hidden_size), dtype=dtype, device=device)))
        self.reset_parameters()

    def _check_options(self, mode: str, hidden_size: int, num_layers: int, dropout: float, proj_size: int) -> None:
        name = type(self).__name__
        if mode not in KINDS:
            raise complaint(ArgumentError, name, f"no mode is called {mode!r}", None, f"use one of {', '.join(KINDS)}")
        check_size(self, hidden_size)
        if num_layers < 1 or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise complaint(ArgumentError, name, "num_layers must be positive, and dropout a probability",
                            {"num_layers": num_layers, "dropout": dropout})
        if not 0 <= proj_size < hidden_size:
            raise complaint(ArgumentError, name, "proj_size must be below hidden_size, and 0 for no projection",
                            {"proj_size": proj_size, "hidden_size": hidden_size})
        if proj_size and mode != "LSTM":
            raise complaint(ArgumentError, name, "only an LSTM has projections", {"proj_size": proj_size},
                            "leave proj_size out")

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        draw_weights(self)

    @property
    def _features(self) -> int:
        """How many features the outputs of one direction have."""
        return self.proj_size or self.hidden_size

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [[self._parameters[kind + suffix] for kind in kinds if kind + suffix in self._parameters]  # type: ignore[misc]
                for layer in range(self.num_layers) for suffix in self._suffixes(layer)]

    def flatten_parameters(self) -> None:
        """Does nothing: for programs that call it in PyTorch."""

    def _run(self, input: Sequences, hx: Any) -> tuple[Any, State]:
        """The outputs of the last layer and the last states of all, for sequences packed, padded or without a batch."""
        packed = isinstance(input, PackedSequence)
        x = input.padded if isinstance(input, PackedSequence) else input
        self._check_input(x, packed)
        turned = self.batch_first and x.ndim == 3 and not packed
        x = _permute_dims(x, axes=(1, 0, 2)) if turned else x
        leading = (self.num_layers * (1 + bool(self.bidirectional)), *x.shape[1:-1])
        shapes = ((*leading, self._features), (*leading, self.hidden_size))[:KINDS[self.mode].states]
        y, last = self._through(x, as_state(self, hx, x, shapes), _lengths(input) if packed else None)
        if isinstance(input, PackedSequence):
            return PackedSequence(padded=y, lengths=input.lengths, sorted_indices=input.sorted_indices), last
        return _permute_dims(y, axes=(1, 0, 2)) if turned else y, last

    def _check_input(self, x: Any, packed: bool) -> None:
        if not isinstance(x, Tensor):
            raise complaint(DTypeError, type(self).__name__,
                            f"the input must be a tensor or a PackedSequence, not {type(x).__name__}")
        if packed and (x.ndim != 3 or x.shape[-1] != self.input_size):
            raise complaint(ShapeError, type(self).__name__, "packed data must be [elements, input_size]",
                            {"padded": x, "input_size": self.input_size})
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise complaint(ShapeError, type(self).__name__, "the input must be [length, batch, input_size], "
                            "[batch, length, input_size] with batch_first, or [length, input_size]",
                            {"input": x, "input_size": self.input_size})

    def _through(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """All layers over [length, ...]."""
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            made = []
            for suffix in self._suffixes(layer):
                carry, y = self._direction(x, tuple(s[len(last)] for s in state), lengths, suffix)
                last.append(carry)
                made.append(y)
            x = concat(made, axis=-1) if len(made) > 1 else made[0]
        return x, tuple(stack(each) for each in zip(*last, strict=True))

    def _direction(self, x: Tensor, first: State, lengths: Tensor | None, suffix: str) -> tuple[State, Tensor]:
        """One layer in one direction: its last state and its outputs, which are zeros where a sequence has ended."""
        kind = KINDS[self.mode]
        weights = weights_of(self, suffix, kind)

        def step(carry: State, given: Tensor) -> tuple[State, Tensor]:
            carry = kind.step(carry, given, weights)
            return carry, carry[0]

        def masked(carry: State, row: tuple[Tensor, Tensor]) -> tuple[State, Tensor]:
            given, there = row
            found = kind.step(carry, given, weights)
            kept = tuple(where(there, new, old) for new, old in zip(found, carry, strict=True))
            return kept, where(there, found[0], 0)

        given, reverse = F.linear(x, weights.of_input, weights.bias), suffix.endswith("_reverse")
        first = tuple(astype(part, given.dtype, copy=False) for part in first)  # in autocast, narrow
        if weights.projection is None and recurrence_takes(given, weights.of_state):
            return recurrence(self.mode, given, weights.of_state, first, weights.own_bias, lengths, reverse)
        if lengths is None:
            return scan(step, first, given, reverse=reverse)
        return scan(masked, first, (given, present(lengths, x.shape[0], x)), reverse=reverse)

    def extra_repr(self) -> str:
        facts = {"proj_size": (self.proj_size, 0), "num_layers": (self.num_layers, 1), "bias": (self.bias, True),
                 "batch_first": (self.batch_first, False), "dropout": (self.dropout, 0.0),
                 "bidirectional": (self.bidirectional, False)}
        shown = [f"{name}={value}" for name, (value, default) in facts.items() if value != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *shown])


def _lengths(packed: Any) -> Tensor | None:
    """How many elements each sequence of the padded batch has; None if all have as many as there are."""
    steps, lengths = packed.padded.shape[0], packed.lengths
    return lengths if is_traced(lengths) or (lengths.numpy() != steps).any() else None


class RNN(RNNBase):
    """Layers of ``h = tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)`` over sequences, as in PyTorch.

    input: [length, batch, input_size], or [batch, length, input_size] with ``batch_first``, or without batch, or a
    `PackedSequence`, which the outputs are then, too; ``hx`` the first states, [num_layers * directions, batch,
    hidden_size]. Returns the last layer's outputs and the last states: those of packed sequences where each ends.
    Raises `ShapeError` and `DTypeError` for what does not fit.

    >>> import tensorlite as tl
    >>> output, h = tl.nn.RNN(3, 4, num_layers=2)(tl.zeros((5, 2, 3)))
    >>> output.shape, h.shape
    ((5, 2, 4), (2, 2, 4))
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__(mode_of("RNN", nonlinearity), input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Sequences, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        output, (h,) = self._run(input, hx)
        return output, h


class LSTM(RNNBase):
    """Layers of long short-term memory over sequences, as in PyTorch; the gates' order is input, forget, cell, output.

    Shapes are those of `RNN`; ``hx`` and the last states are pairs ``(h, c)``. With ``proj_size`` the outputs and ``h``
    are projected to so many features.

    >>> import tensorlite as tl
    >>> output, (h, c) = tl.nn.LSTM(3, 4, bidirectional=True)(tl.zeros((5, 2, 3)))
    >>> output.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         proj_size, device, dtype)

    def forward(self, input: Sequences, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        output, (h, c) = self._run(input, hx)
        return output, (h, c)


class GRU(RNNBase):
    """Layers of gated recurrent units over sequences, as in PyTorch; the gates' order is reset, update, new.

    Shapes are those of `RNN`.

    >>> import tensorlite as tl
    >>> output, h = tl.nn.GRU(3, 4, batch_first=True)(tl.zeros((2, 5, 3)))
    >>> output.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device: str | None = None, dtype: Any = None) -> None:
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
                         device, dtype)

    def forward(self, input: Sequences, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        output, (h,) = self._run(input, hx)
        return output, h
