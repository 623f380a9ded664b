"""Random numbers: counter-based, so that a seed and a position give the same number everywhere.

The bits are those of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), keyed by the
generator's 64-bit seed: number ``i`` of a draw is word ``i % 4`` of block ``offset + i // 4``, and a draw moves the
offset on by the blocks that it used. A generator's state is a tensor, as parameters are.
"""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.batch import Attributes, Batch, leading, looped, reshape
from tensorlite.declare import IN_PLACE, primitive, public
from tensorlite.ops.creation import place, require_grad
from tensorlite.ops.elementwise import cos, floor, less, log, sqrt
from tensorlite.ops.filled import extents
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DEFAULT_FLOAT, DIFFERENTIABLE, TensorType, dtype_of, float32, float64, int64

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF
_CHUNK = 1 << 14  # blocks whose words stay in the first-level cache


def philox(xp: Any, blocks: Any, seed: int) -> Any:
    """Philox4x32-10 of some block numbers: uint32[blocks, 4].

    blocks: uint64[n], the low two counter words; the high two are zero.
    """
    words = [blocks & _LOW, blocks >> xp.uint64(32), xp.zeros_like(blocks), xp.zeros_like(blocks)]
    keys = [seed & _LOW, seed >> 32]
    for _ in range(10):
        first, second = words[0] * xp.uint64(_MULTIPLIERS[0]), words[2] * xp.uint64(_MULTIPLIERS[1])
        words = [(second >> xp.uint64(32)) ^ words[1] ^ xp.uint64(keys[0]), second & xp.uint64(_LOW),
                 (first >> xp.uint64(32)) ^ words[3] ^ xp.uint64(keys[1]), first & xp.uint64(_LOW)]
        keys = [(key + step) & _LOW for key, step in zip(keys, _WEYL, strict=True)]
    return xp.stack(words, axis=1).astype(xp.uint32)


def _bits_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    """Numbers of its own for each element of the batch: one draw, of all."""
    size = attributes["size"]
    if batch.axes[0] is not None:
        return looped(batch, inputs, attributes)
    return reshape(batch.apply(*inputs, size=batch.size * size), (batch.size, size)), 0


def _advance_batch(batch: Batch, inputs: Sequence[Any], attributes: Attributes) -> tuple[Any, Any]:
    if batch.axes[0] is not None:
        return looped(batch, inputs, attributes)
    return batch.apply(*inputs, size=batch.size * attributes["size"]), None


_bits_batch.draws = _advance_batch.draws = True  # type: ignore[attr-defined]


@primitive("opaque", type=lambda state, *, size: TensorType(np.dtype("uint32"), (size,), state.device),
           batch=_bits_batch, native_size=1)
