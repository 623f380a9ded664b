"""Random numbers: counter-based, so that a seed and a position give the same number everywhere.

The bits are those of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), keyed by the
generator's 64-bit seed: number ``i`` of a draw is word ``i % 4`` of block ``offset + i // 4``, and a draw moves the
offset on by the blocks that it used. A generator's state is a tensor, as parameters are.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorlite import errors
from tensorlite.batch import Attributes, Batch, looped, reshape
from tensorlite.declare import primitive, public
from tensorlite.kernels.philox import philox as words
from tensorlite.ops.creation import place
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

_CHUNK = 1 << 14  # blocks whose words stay in the first-level cache


def philox(xp: Any, blocks: Any, seed: int) -> Any:
    """The words of some blocks of a seed's stream: uint32[blocks, 4].

    blocks: uint64[n], the low two counter words; the high two are zero.
    """
    none, low = xp.zeros_like(blocks), xp.uint64(0xFFFFFFFF)
    key = xp.uint64(seed & 0xFFFFFFFF), xp.uint64(seed >> 32)
    return words(xp, (blocks & low, blocks >> xp.uint64(32), none, none), key)


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
        if not isinstance(device, str):  # a seed, most likely: of 0 it would be a stream that nobody can repeat
            raise errors.complaint(errors.DeviceError, "Generator", f"a device is a name, not {device!r}",
                                   fix="for a seed, write Generator().manual_seed(seed)")
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
            self._rebind(words)
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
        self._rebind(state.array)
        return self

    def _rebind(self, words: Any) -> None:
        """Holds another state, of which a function that is being compiled makes a change of its own."""
        if thread.met is not None:
            thread.met(self.state)
        self.state.array = words

    def bits(self, size: int) -> Tensor:
        """The next random words: uint32[size]."""
        with _drawing:
            before, after = Tensor(self.state.array), _advance(self.state, size=size)
            self.state.array = after.array
        return _random_bits(before, size=size)

    def blocks(self, count: int) -> Tensor:
        """The state from which the next blocks are numbered: a draw that rejects proposals takes one a number."""
        with _drawing:
            before, after = Tensor(self.state.array), _advance(self.state, size=4 * count)
            self.state.array = after.array
        return before


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
