"""The kinds of recurrent layers: how many gates each has, and how many numbers of a feature its derivative is told.

A layer goes over time from the products of its inputs. Of each step it keeps the *slopes* that the walk back multiplies
by: what a feature's cotangents ``dh`` and ``dc`` become of it. The walk then needs neither gates nor states.

| kind | slopes |
| --- | --- |
| RNN | ``dh`` to the sum |
| LSTM | ``dh`` to ``dc``; that to the sums of three gates, ``dh`` to that of the output's; ``dc`` to ``dc`` before |
| GRU | ``dh`` to the sums of reset, update and new gate, to the state's share of the last, and to ``dh`` before |
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mode:
    """A kind of layer: its gates and slopes, and what it is given beside the first state."""

    gates: int
    slopes: int
    has_cell: bool = False
    has_bias: bool = False

    @property
    def rest(self) -> int:
        """How many inputs there are beside: an LSTM's first cell state, a GRU's bias of what the state makes."""
        return int(self.has_cell or self.has_bias)


MODES = {"RNN_TANH": Mode(1, 1), "RNN_RELU": Mode(1, 1), "LSTM": Mode(4, 6, has_cell=True),
         "GRU": Mode(3, 5, has_bias=True)}  # fmt: skip
"""Kinds by PyTorch's names; gates are in PyTorch's order."""
