"""Transformers: encoder and decoder layers, stacks of them, and the whole, in PyTorch's names.

Vaswani et al., "Attention is all you need", 2017; with ``norm_first`` as in Xiong et al., "On layer normalization in
the transformer architecture", 2020.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from tensorlite.errors import ArgumentError, ShapeError, complaint
from tensorlite.nn import functional as F
from tensorlite.nn import init
from tensorlite.nn.attention import MultiheadAttention
from tensorlite.nn.containers import ModuleList
from tensorlite.nn.dropout import Dropout
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.nn.normalization import LayerNorm
from tensorlite.ops.elementwise import greater_equal, where
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, dtype_of

__all__ = ["Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
           "TransformerEncoderLayer"]

Activation = Callable[[Tensor], Tensor]

_ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "gelu": F.gelu}


def _activation(layer: Module, activation: str | Activation) -> Activation:
    if callable(activation):
        return activation
    if activation not in _ACTIVATIONS:
        raise complaint(ArgumentError, type(layer).__name__, f"no activation is called {activation!r}", None,
                        "use 'relu', 'gelu' or a function")
    return _ACTIVATIONS[activation]


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class _Layer(Module):
    """What layers of encoder and decoder share: attention to itself, two linear layers, and norms about each."""

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, activation: str | Activation,
                 layer_norm_eps: float, batch_first: bool, norm_first: bool, bias: bool, device: str | None, dtype: Any,
                 across: bool) -> None:
        super().__init__()

        def attention() -> MultiheadAttention:
            return MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, device=device,
                                      dtype=dtype)

        self.self_attn = attention()
        if across:
            self.multihead_attn = attention()
        self.linear1 = Linear(d_model, dim_feedforward, bias, device, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, device, dtype)
        self.norm_first = norm_first
        places = range(1, 3 + across)
        for place in places:
            self.register_module(f"norm{place}", LayerNorm(d_model, layer_norm_eps, bias=bias, device=device,
                                                           dtype=dtype))
        for place in places:
            self.register_module(f"dropout{place}", Dropout(dropout))
        self.activation = _activation(self, activation)

    def _around(self, x: Tensor, place: int, block: Callable[[Tensor], Tensor]) -> Tensor:
        """What a block adds to its input, normed first or afterwards."""
        norm, dropout = getattr(self, f"norm{place}"), getattr(self, f"dropout{place}")
        if self.norm_first:
            return x + dropout(block(norm(x)))
        return norm(x + dropout(block(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Attention to itself, then two linear layers with an activation between, each added to its input and normed.

    src: [S, N, d_model], [N, S, d_model] with ``batch_first``, or [S, d_model]; masks are those of
    `MultiheadAttention`. ``activation`` is ``"relu"``, ``"gelu"`` or a function; ``norm_first`` norms what goes into
    each part instead of what comes out. Raises `ArgumentError` for another activation.

    Vaswani et al., "Attention is all you need", 2017.

    >>> import tensorlite as tl
    >>> tl.nn.TransformerEncoderLayer(8, 2, 16)(tl.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
                 activation: str | Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
                 norm_first: bool = False, bias: bool = True, device: str | None = None, dtype: Any = None) -> None:
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first,
                         bias, device, dtype, across=False)

    def forward(self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
                is_causal: bool = False) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        return self._around(self._around(src, 1, attend), 2, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Attention to itself, attention to ``memory``, then two linear layers, each added to its input and normed.

    tgt: [T, N, d_model], memory: [S, N, d_model], or [N, T or S, d_model] with ``batch_first``, or without N; masks
    and options are those of `TransformerEncoderLayer`.

    Vaswani et al., "Attention is all you need", 2017.

    >>> import tensorlite as tl
    >>> tl.nn.TransformerDecoderLayer(8, 2, 16)(tl.ones((5, 3, 8)), tl.ones((4, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
                 activation: str | Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
                 norm_first: bool = False, bias: bool = True, device: str | None = None, dtype: Any = None) -> None:
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first,
                         bias, device, dtype, across=True)

    def forward(self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
                tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
                tgt_is_causal: bool = False, memory_is_causal: bool = False) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def attend_across(x: Tensor) -> Tensor:
            return self.multihead_attn(x, memory, memory, memory_key_padding_mask, False, memory_mask,
                                       is_causal=memory_is_causal)[0]

        return self._around(self._around(self._around(tgt, 1, attend), 2, attend_across), 3, self._feed_forward)


class _Stack(Module):
    """Copies of a layer one after the other, and a norm at the end if one is given."""

    norm: Module | None

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        self.layers = _copies(layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def _through(self, x: Tensor, call: Callable[[Module, Tensor], Tensor]) -> Tensor:
        for layer in self.layers:
            x = call(layer, x)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """``num_layers`` copies of an encoder layer, and ``norm`` at the end.

    ``enable_nested_tensor`` and ``mask_check`` are PyTorch's leave to skip padded tokens for speed: no result depends
    on them here. ``is_causal`` says that ``mask`` is the causal one, which is faster.

    >>> import tensorlite as tl
    >>> layer = tl.nn.TransformerEncoderLayer(8, 2, 16)
    >>> tl.nn.TransformerEncoder(layer, 2)(tl.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
                 enable_nested_tensor: bool = True, mask_check: bool = True) -> None:
        super().__init__(encoder_layer, num_layers, norm)
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
                is_causal: bool | None = None) -> Tensor:
        return self._through(src, lambda layer, x: layer(
            x, src_mask=mask, is_causal=bool(is_causal), src_key_padding_mask=src_key_padding_mask))


