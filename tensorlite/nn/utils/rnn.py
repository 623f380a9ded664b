"""Sequences of different lengths as one batch: padded, packed, and back.

A `PackedSequence` looks as PyTorch's does, but keeps the padded batch and its lengths: recurrent layers run over the
batch and leave a sequence's state where it has ended. So nothing that they do depends on the lengths' values, and
under `jit` one compiled loop serves all lengths. The packed ``data`` is made where it is asked for.
"""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np

from tensorlite import tensor_type
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, TraceError, complaint
from tensorlite.ops.creation import asarray
from tensorlite.ops.elementwise import less, where
from tensorlite.ops.filled import full
from tensorlite.ops.indexing.take import take
from tensorlite.ops.join import concat, stack, unstack
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import _permute_dims, reshape
from tensorlite.ops.sort import argsort
from tensorlite.tensor import Tensor
from tensorlite.traced import is_traced

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

_FIELDS = ("data", "batch_sizes", "sorted_indices", "unsorted_indices")


def present(lengths: Tensor, steps: int, like: Tensor) -> Tensor:
    """Which elements of a padded batch belong to a sequence: [steps, batch], with axes of 1 to meet ``like``."""
    found = less(reshape(arange(steps, device=lengths.device), (steps, 1)), lengths)
    return reshape(found, (*found.shape, *(1,) * (like.ndim - 2)))


def _known(op: str, x: Tensor, what: str, fix: str) -> np.ndarray:
    """The elements of a tensor, which shapes depend on; raises `TraceError` where they are not known yet."""
    if is_traced(x):
        raise complaint(TraceError, op, f"{what} is only known when the function runs", {"x": x}, fix)
    return x.numpy()


def _cast(dtype: np.dtype) -> Callable[[PackedSequence], PackedSequence]:
    def cast(self: PackedSequence) -> PackedSequence:
        return self.to(dtype)

    cast.__doc__ = f"The sequences as {dtype.name}."
    return cast


@dataclasses.dataclass(frozen=True, eq=False, repr=False, init=False)
class PackedSequence:
    """Sequences without their padding: what all of them have first, longest first, then what they have next.

    ``data`` is [sum of lengths, ...], of which ``batch_sizes[t]`` rows belong to time t. ``sorted_indices`` says how
    the batch was sorted by length, and ``unsorted_indices`` undoes it; both are None if it was sorted. Made by
    `pack_padded_sequence`, or of another one's parts: ``PackedSequence(f(packed.data), *packed[1:])``. The batch as
    it was given is ``padded``, [longest, batch, ...] with zeros where a sequence of ``lengths`` has ended.

    >>> import tensorlite as tl
    >>> packed = pack_sequence([tl.tensor([1, 2, 3]), tl.tensor([4, 5])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """

    padded: Tensor
    lengths: Tensor
    sorted_indices: Tensor | None

    def __init__(self, data: Tensor | None = None, batch_sizes: Tensor | None = None,
                 sorted_indices: Tensor | None = None, unsorted_indices: Tensor | None = None, *,
                 padded: Tensor | None = None, lengths: Tensor | None = None) -> None:
        if padded is None or lengths is None:
            if data is None or batch_sizes is None:
                raise complaint(ArgumentError, "PackedSequence", "data and batch_sizes are both needed")
            if unsorted_indices is None:
                unsorted_indices = invert_permutation(sorted_indices)
            padded, lengths = _spread(data, batch_sizes, unsorted_indices)
            if sorted_indices is None:
                sorted_indices = invert_permutation(unsorted_indices)
        self.__dict__.update(padded=padded, lengths=lengths, sorted_indices=sorted_indices, given=data)

    @property
    def data(self) -> Tensor:
        """The sequences' elements, [sum of lengths, ...]."""
        given: Tensor | None = self.__dict__["given"]
        if given is not None:
            return given
        steps, batch = self.padded.shape[:2]
        lengths, order = self._elements("lengths"), np.arange(batch)
        if self.sorted_indices is not None:
            order = self._elements("sorted_indices")
        time, place = np.nonzero(np.arange(steps)[:, None] < lengths[order])
        rows = reshape(self.padded, (steps * batch, *self.padded.shape[2:]))
        return take(rows, asarray(time * batch + order[place], device=rows.device), axis=0)

    @property
    def batch_sizes(self) -> Tensor:
        """How many sequences there are at each time."""
        lengths = self._elements("lengths")
        return asarray((np.arange(lengths.max())[:, None] < lengths).sum(1))

    @property
    def unsorted_indices(self) -> Tensor | None:
        """Where each sequence of the batch is among the sorted ones."""
        return invert_permutation(self.sorted_indices)

    def _elements(self, name: str) -> np.ndarray:
        return _known("PackedSequence", getattr(self, name), "how many elements there are at each time",
                      "use the padded batch instead: .padded and .lengths, or pad_packed_sequence")

    def __iter__(self) -> Iterator[Tensor | None]:
        return iter([getattr(self, name) for name in _FIELDS])

    def __len__(self) -> builtins.int:
        return len(_FIELDS)

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return tuple(self)[index]

    def __repr__(self) -> str:
        if is_traced(self.lengths):
            return f"PackedSequence(padded={self.padded}, lengths={self.lengths})"
        return f"PackedSequence({', '.join(f'{name}={x}' for name, x in zip(_FIELDS, self, strict=True))})"

    def _replace(self, **changes: Tensor | None) -> PackedSequence:
        """The same with other parts, as of a named tuple."""
        return PackedSequence(**{**dict(zip(_FIELDS, self, strict=True)), **changes})

    def to(self, *arguments: Any, **kwargs: Any) -> PackedSequence:
        """The sequences of another dtype or on another device, as `Tensor.to` reads its arguments."""
        padded, order = self.padded.to(*arguments, **kwargs), self.sorted_indices
        return PackedSequence(padded=padded, lengths=self.lengths.to(device=padded.device),
                              sorted_indices=None if order is None else order.to(device=padded.device))

    def cpu(self) -> PackedSequence:
        """The sequences on the CPU."""
        return self.to("cpu")

    def cuda(self, device: builtins.int = 0) -> PackedSequence:
        """The sequences on a GPU."""
        return self.to(f"cuda:{device}")

    byte = _cast(tensor_type.uint8)
    char = _cast(tensor_type.int8)
    short = _cast(tensor_type.int16)
    int = _cast(tensor_type.int32)
    long = _cast(tensor_type.int64)
    half = _cast(tensor_type.float16)
    bfloat16 = _cast(tensor_type.bfloat16)
    float = _cast(tensor_type.float32)
    double = _cast(tensor_type.float64)


