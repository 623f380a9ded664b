"""Fetching: indices become a batch, and a failure names the index at fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """What to load: the batch's number, and its indices, or one index where the loader makes no batches."""

    number: int
    indices: Any


class Trouble(Exception):
    """What went wrong with a worker, kept until the thread that asked can say it with its own line."""

    def __init__(self, complaint: Callable[[], Exception]) -> None:
        super().__init__()
        self.complaint = complaint


@dataclass(frozen=True)
class Fetcher:
    """Loads a task's samples from the dataset and collates them."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batched: bool

    def __call__(self, task: Task) -> Any:
        """Loads one batch, or one sample where the loader makes no batches."""
        load = self._load
        samples = [load(index, task) for index in task.indices] if self.batched else load(task.indices, task)
        with _noted(f"while collating {describe(task, self.batched)}"):
            return self.collate_fn(samples)

    def _load(self, index: Any, task: Task) -> Any:
        with _noted(f"while loading index {index!r}" + (f" of batch {task.number}" if self.batched else "")):
            return self.dataset[index]


def describe(task: Task, batched: bool = True) -> str:
    """Names a task: ``batch 3 (indices 17, 4, 99)``."""
    if not batched or not isinstance(task.indices, Sequence):
        return f"sample {task.number} (index {task.indices!r})"
    shown = ", ".join(map(repr, task.indices[:8])) + (", ..." if len(task.indices) > 8 else "")
    return f"batch {task.number} (indices {shown})"


@contextmanager
def _noted(note: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise
