"""What is done with the sums of a convolution: an epilogue, its operands, and the places of pixels in all arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.conv_geometry import Pair
from tensorlite.kernels.cpu.matmul import lowers
from tensorlite.kernels.generated.gemm_loops import Epilogue
from tensorlite.kernels.stage import Array

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_LETTERS = {1: "u", 0: "b", 2: "2"}  # of steps that kernels know beforehand


@dataclass(frozen=True)
class Finish:
    """The epilogue of a plan, and the arrays that it reads and writes."""

    values: tuple[s.Expr, ...]
    operands: tuple[Array, ...]
    outputs: tuple[Array, ...]

    def epilogue(self, letters: str) -> Epilogue:
        """Return what the loops are specialised to."""
        return Epilogue(
            self.values, tuple(x.dtype.name for x in self.outputs), tuple(x.dtype.name for x in self.operands), letters
        )

    @property
    def last(self) -> bool:
        """Whether the channels of the results lie along memory."""
        return self.outputs[0].is_channels_last

    def letters(self, places: Sequence[tuple[int, ...]]) -> str:
        """Return a letter for each array, by how far apart its neighbours along a row of results are."""
        along = 2 if self.last else 4
        return "".join(_LETTERS.get(place[along], "s") for place in places)

    @property
    def reads(self) -> tuple[int, ...]:
        """The numbers of the operands: they come after two inputs."""
        return tuple(range(2, 2 + len(self.operands)))

    @property
    def writes(self) -> tuple[int, ...]:
        """The numbers of the outputs."""
        return tuple(range(2 + len(self.operands), self.count))

    @property
    def count(self) -> int:
        """The number of arrays of the caller."""
        return 2 + len(self.operands) + len(self.outputs)


def finish_of(
    inputs: tuple[Array, Array], outputs: Sequence[Array], epilogue: Sequence[s.Expr] | None, operands: Sequence[Array]
) -> Finish | None:
    """Return the epilogue if everything has a native form."""
    dtype, shape = inputs[0].dtype, outputs[0].shape
    results = _in_one_order(outputs)
    if dtype not in _DTYPES or inputs[1].dtype != dtype or results is None:
        return None
    values = (s.Var("product"),) * len(outputs) if epilogue is None else tuple(epilogue)
    broadcast = tuple(_broadcast(operand, len(shape)) for operand in operands)
    finish = Finish(values, broadcast, results)
    return finish if lowers(finish.epilogue("b" * len(operands)), dtype) else None


def _in_one_order(outputs: Sequence[Array]) -> tuple[Array, ...] | None:
    """Return how outputs lie, with the strides of extents of 1 that are usual; None if they differ or have gaps."""
    shape = outputs[0].shape
    if all(x.shape == shape and (x.is_contiguous or not x.size) for x in outputs):
        return tuple(Array.contiguous(x.dtype, shape) for x in outputs)
    if all(x.shape == shape and x.is_channels_last for x in outputs):
        return tuple(Array.channels_last(x.dtype, shape) for x in outputs)
    return None


def _broadcast(array: Array, ndim: int) -> Array:
    """Return an array of that many dimensions, with strides of 0 where it has one element."""
    missing = ndim - array.ndim
    strides = [0 if n == 1 else stride for n, stride in zip(array.shape, array.strides, strict=True)]
    return Array(array.dtype, (1,) * missing + array.shape, (0,) * missing + tuple(strides))


def places_of(finish: Finish, stride: Pair, phase: Pair) -> tuple[tuple[int, ...], ...]:
    """Return where the pixels of a phase of a result are, in the output and in the operands."""
    return tuple(
        (phase[0] * line + phase[1] * step, image, channel, stride[0] * line, stride[1] * step)
        for image, channel, line, step in (array.strides for array in (finish.outputs[0], *finish.operands))
    )