def _spread(data: Tensor, batch_sizes: Tensor, order: Tensor | None) -> tuple[Tensor, Tensor]:
    """The padded batch of packed data, and its lengths, in the order of the batch."""
    sizes = _known("PackedSequence", batch_sizes, "how many elements there are at each time",
                   "pack outside of the function")
    if sizes.ndim != 1 or not sizes.size or sizes.dtype.kind not in "iu" or (np.diff(sizes) > 0).any() or sizes[-1] < 1:
        raise complaint(ArgumentError, "PackedSequence", "batch_sizes must be positive integers that never grow",
                        {"batch_sizes": sizes.tolist()})
    if data.ndim < 1 or data.shape[0] != sizes.sum():
        raise complaint(ShapeError, "PackedSequence", f"batch_sizes say that there are {sizes.sum()} elements",
                        {"data": data, "batch_sizes": sizes.tolist()})
    there = np.arange(sizes[0]) < sizes[:, None]
    rows = np.where(there, (np.cumsum(sizes) - sizes)[:, None] + np.arange(sizes[0]), 0)
    padded = reshape(take(data, asarray(rows.reshape(-1), device=data.device), axis=0), (*rows.shape, *data.shape[1:]))
    lengths = asarray(there.sum(0), device=data.device)
    if order is not None:
        padded, lengths = take(padded, order, axis=1), take(lengths, order, axis=0)
    return _emptied(padded, lengths), lengths


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another; None for None.

    >>> import tensorlite as tl
    >>> invert_permutation(tl.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else argsort(permutation)


def _lengths(lengths: Tensor | Sequence[int], device: str) -> Tensor:
    """Lengths as a tensor of int64; those of a tensor are not known in a trace, even of one that it closes over."""
    found = lengths.detach() if isinstance(lengths, Tensor) else asarray(np.asarray(lengths))
    if found.ndim != 1:
        raise complaint(ShapeError, "pack_padded_sequence", "lengths must have one axis", {"lengths": lengths})
    if not found.shape[0]:
        return found
    if found.dtype.kind not in "iu":
        raise complaint(DTypeError, "pack_padded_sequence", "lengths must be integers", {"lengths": lengths})
    return found.to(dtype=tensor_type.int64, device=device)


def _check_lengths(input: Tensor, lengths: np.ndarray, longest: int, enforce_sorted: bool) -> None:
    shown = {"input": input, "lengths": lengths.tolist()}
    if (lengths <= 0).any():
        raise complaint(ArgumentError, "pack_padded_sequence", "a sequence has at least one element", shown)
    if lengths.max() > longest:
        raise complaint(ShapeError, "pack_padded_sequence", f"no sequence can be longer than the input, {longest}",
                        shown)
    if enforce_sorted and (np.diff(lengths) > 0).any():
        raise complaint(ArgumentError, "pack_padded_sequence", "the longest sequence must come first, as "
                        "enforce_sorted says", shown, "pass enforce_sorted=False")


def pack_padded_sequence(input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False,
                         enforce_sorted: bool = True) -> PackedSequence:
    """Packs a padded batch of sequences, for a recurrent layer to see each one only as far as it goes.

    input: [longest, batch, ...], or [batch, longest, ...] with ``batch_first``; lengths: [batch] integers. Raises
    `ArgumentError` for lengths below 1, and where the longest does not come first though ``enforce_sorted`` says so;
    `ShapeError` where they do not go with the input. Under `jit` lengths that are an argument are not known, and so not
    checked: such a batch keeps all of its steps.

    >>> import tensorlite as tl
    >>> padded = tl.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> pack_padded_sequence(padded, [2, 1, 3], batch_first=True, enforce_sorted=False).data
    tensor([4, 1, 3, 5, 2, 6])
    """
    if not isinstance(input, Tensor):
        raise complaint(DTypeError, "pack_padded_sequence", f"input must be a tensor, not {type(input).__name__}",
                        {"input": input}, "make it one: tl.asarray(...), or use pack_sequence")
    if input.ndim < 2:
        raise complaint(ShapeError, "pack_padded_sequence", "input must be [longest, batch, ...]", {"input": input})
    padded = _turned(input) if batch_first else input
    found = _lengths(lengths, input.device)
    if found.shape[0] != padded.shape[1]:
        raise complaint(ShapeError, "pack_padded_sequence", f"there are {found.shape[0]} lengths for "
                        f"{padded.shape[1]} sequences", {"input": input, "lengths": lengths})
    if not padded.shape[1]:
        raise complaint(ShapeError, "pack_padded_sequence", "there is no sequence", {"input": input})
    if is_traced(found):
        order = None if enforce_sorted else argsort(found, descending=True)
        return PackedSequence(padded=_emptied(padded, found), lengths=found, sorted_indices=order)
    known = found.numpy()
    _check_lengths(input, known, padded.shape[0], enforce_sorted)
    padded = padded[:int(known.max())]
    padded = _emptied(padded, found) if (known < padded.shape[0]).any() else padded
    order = None if enforce_sorted else asarray(np.argsort(-known, kind="stable"), device=found.device)
    return PackedSequence(padded=padded, lengths=found, sorted_indices=order)


def _emptied(padded: Tensor, lengths: Tensor) -> Tensor:
    """The batch with zeros where its sequences have ended: nothing of the padding goes anywhere, were it a NaN."""
    return where(present(lengths, padded.shape[0], padded), padded, 0)


def _turned(x: Tensor) -> Tensor:
    """The first two axes exchanged."""
    return _permute_dims(x, axes=(1, 0, *range(2, x.ndim)))


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
                        total_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The padded batch of packed sequences, [longest, batch, ...] or [batch, longest, ...], and its lengths.

    What is past a sequence's end is ``padding_value``. The batch is ``total_length`` long if that is given: then its
    shape does not depend on the lengths, which under `jit` it cannot. Raises `ArgumentError` if a sequence is longer.

    >>> import tensorlite as tl
    >>> packed = pack_sequence([tl.tensor([1, 2]), tl.tensor([3])])
    >>> pad_packed_sequence(packed, batch_first=True, padding_value=-1)
    (tensor([[ 1,  2],
            [ 3, -1]]), tensor([2, 1]))
    """
    if not isinstance(sequence, PackedSequence):
        raise complaint(DTypeError, "pad_packed_sequence", f"takes a PackedSequence, not {type(sequence).__name__}")
    x, lengths = sequence.padded, sequence.lengths
    steps = x.shape[0]
    if total_length is None or total_length < steps:
        steps = int(_known("pad_packed_sequence", lengths, "how long the longest sequence is",
                           f"pass total_length={steps}").max())
        if total_length is not None and total_length < steps:
            raise complaint(ArgumentError, "pad_packed_sequence", f"a sequence of {steps} elements does not fit",
                            {"total_length": total_length})
        x = x[:steps]
    if padding_value != 0:
        x = where(present(lengths, steps, x), x, padding_value)
    if total_length is not None and total_length > steps:
        x = concat([x, full((total_length - steps, *x.shape[1:]), padding_value, dtype=x.dtype, device=x.device)])
    return _turned(x) if batch_first else x, lengths


def _as_list(op: str, sequences: Any) -> list[Tensor]:
    if isinstance(sequences, Tensor):
        return list(unstack(sequences))
    found = list(sequences) if isinstance(sequences, Iterable) else None
    if found is None or not all(isinstance(x, Tensor) for x in found):
        raise complaint(DTypeError, op, "takes a sequence of tensors", {"sequences": sequences})
    if not found:
        raise complaint(ArgumentError, op, "takes at least one sequence")
    return found


def pad_sequence(sequences: Tensor | Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0,
                 padding_side: str = "right") -> Tensor:
    """Sequences [length, ...] side by side, made equally long: [longest, batch, ...] or [batch, longest, ...].

    Raises `ShapeError` where they differ in more than the length, `ArgumentError` for no sequence at all and for a
    side other than ``"right"`` and ``"left"``.

    >>> import tensorlite as tl
    >>> pad_sequence([tl.tensor([1, 2]), tl.tensor([3])], batch_first=True, padding_side="left")
    tensor([[1, 2],
            [0, 3]])
    """
    rows = _as_list("pad_sequence", sequences)
    if padding_side not in ("right", "left"):
        raise complaint(ArgumentError, "pad_sequence", f"padding_side must be 'right' or 'left', not {padding_side!r}")
    if any(x.ndim < 1 or x.shape[1:] != rows[0].shape[1:] for x in rows):
        raise complaint(ShapeError, "pad_sequence", "sequences are [length, ...], and differ in length alone",
                        {f"sequences[{i}]": x for i, x in enumerate(rows)})
    longest, first = max(x.shape[0] for x in rows), rows[0]

    def padded(x: Tensor) -> Tensor:
        x = x.to(first.dtype)
        if x.shape[0] == longest:
            return x
        missing = full((longest - x.shape[0], *x.shape[1:]), padding_value, dtype=first.dtype, device=x.device)
        return concat([x, missing] if padding_side == "right" else [missing, x])

    return stack([padded(x) for x in rows], axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor | Sequence[int],
                   batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch, each as long as ``lengths`` say: what `pad_sequence` was given.

    >>> import tensorlite as tl
    >>> unpad_sequence(tl.tensor([[1, 2], [3, 0]]), tl.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    lengths = lengths if isinstance(lengths, Tensor) else asarray(np.asarray(lengths))
    if padded_sequences.ndim < 2 or lengths.shape != (padded_sequences.shape[0 if batch_first else 1],):
        raise complaint(ShapeError, "unpad_sequence", "there must be one length for each sequence",
                        {"padded_sequences": padded_sequences, "lengths": lengths})
    known = _known("unpad_sequence", lengths, "how long the sequences are", "keep them padded")
    rows = unstack(padded_sequences, axis=0 if batch_first else 1)
    return [x[:n] for x, n in zip(rows, known.tolist(), strict=True)]


def pack_sequence(sequences: Iterable[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences [length, ...] of different lengths; see `pack_padded_sequence`.

    >>> import tensorlite as tl
    >>> pack_sequence([tl.tensor([1, 2]), tl.tensor([3])]).data
    tensor([1, 3, 2])
    """
    rows = _as_list("pack_sequence", sequences)
    return pack_padded_sequence(pad_sequence(rows), [x.shape[0] for x in rows], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed, in their order.

    >>> import tensorlite as tl
    >>> unpack_sequence(pack_sequence([tl.tensor([1, 2]), tl.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences))
