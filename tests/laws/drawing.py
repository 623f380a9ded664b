"""Inputs for the generated laws: values from the ops' own domains, in every layout."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import tensorlite.nn
import tensorlite.optim  # noqa: F401  (optimizers declare ops too)
from tensorlite.kernels.device import NATIVE_SIZE
from tensorlite.op import OPS, Elementwise, Integers, Op, Regular, Sample
from tensorlite.tensor_type import DTYPES, GROUPS

ELEMENTWISE = [op for op in OPS.values() if isinstance(op, Elementwise)]
STRUCTURED = [op for op in OPS.values() if not isinstance(op, Elementwise)]

#: Where an input's declaration names no domain.
DEFAULT_DOMAIN = (-2.0, 2.0)

#: Small shapes by what they are; an op of n inputs takes the first n, over again where it has more.
SHAPES = {
    "0-d": [(), (), ()],
    "one element": [(1,), (1, 1), ()],
    "vector": [(5,), (5,), (5,)],
    "matrix": [(3, 4), (3, 4), (3, 4)],
    "empty": [(0,), (0,), (0,)],
    "empty axis": [(2, 0, 3), (2, 0, 3), (1, 3)],
    "broadcast both": [(3, 1), (4,), (2, 1, 1)],
    "broadcast 0-d": [(), (2, 3), (3,)],
    "broadcast empty": [(0, 3), (1, 3), ()],
}

_ROWS = NATIVE_SIZE // 64 + 3

#: Shapes that native kernels take.
LARGE_SHAPES = {
    "long": [(NATIVE_SIZE + 37,)] * 3,
    "rows": [(_ROWS, 67)] * 3,
    "broadcast": [(_ROWS, 1), (67,), (1, 67)],
    "0-d": [(_ROWS, 67), (), ()],
}

LAYOUTS = ("contiguous", "transposed", "reversed", "stepped", "repeated", "offset")


def seeded(*key: object) -> np.random.Generator:
    """A generator that depends on nothing but its key."""
    return np.random.default_rng(list(repr(key).encode()))


def lay_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same elements with other strides."""
    if layout == "transposed":
        return array.T.copy().T
    if layout == "reversed" and array.ndim:
        return array[::-1].copy()[::-1]
    if layout == "stepped" and array.ndim:
        wide = np.repeat(array, 2, axis=-1)
        return wide[..., ::2]
    if layout == "repeated" and array.ndim:
        return np.broadcast_to(array[:1], array.shape)
    if layout == "offset" and array.ndim:
        return np.concatenate([array[:1], array])[len(array[:1]):]
    return array


def values(random: np.random.Generator, shape: Sequence[int], dtype: np.dtype,
           domain: tuple[float, float] = DEFAULT_DOMAIN) -> np.ndarray:
    """Random numbers of a dtype within a domain; of a complex dtype, with imaginary parts in (-1, 1)."""
    if isinstance(shape, Regular):
        return shape.draw(random, dtype)
    low, high = domain
    if dtype.kind == "b":
        return np.asarray(random.integers(0, 2, shape), dtype)
    if dtype.kind in "iu":
        least = int(np.ceil(low)) if dtype.kind == "i" else max(0, int(np.ceil(low)))
        return np.asarray(random.integers(least, max(least, int(np.floor(high))) + 1, shape), dtype)
    real = random.uniform(low, high, shape)
    if dtype.kind == "c":
        return np.asarray(real + 1j * random.uniform(-1, 1, shape), dtype)
    return np.asarray(real).astype(dtype)


def smooth_values(random: np.random.Generator, shape: Sequence[int], dtype: np.dtype, place: int,
                  domain: tuple[float, float] = DEFAULT_DOMAIN) -> np.ndarray:
    """Values away from kinks: not near multiples of a half, and not near those of another ``place``."""
    if isinstance(shape, Regular):
        return shape.draw(random, dtype)
    low, high = domain
    grid = np.arange(np.floor(low * 2), np.ceil(high * 2)) / 2 + 0.1 + 0.12 * place
    grid = grid[(grid >= low) & (grid + 0.06 <= high)]
    real = random.choice(grid, shape) + random.uniform(0, 0.06, shape)
    if dtype.kind == "c":
        return np.asarray(real + 1j * random.uniform(0.2, 1, shape), dtype)
    return np.asarray(real, dtype)


def inputs_of(op: Elementwise, dtype: np.dtype, shapes: Sequence[Sequence[int]], layout: str,
              random: np.random.Generator) -> list[np.ndarray]:
    """Arrays for an elementwise op."""
    arrays = []
    for name, shape in zip(op.inputs, itertools.cycle(shapes)):
        own = np.dtype(bool) if name in op.conditions else dtype
        arrays.append(lay_out(values(random, shape, own, domain_of(op, name, own)), layout))
    return arrays


def domain_of(op: Elementwise, name: str, dtype: np.dtype) -> tuple[float, float]:
    """Where an input is drawn from; integers are not raised to negative powers nor shifted by them."""
    if dtype.kind in "iu" and op.name in ("pow", "bitwise_left_shift", "bitwise_right_shift") and name == "x2":
        return (0, 3)
    return op.domain.get(name, DEFAULT_DOMAIN)


def taken_dtypes(op: Elementwise) -> list[np.dtype]:
    """The dtypes that an op takes, those that it first makes floating included."""
    return [dtype for dtype in DTYPES if dtype in op.dtypes or op.promotes and dtype.kind in "biu"]


def compute_dtype(op: Elementwise, dtype: np.dtype) -> np.dtype:
    """The dtype that an op computes in for inputs of a dtype."""
    return dtype if dtype in op.dtypes else np.dtype(np.float32)


def sample_arrays(op: Op, sample: Sample, dtype: np.dtype) -> list[np.ndarray]:
    """Arrays for a sample of a structured op."""
    random = seeded(op.name, sample.inputs, dtype.name)
    return [shape.draw(random) if isinstance(shape, Integers)
            else values(random, shape, dtype) for shape in sample.inputs]


def samples() -> Iterator[tuple[Op, Sample]]:
    """Every sample of every structured op."""
    return ((op, sample) for op in STRUCTURED for sample in op.samples)


#: Ops that only real floating tensors reach: the functions around them refuse the others, or cast them.
_REAL_FLOATING = ("var", "logsumexp", "from_parts", "class_weights", "conv2d", "softmax", "log_softmax", "normalize",
                  "max_pool2d", "avg_pool2d", "eig", "svd")


def reaches(op: Op, dtype: np.dtype) -> bool:
    """Whether tensors of a dtype reach an op through the functions that users call."""
    if op.name == "cast":
        return dtype.kind != "c"
    return dtype in GROUPS["real floating"] or not op.name.startswith(_REAL_FLOATING)


def sample_id(value: Any) -> str:
    """A short name of an op or sample for test reports."""
    if isinstance(value, Op):
        return value.name
    if isinstance(value, Sample):
        shapes = " ".join(str(list(getattr(i, "shape", i))) for i in value.inputs)
        return shapes + "".join(f" {name}={attribute}" for name, attribute in value.attributes.items())
    return str(getattr(value, "name", value))

