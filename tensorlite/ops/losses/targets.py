"""Targets that are class indices: what is asked of them, and where each one's class is."""

from __future__ import annotations

from typing import Any

from tensorlite.batch import leading
from tensorlite.declare import primitive
from tensorlite.errors import DTypeError, IndexingError, ShapeError
from tensorlite.op import Integers, Sample
from tensorlite.ops.elementwise import equal, not_equal, where
from tensorlite.ops.ranges import arange
from tensorlite.ops.shape import _reshape, astype
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import int32, int64

#: What no target is: ignored is nothing.
NOTHING = -2**63

#: The largest number of 32 bits.
LARGEST = 2**31 - 1


def check_classes(target: Any, classes: int, ignore: int) -> Any:
    """Where a target is not ignored; raises where one names no class."""
    if target.dtype.kind not in "iu":
        raise DTypeError(f"target holds class indices, which are integers, not {target.dtype.name}",
                         "cast it: target.to(tl.int64)")
    valid = target != ignore
    outside = valid & ((target < 0) | (target >= classes))
    if outside.any():
        ignored = "" if ignore == NOTHING else f", or ignore_index={ignore}"
        raise IndexingError(f"target {int(target[outside][0])} is out of range for {classes} classes",
                            f"use 0 to {classes - 1}{ignored}")
    return valid


def check_target(x: Any, target: Any, axis: int) -> None:
    """Raises where targets do not have the scores' shape without the axis of classes."""
    expected = x.shape[:axis] + x.shape[axis + 1:]
    if target.shape != expected:
        raise ShapeError(f"target must have shape {list(expected)}, the input's without its classes")


@primitive("index", type=lambda target, **_: target, batch=leading,
           samples=[Sample(Integers((4,), 0, 3), ignore=-100, classes=3)])
def known_classes(xp: Any, target: Any, *, ignore: int, classes: int) -> Any:
    """The targets themselves, when each is found to name a class or to be ignored."""
    check_classes(target, classes, ignore)
    return target


def is_class(target: Tensor, axis: int, classes: int, ignore: int) -> Tensor:
    """Where along the axis of classes each target's is; nowhere if it is ignored."""
    return is_known_class(known_classes(target, ignore=ignore, classes=classes), axis, classes, ignore)


def is_known_class(target: Tensor, axis: int, classes: int, ignore: int) -> Tensor:
    """The same of targets that were looked at already."""
    wanted = _numbers(target, classes, ignore)
    wanted = _reshape(wanted, shape=(*wanted.shape[:axis], 1, *wanted.shape[axis:]))
    along = tuple(classes if d == axis else 1 for d in range(wanted.ndim))
    return equal(wanted, _reshape(arange(classes, dtype=wanted.dtype), shape=along))


def _numbers(target: Tensor, classes: int, ignore: int) -> Tensor:
    """Targets in 32 bits, as wide as a score; what is ignored is none of the classes."""
    wanted = astype(target, int32, copy=False)
    if -LARGEST <= ignore < 0 or classes <= ignore <= LARGEST:
        return wanted
    return where(counts(target, ignore), wanted, -1)


def counts(target: Tensor, ignore: int) -> Tensor:
    """Where a target is not ignored."""
    return not_equal(astype(target, int64, copy=False), ignore)