class TransformerDecoder(_Stack):
    """``num_layers`` copies of a decoder layer, and ``norm`` at the end.

    >>> import tensorlite as tl
    >>> layer = tl.nn.TransformerDecoderLayer(8, 2, 16)
    >>> tl.nn.TransformerDecoder(layer, 2)(tl.ones((5, 3, 8)), tl.ones((4, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
                tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
                tgt_is_causal: bool | None = None, memory_is_causal: bool = False) -> Tensor:
        return self._through(tgt, lambda layer, x: layer(
            x, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal),
            memory_is_causal=memory_is_causal))


class Transformer(Module):
    """An encoder of the source, and a decoder of the target that attends to it: parameters drawn as Glorot and Bengio.

    src: [S, N, d_model] and tgt: [T, N, d_model], or [N, S or T, d_model] with ``batch_first``, or without N. Masks are
    those of `MultiheadAttention`. ``custom_encoder`` and ``custom_decoder`` stand for the own ones. Raises `ShapeError`
    where source and target do not go together.

    Vaswani et al., "Attention is all you need", 2017.

    >>> import tensorlite as tl
    >>> model = tl.nn.Transformer(8, 2, 1, 1, 16)
    >>> mask = model.generate_square_subsequent_mask(5)
    >>> model(tl.ones((4, 3, 8)), tl.ones((5, 3, 8)), tgt_mask=mask, tgt_is_causal=True).shape
    (5, 3, 8)
    """

    def __init__(self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
                 dim_feedforward: int = 2048, dropout: float = 0.1, activation: str | Activation = F.relu,
                 custom_encoder: Any = None, custom_decoder: Any = None, layer_norm_eps: float = 1e-5,
                 batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__()
        own = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
               device, dtype)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        self.encoder = custom_encoder if custom_encoder is not None else TransformerEncoder(
            TransformerEncoderLayer(*own), num_encoder_layers, norm())
        self.decoder = custom_decoder if custom_decoder is not None else TransformerDecoder(
            TransformerDecoderLayer(*own), num_decoder_layers, norm())
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
                memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
                tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
                src_is_causal: bool | None = None, tgt_is_causal: bool | None = None,
                memory_is_causal: bool = False) -> Tensor:
        self._check(src, tgt)
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
                            tgt_key_padding_mask=tgt_key_padding_mask, memory_key_padding_mask=memory_key_padding_mask,
                            tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal)

    def _check(self, src: Tensor, tgt: Tensor) -> None:
        shown = {"src": src, "tgt": tgt}
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise complaint(ShapeError, "Transformer", f"src and tgt must have {self.d_model} features", shown)
        if src.ndim == 3 and src.shape[1 - self.batch_first] != tgt.shape[1 - self.batch_first]:
            raise complaint(ShapeError, "Transformer", "src and tgt must have as many samples as each other", shown)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: str | None = None, dtype: Any = None) -> Tensor:
        """The causal mask of ``sz`` tokens: 0 where a token may look, and minus infinity at those after it.

        >>> Transformer.generate_square_subsequent_mask(2)
        tensor([[  0., -inf],
                [  0.,   0.]])
        """
        tokens = arange(sz, device=device)
        dtype = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
        return where(greater_equal(reshape(tokens, (sz, 1)), tokens), 0.0, -math.inf).to(dtype)
