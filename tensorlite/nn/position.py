"""Where tokens are: rotary position embeddings, and the sinusoids that are added to tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlite.errors import ArgumentError, DTypeError, ShapeError, complaint
from tensorlite.nn.dropout import Dropout
from tensorlite.nn.module import Module
from tensorlite.ops.axes import one_axis
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import cos, sin
from tensorlite.ops.join import concat, stack
from tensorlite.ops.ranges import arange
from tensorlite.ops.reduce import accumulator
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, FLOATS, dtype_of

__all__ = ["RotaryEmbedding", "SinusoidalPositionalEncoding"]


def _frequencies(features: int, base: float) -> np.ndarray:
    """``base ** (-2i / features)`` for each pair of features."""
    return base ** -(np.arange(0, features, 2) / features)


def _angles(positions: Tensor, frequencies: np.ndarray, dtype: Any) -> Tensor:
    """Positions times frequencies, one more axis, in a dtype wide enough."""
    wide = accumulator(dtype)
    return reshape(positions.to(wide), (*positions.shape, 1)) * asarray(frequencies.astype(wide),
                                                                       device=positions.device)


def _check_input(module: Module, x: Any, least: int, wanted: str) -> None:
    name = type(module).__name__
    if not isinstance(x, Tensor) or x.dtype not in FLOATS:
        raise complaint(DTypeError, name, "the input must be a floating tensor", {"input": x})
    if x.ndim < 2 or x.shape[-1] < least:
        raise complaint(ShapeError, name, f"the input must be {wanted}", {"input": x})


class RotaryEmbedding(Module):
    """Rotates pairs of features by angles that grow with the token's place: for queries and keys of attention.

    Pair i of the first ``dim`` features of the token at place m is turned by ``m * base ** (-2i / dim)``, so that the
    product of a query and a key depends on how far they are apart alone; features past ``dim`` are left as they are.
    A pair is features 2i and 2i + 1 if ``interleaved`` (as in the paper, GPT-J, Llama's own weights), else i and
    i + dim / 2 (as in GPT-NeoX and Hugging Face's Llama).

    input: [..., tokens, features], as attention has heads before tokens; ``seq_dim`` names another axis of tokens, such
    as -3 for [batch, tokens, heads, features]. The first token is at ``offset``, a number or a tensor of one (which
    `jit` then compiles once for all steps of decoding), or the tokens are at ``positions``, integers [tokens], or with
    axes before that broadcast against the input's. There are no parameters, and nothing in ``state_dict``.

    Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021. Raises `ArgumentError` for an odd
    ``dim``, `ShapeError` and `DTypeError` for other inputs.

    >>> import tensorlite as tl
    >>> rotary = tl.nn.RotaryEmbedding(2)
    >>> rotary(tl.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.    , 0.    ],
            [0.5403, 0.8415]])
    >>> rotary(tl.tensor([[1.0, 0.0]]), offset=1)
    tensor([[0.5403, 0.8415]])
    """

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = True, seq_dim: int = -2) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise complaint(ArgumentError, "RotaryEmbedding", "features are turned in pairs: dim must be even",
                            {"dim": dim})
        if not base > 0:
            raise complaint(ArgumentError, "RotaryEmbedding", "base must be positive", {"base": base})
        self.dim, self.base, self.interleaved, self.seq_dim = dim, float(base), interleaved, seq_dim

    def forward(self, input: Tensor, offset: int | Tensor = 0, positions: Tensor | None = None) -> Tensor:
        _check_input(self, input, self.dim, f"[..., tokens, features] with at least {self.dim} features")
        turned = self._turned(input[..., :self.dim], self._angles(input, offset, positions))
        turned = turned.to(input.dtype)
        return turned if input.shape[-1] == self.dim else concat([turned, input[..., self.dim:]], axis=-1)

    def _angles(self, input: Tensor, offset: int | Tensor, positions: Tensor | None) -> Tensor:
        """The angle of each pair, shaped to meet the input."""
        axis = one_axis("RotaryEmbedding", input, self.seq_dim)
        tokens, after = input.shape[axis], input.ndim - 2 - axis
        if after < 0:
            raise complaint(ArgumentError, "RotaryEmbedding", "the axis of features cannot be that of tokens",
                            {"input": input, "seq_dim": self.seq_dim})
        if positions is None:
            positions = arange(tokens, device=input.device) + offset
        if not positions.ndim or positions.shape[-1] != tokens or positions.ndim > axis + 1:
            raise complaint(ShapeError, "RotaryEmbedding", f"there must be a position for each of {tokens} tokens",
                            {"input": input, "positions": positions})
        angles = _angles(positions, _frequencies(self.dim, self.base), input.dtype)
        return reshape(angles, (*positions.shape, *(1,) * after, self.dim // 2))

    def _turned(self, x: Tensor, angles: Tensor) -> Tensor:
        c, s = cos(angles), sin(angles)
        half = self.dim // 2
        if self.interleaved:
            pairs = reshape(x, (*x.shape[:-1], half, 2))
            a, b = pairs[..., 0], pairs[..., 1]
        else:
            a, b = x[..., :half], x[..., half:]
        parts = a * c - b * s, a * s + b * c
        if not self.interleaved:
            return concat(list(parts), axis=-1)
        return reshape(stack(list(parts), axis=-1), x.shape)

    def extra_repr(self) -> str:
        return f"{self.dim}, base={self.base}, interleaved={self.interleaved}, seq_dim={self.seq_dim}"


class SinusoidalPositionalEncoding(Module):
    """Adds sines and cosines of the token's place to its features, then drops some out.

    Feature 2i of the token at place m gets ``sin(m * base ** (-2i / d_model))``, feature 2i + 1 the cosine. input:
    [tokens, N, d_model], [N, tokens, d_model] with ``batch_first``, or [tokens, d_model]. The first token is at
    ``offset``, a number or a tensor of one. Any number of tokens will do; there are no parameters, and nothing in
    ``state_dict``.

    Vaswani et al., "Attention is all you need", 2017. Raises `ShapeError` and `DTypeError` for other inputs.

    >>> import tensorlite as tl
    >>> tl.nn.SinusoidalPositionalEncoding(4)(tl.zeros((2, 4)))
    tensor([[0.    , 1.    , 0.    , 1.    ],
            [0.8415, 0.5403, 0.01  , 0.9999]])
    """

    def __init__(self, d_model: int, dropout: float = 0.0, base: float = 10000.0, batch_first: bool = False) -> None:
        super().__init__()
        if d_model < 1 or not base > 0:
            raise complaint(ArgumentError, "SinusoidalPositionalEncoding", "d_model and base must be positive",
                            {"d_model": d_model, "base": base})
        self.d_model, self.base, self.batch_first = d_model, float(base), batch_first
        self.dropout = Dropout(dropout)

    def encoding(self, tokens: int, offset: int | Tensor = 0, dtype: Any = None, device: str | None = None) -> Tensor:
        """What is added to ``tokens`` tokens from ``offset`` on, [tokens, d_model].

        >>> SinusoidalPositionalEncoding(2).encoding(1, offset=1)
        tensor([[0.8415, 0.5403]])
        """
        dtype = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
        places = arange(tokens, device=device) + offset
        angles = _angles(places, _frequencies(self.d_model, self.base), dtype)
        both = reshape(stack([sin(angles), cos(angles)], axis=-1), (tokens, 2 * angles.shape[1]))
        return both[:, :self.d_model].to(dtype)

    def forward(self, input: Tensor, offset: int | Tensor = 0) -> Tensor:
        _check_input(self, input, self.d_model, f"[tokens, N, {self.d_model}], or [N, tokens, {self.d_model}] with "
                     f"batch_first, or [tokens, {self.d_model}]")
        if input.shape[-1] != self.d_model or input.ndim > 3:
            raise complaint(ShapeError, "SinusoidalPositionalEncoding", f"the input must have {self.d_model} features "
                            "and 2 or 3 axes", {"input": input})
        axis = 1 if self.batch_first and input.ndim == 3 else 0
        added = self.encoding(input.shape[axis], offset, input.dtype, input.device)
        if axis == 0 and input.ndim == 3:
            added = reshape(added, (input.shape[0], 1, self.d_model))
        return self.dropout(input + added)

    def extra_repr(self) -> str:
        return f"{self.d_model}, base={self.base}, batch_first={self.batch_first}"
