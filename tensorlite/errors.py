"""Errors that name the op, its arguments with their types, the user's own line, and the fix."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import FrameType

import numpy as np

from tensorlite import kernels


class TensorliteError(Exception):
    """The root of every error that tensorlite raises on purpose.

    A rule deep inside raises it with the bare problem; ``dispatch.apply`` adds the op, the arguments and the
    user's line (`complete`).
    """

    def __init__(self, problem: str, fix: str | None = None, complete: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.fix, self.complete = problem, fix, complete


class ShapeError(TensorliteError, ValueError):
    """Shapes that do not fit an op."""


class AxisError(ShapeError, IndexError):
    """An axis that the tensor does not have."""


class IndexingError(TensorliteError, IndexError):
    """An index that the tensor does not have, or that cannot index at all."""


class DTypeError(TensorliteError, TypeError):
    """Dtypes, or kinds of argument, that an op does not take."""


class ArgumentError(TensorliteError, ValueError):
    """An option or value that an op does not take."""


class DeviceError(TensorliteError, RuntimeError):
    """Tensors on different devices, or a device that is not there."""


class GradientError(TensorliteError, RuntimeError):
    """A derivative that cannot be taken."""


class TraceError(TensorliteError, RuntimeError):
    """Something that a traced function cannot do."""


class NumericsError(TensorliteError, ArithmeticError):
    """A NaN or infinity found while ``debug_nans`` looks for them."""


class LinAlgError(TensorliteError, np.linalg.LinAlgError):
    """A matrix for which what is asked does not exist, such as the inverse of a singular one."""


class InternalError(TensorliteError, RuntimeError):
    """A broken promise inside tensorlite itself: please report it with the program that shows it."""


_INSIDE = (*(str(Path(module.__file__ or "").parent) + os.sep for module in (sys.modules[__package__], kernels, np)),
           str(Path(kernels.__file__ or "").parents[1] / "jit") + os.sep)


_STANDARD = str(Path(os.__file__).parent) + os.sep


@lru_cache(1 << 10)  # asked of every frame below every op of a trace
def _is_inside(filename: str) -> bool:
    """Whether a file belongs to the library, to NumPy or to Python itself."""
    if filename.startswith((*_INSIDE, "<frozen", "<tensorlite")):
        return True
    return filename.startswith(_STANDARD) and "-packages" not in filename


class Asked(threading.local):
    """The line and the public function that a graph's equation stands for, while it is evaluated."""

    line = name = ""


asked = Asked()


def user_line() -> str:
    """Names the innermost line outside the library: ``at model.py:41 in forward``."""
    if asked.line:
        return asked.line
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    code = frame.f_code
    return f"at {os.path.basename(code.co_filename)}:{frame.f_lineno} in {code.co_name}"


#: The names of public functions by the identity of their code: equal code may have several names.
ENTRIES: dict[int, str] = {}


def entry_name(default: str) -> str:
    """The name of the public function that the user's line called, or ``default`` where none is between."""
    if asked.line:
        return asked.name or default
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_inside(frame.f_code.co_filename):
        default = ENTRIES.get(id(frame.f_code), default)
        frame = frame.f_back
    return default


def describe(value: object) -> str:
    """Shows an argument by its type, or by its value where that is short."""
    type_of = getattr(value, "type", None)
    if type_of is not None and hasattr(type_of, "dtype"):
        return str(type_of)
    if isinstance(value, np.ndarray):
        return f"numpy {value.dtype.name}[{', '.join(map(str, value.shape))}]"
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:50]}..."


def message(op: str, problem: str, arguments: Mapping[str, object] | None = None, fix: str | None = None,
            line: str | None = None) -> str:
    """Writes the text of an error: ``op: problem``, one line an argument, the user's line, the fix.

    >>> print(message("conv2d", "x has 3 channels", {"groups": 2}, "use groups=3", "at a.py:1 in f"))
    conv2d: x has 3 channels
      groups  2
      at a.py:1 in f
      fix: use groups=3
    """
    arguments = arguments or {}
    width = max(map(len, arguments), default=0)
    lines = [f"{op}: {problem}", *(f"  {name:<{width}}  {describe(value)}" for name, value in arguments.items())]
    lines.append(f"  {line or user_line()}")
    if fix:
        lines.append(f"  fix: {fix}")
    return "\n".join(lines)


def complaint(error: type[TensorliteError], op: str, problem: str, arguments: Mapping[str, object] | None = None,
              fix: str | None = None, line: str | None = None) -> TensorliteError:
    """Builds the error to raise, its text complete."""
    return error(message(op, problem, arguments, fix, line), fix, complete=True)
