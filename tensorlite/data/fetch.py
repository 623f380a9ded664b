"""Fetching: indices become a batch, and a failure names the index at fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tensorlite.data import chance


@dataclass(frozen=True, slots=True)
class Task:
    """What to load: the batch's number, and its indices, or one index where the loader makes no batches.

    A stream has no indices. ``turn`` counts the loader's passes, and ``seed`` is what the pass draws by.
    """

    number: int
    indices: Any = None
    turn: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """The answer of a stream that has no more samples."""


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
        samples = self._batch(task) if self.batched else self._load(task.indices, task, 0)
        return _collated(self, samples, task)

    def _batch(self, task: Task) -> Sequence[Any]:
        together = getattr(self.dataset, "__getitems__", None)
        if not callable(together):
            return [self._load(index, task, number) for number, index in enumerate(task.indices)]
        with _noted(f"while loading {describe(task)}"), chance.at(chance.Place(task.seed, task.number, 0)):
            return together(list(task.indices))

    def _load(self, index: Any, task: Task, number: int) -> Any:
        note = f"while loading index {index!r}" + (f" of batch {task.number}" if self.batched else "")
        with _noted(note), chance.at(chance.Place(task.seed, task.number, number)):
            return self.dataset[index]


@dataclass
class StreamFetcher:
    """Loads the next samples of an IterableDataset and collates them; it answers `End` from its last one on."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batch_size: int | None
    drop_last: bool = False
    turn: int = -1
    samples: Iterator[Any] | None = None

    @property
    def batched(self) -> bool:
        """Whether samples are put together."""
        return self.batch_size is not None

    def __call__(self, task: Task) -> Any:
        """Loads one batch, or one sample where the loader makes no batches."""
        with _noted(f"while loading {describe(task, self.batched)}"), \
                chance.at(chance.Place(task.seed, task.number, 0)):
            if task.turn != self.turn or self.samples is None:
                self.turn, self.samples = task.turn, iter(self.dataset)
            found = list(islice(self.samples, 1 if self.batch_size is None else self.batch_size))
        if not found or self.drop_last and len(found) < (self.batch_size or 1):
            self.samples = iter(())
            return End()
        return _collated(self, found if self.batched else found[0], task)


def _collated(fetcher: Fetcher | StreamFetcher, samples: Any, task: Task) -> Any:
    with _noted(f"while collating {describe(task, fetcher.batched)}"):
        return fetcher.collate_fn(samples)


def describe(task: Task, batched: bool = True) -> str:
    """Names a task: ``batch 3 (indices 17, 4, 99)``."""
    if task.indices is None:
        return f"{'batch' if batched else 'sample'} {task.number}"
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