def _random_bits(xp: Any, state: Any, *, size: int) -> Any:
    seed, offset = (int(word) for word in state)
    count = -(-size // 4)
    out = xp.empty((count, 4), xp.uint32)
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        first = (offset + start) & 0xFFFFFFFFFFFFFFFF
        out[start:stop] = philox(xp, xp.arange(stop - start, dtype=xp.uint64) + xp.uint64(first), seed)
    return out.reshape(-1)[:size]


@primitive("opaque", type=lambda state, *, size: state, batch=_advance_batch)
def _advance(xp: Any, state: Any, *, size: int) -> Any:
    return state + xp.asarray([0, -(-size // 4)], dtype=xp.uint64)


class Generator:
    """A stream of random numbers with a state of its own: ``state`` is uint64[2], the seed and the offset.

    >>> import tensorlite as tl
    >>> generator = tl.Generator().manual_seed(1)
    >>> bool((tl.rand(3, generator=generator) == tl.rand(3, generator=tl.Generator().manual_seed(1))).all())
    True
    """

    state: Tensor

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.seed()

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of a seed (any integer, taken modulo 2**64) from its beginning."""
        try:
            word = operator.index(seed) % (1 << 64)
        except TypeError:
            raise errors.complaint(errors.DTypeError, "manual_seed", f"a seed is an integer, not {type(seed).__name__}",
                                   {"seed": seed}) from None
        words = place(np.array([word, 0], np.uint64), self.device)
        if hasattr(self, "state"):
            self.state.array = words
        else:
            self.state = Tensor(words)
        return self

    def seed(self) -> int:
        """Starts a stream that nobody can guess, and returns its seed."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed of the stream."""
        return int(self.state.array[0])

    def get_state(self) -> Tensor:
        """The seed and the offset, as uint64[2]."""
        return Tensor(self.state.array)

    def set_state(self, state: Tensor) -> Generator:
        """Goes on from where ``state`` was taken."""
        if state.shape != (2,) or state.dtype != np.uint64:
            raise errors.complaint(errors.ArgumentError, "set_state", "a state is uint64[2]", {"state": state})
        self.state.array = state.array
        return self

    def bits(self, size: int) -> Tensor:
        """The next random words: uint32[size]."""
        with _drawing:
            before, after = Tensor(self.state.array), _advance(self.state, size=size)
            self.state.array = after.array
        return _random_bits(before, size=size)


def _forget_other_threads() -> None:
    """In a forked child the lock may be held by a thread that does not exist there."""
    global _drawing
    _drawing = threading.RLock()


_drawing = threading.RLock()  # reentrant: a signal handler may draw while its thread does
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)

default_generator = Generator()


@public(method=False)
def manual_seed(seed: int) -> Generator:
    """Seeds the default generator, and returns it.

    >>> import tensorlite as tl
    >>> _ = tl.manual_seed(0)
    >>> a = tl.rand(2); _ = tl.manual_seed(0)
    >>> bool((a == tl.rand(2)).all())
    True
    """
    return default_generator.manual_seed(seed)


@public(method=False)
def get_rng_state() -> Tensor:
    """The state of the default generator: uint64[2].

    >>> import tensorlite as tl
    >>> tl.get_rng_state().shape
    (2,)
    """
    return default_generator.get_state()


@public(method=False)
def set_rng_state(state: Tensor) -> None:
    """Sets the default generator to a state that `get_rng_state` gave.

    >>> import tensorlite as tl
    >>> before = tl.get_rng_state(); a = tl.rand(1)
    >>> tl.set_rng_state(before)
    >>> bool(a == tl.rand(1))
    True
    """
    default_generator.set_state(state)


def unit(size: int, dtype: np.dtype, generator: Generator | None) -> Tensor:
    """Numbers of ``[0, 1)``, flat: 24 random bits each, or 53 for float64."""
    source = generator or default_generator
    if dtype == float64:
        words = astype(source.bits(2 * size), np.uint64)
        high, low = words[0::2] >> 5, words[1::2] >> 6
        return (astype(high, float64) * 67108864.0 + astype(low, float64)) * 2.0**-53
    values = astype(source.bits(size) >> 8, float32) * 2.0**-24
    return values if dtype == float32 else _below_one(values, dtype)


def _below_one(values: Tensor, dtype: np.dtype) -> Tensor:
    """Rounds down to a narrow dtype, so that nothing becomes 1."""
    bits = 11 if dtype == np.float16 else 8
    return astype(floor(values * 2.0**bits) * 2.0**-bits, dtype)


def gaussian(size: int, dtype: np.dtype, generator: Generator | None) -> Tensor:
    """Normal numbers, flat, by Box and Muller's transform (1958): the cosines of all angles, then their sines."""
    half = -(-size // 2)
    wide = float64 if dtype == float64 else float32
    u = unit(2 * half, wide, generator)
    radius, angle = sqrt(log(1 - u[:half]) * -2.0), u[half:] * (2 * math.pi)
    quarter = Tensor(place(np.array([[0.0], [math.pi / 2]], wide), u.device))
    pair = _reshape(radius * cos(angle - quarter), shape=(2 * half,))
    return astype(pair[:size], dtype, copy=False)


def _shape(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    return extents(op, size[0] if len(size) == 1 and isinstance(size[0], Sequence) else size)


def _floating(op: str, dtype: Any) -> np.dtype:
    wanted = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    if wanted not in DIFFERENTIABLE or wanted.kind == "c":
        raise errors.complaint(errors.DTypeError, op, f"draws real floating numbers, not {wanted.name}",
                               {"dtype": wanted.name})
    return wanted


def _finish(flat: Tensor, shape: tuple[int, ...], requires_grad: bool) -> Tensor:
    made = _reshape(flat, shape=shape)
    return require_grad(made) if requires_grad else made


@public(method=False)
def rand(*size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Numbers drawn evenly from ``[0, 1)``, in a shape given by integers or one sequence.

    >>> import tensorlite as tl
    >>> tl.rand(2, 3).shape
    (2, 3)
    """
    shape = _shape("rand", size)
    return _finish(unit(math.prod(shape), _floating("rand", dtype), generator), shape, requires_grad)


@public(method=False)
def randn(*size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Numbers drawn from the normal distribution of mean 0 and deviation 1.

    >>> import tensorlite as tl
    >>> tl.randn(4, dtype=tl.float64).dtype.name
    'float64'
    """
    shape = _shape("randn", size)
    return _finish(gaussian(math.prod(shape), _floating("randn", dtype), generator), shape, requires_grad)


@public(method=False)
def rand_like(x: Tensor, *, dtype: Any = None, generator: Generator | None = None) -> Tensor:
    """Numbers drawn evenly from ``[0, 1)``, in the shape and dtype of ``x``.

    >>> import tensorlite as tl
    >>> tl.rand_like(tl.zeros((2, 2))).shape
    (2, 2)
    """
    return rand(x.shape, dtype=dtype or x.dtype, generator=generator)


@public(method=False)
def randn_like(x: Tensor, *, dtype: Any = None, generator: Generator | None = None) -> Tensor:
    """Normal numbers in the shape and dtype of ``x``.

    >>> import tensorlite as tl
    >>> tl.randn_like(tl.zeros((2, 2))).shape
    (2, 2)
    """
    return randn(x.shape, dtype=dtype or x.dtype, generator=generator)


@public(method=False)
def randint(low: int, high: Any = None, size: Sequence[int] | None = None, *, generator: Generator | None = None,
            dtype: Any = None) -> Tensor:
    """Integers drawn evenly from ``[low, high)``, or from ``[0, low)`` as ``randint(high, size)``.

    The bias of the modulo is below 2**-32 for ranges below 2**32. Raises `ArgumentError` for an empty range.

    >>> import tensorlite as tl
    >>> tl.randint(0, 10, (2, 3)).dtype.name
    'int64'
    """
    if size is None:
        low, high, size = 0, low, high
    if size is None or high <= low:
        raise errors.complaint(errors.ArgumentError, "randint",
                               f"the range [{low}, {high}) is empty or size is missing", None,
                               "call randint(low, high, size) with low < high")
    shape = _shape("randint", (size,))
    words = astype((generator or default_generator).bits(2 * math.prod(shape)), np.uint64)
    drawn = ((words[0::2] << 32) | words[1::2]) % (high - low)
    return _reshape(astype(astype(drawn, int64) + low, int64 if dtype is None else dtype_of(dtype), copy=False),
                    shape=shape)


@public(method=False)
def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """The integers of ``[0, n)`` in random order.

    >>> import tensorlite as tl
    >>> sorted(tl.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    (n,) = _shape("randperm", (n,))
    keys = unit(n, float64, generator)
    return _order(keys, dtype=int64 if dtype is None else dtype_of(dtype))


@primitive("opaque", type=lambda keys, *, dtype: TensorType(dtype, keys.shape, keys.device), batch=leading)
def _order(xp: Any, keys: Any, *, dtype: np.dtype) -> Any:
    return xp.argsort(keys, kind="stable").astype(dtype)


@public(method=True)
def bernoulli(x: Tensor, *, generator: Generator | None = None) -> Tensor:
    """Ones with the probability that each element of ``x`` says, else zeros, in the dtype of ``x``.

    >>> import tensorlite as tl
    >>> tl.bernoulli(tl.ones(3))
    tensor([1., 1., 1.])
    """
    return astype(less(rand(x.shape, generator=generator), x.detach()), x.dtype)


@public(method=False)
def normal(mean: Any = 0.0, std: Any = 1.0, size: Sequence[int] | None = None, *, generator: Generator | None = None,
           dtype: Any = None) -> Tensor:
    """Normal numbers of a mean and a deviation, either of which may be a tensor.

    >>> import tensorlite as tl
    >>> tl.normal(0.0, 2.0, (3,)).shape
    (3,)
    """
    if size is None:
        size = np.broadcast_shapes(*(v.shape for v in (mean, std) if isinstance(v, Tensor)))
    return randn(size, dtype=dtype, generator=generator) * std + mean


def uniform_(x: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to numbers drawn evenly from ``[a, b)``."""
    return rand(x.shape, dtype=x.dtype, generator=generator) * (b - a) + a


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to normal numbers."""
    return randn(x.shape, dtype=x.dtype, generator=generator) * std + mean


def bernoulli_(x: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Rebinds ``x`` to ones with probability ``p``, else zeros."""
    return astype(less(rand(x.shape, generator=generator), p), x.dtype)


IN_PLACE.update(uniform=uniform_, normal=normal_, bernoulli=bernoulli_)
