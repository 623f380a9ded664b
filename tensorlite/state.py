"""What each Python thread is doing: recording or not, which interpreter runs ops, where new tensors go, which node the
backward walk is at."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import numpy as np


class State(threading.local):
    """One thread's mode. While a function is traced, `met` is told of each tensor that is about to be rebound, and
    `control` makes closed graphs of the functions that control flow is given.

    `grad` is told of each tensor whose ``.grad`` is about to be "read" or "forgotten", and `read` of modules and
    optimizers whose attributes a function reads while it is traced.
    `elements` is told of each tensor whose elements Python is given, which a trace then depends on.
    `linearizing` says that a pullback is recorded for the sake of its own pullback, which maps tangents forward.
    `autocast` casts what ops take, where that is wanted.
    `quiet(function, *arguments)` calls with NumPy's floating point warnings off: it enters a context of its own
    (0.05 us), where `numpy.errstate` would cost twice an eager add (0.8 us) and `numpy.seterr` would leak.
    """

    recording: bool
    interpreter: Callable[..., Any] | None
    met: Callable[[Any], Any] | None
    read: Callable[[Any], Any] | None
    grad: Callable[[Any, str], Any] | None
    elements: Callable[[Any], Any] | None
    control: Callable[..., Any] | None
    linearizing: bool
    autocast: Any
    device: str
    walking: Any
    quiet: Callable[..., Any]

    def __init__(self) -> None:
        self.recording = True
        self.interpreter = None
        self.met = None
        self.read = None
        self.grad = None
        self.elements = None
        self.control = None
        self.linearizing = False
        self.autocast = None
        self.device = "cpu"
        self.walking = None
        self.refresh()

    def refresh(self) -> None:
        """Makes a fresh quiet context, for use inside a call that already runs in one."""
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.quiet = context.run


state = State()
