"""DataLoader: goes through a dataset in batches."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import count, takewhile
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np

from tensorlite.data.collate import default_collate, default_convert
from tensorlite.data.dataset import IterableDataset
from tensorlite.data.fetch import End, Fetcher, StreamFetcher, Task
from tensorlite.data.pool import Worker, context_of, end_workers, start_workers
from tensorlite.data.readahead import ReadAhead
from tensorlite.data.sampler import (
    BatchSampler,
    Randomness,
    RandomSampler,
    Sampler,
    SequentialSampler,
    as_generator,
    draw_seed,
)
from tensorlite.errors import ArgumentError, complaint
from tensorlite.random import default_generator


class DataLoader:
    """Goes through a dataset in batches, in order or shuffled, as PyTorch's ``DataLoader`` does.

    With ``num_workers=0`` a thread of this process reads ``prefetch_factor`` batches ahead. A dataset that draws
    from the global random state (Python's, NumPy's or tensorlite's) is noticed at the first batch and then loaded
    in the calling thread, so that the same seed gives the same numbers; ``prefetch_factor=0`` asks for that.

    With ``num_workers=n`` each of n processes loads every n-th batch, ``prefetch_factor`` batches ahead; batches
    come in the sampler's order, whatever the number of workers. Worker ``i`` has its own seed, the loader's plus
    ``i``; what `transforms` draw is the same with any number of workers. An `IterableDataset` comes in its own order:
    each worker goes through a copy of its own, and the workers take turns, batch by batch, while they have any.

    ``multiprocessing_context`` is ``"fork"`` (the default on Linux, which knows classes defined in a
    notebook), ``"spawn"``, ``"forkserver"`` or a context. A worker's exception is raised here with its whole
    traceback; a worker that dies raises `WorkerDied`.

    >>> import tensorlite as tl
    >>> dataset = tl.data.TensorDataset(tl.arange(5), tl.arange(5) * 10)
    >>> for x, y in DataLoader(dataset, batch_size=2):
    ...     print(x, y)
    tensor([0, 1]) tensor([ 0, 10])
    tensor([2, 3]) tensor([20, 30])
    tensor([4]) tensor([40])
    """

    def __init__(self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None,
                 sampler: Sampler[int] | Iterable[Any] | None = None,
                 batch_sampler: Sampler[list[int]] | Iterable[Any] | None = None, num_workers: int = 0,
                 collate_fn: Callable[[Any], Any] | None = None, *, drop_last: bool = False, timeout: float = 0,
                 worker_init_fn: Callable[[int], Any] | None = None,
                 multiprocessing_context: str | BaseContext | None = None, generator: Randomness = None,
                 prefetch_factor: int | None = None, persistent_workers: bool = False) -> None:
        _check_dataset(dataset, shuffle, sampler, batch_sampler)
        _check_sampling(batch_size, shuffle, sampler, batch_sampler, drop_last)
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers, multiprocessing_context)
        self.dataset = dataset
        self.generator = as_generator(generator)
        self.batch_size = None if batch_sampler is not None else batch_size
        self.drop_last = drop_last
        self._is_stream = isinstance(dataset, IterableDataset)
        if sampler is None and not self._is_stream:
            sampler = RandomSampler(dataset, generator=self.generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is None and batch_size is not None and sampler is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self._batched = batch_sampler is not None or batch_size is not None
        self.collate_fn = collate_fn or (default_collate if self._batched else default_convert)
        self.num_workers = num_workers
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = context_of(multiprocessing_context) if num_workers else None
        self.persistent_workers = persistent_workers
        self._workers: list[Worker] = []
        self._turn = 0

    def __len__(self) -> int:
        if not self._is_stream:
            return len(self._order)  # type: ignore[arg-type]
        size = len(self.dataset)
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)

    @property
    def _order(self) -> Iterable[Any]:
        return self.sampler if self.batch_sampler is None else self.batch_sampler  # type: ignore[return-value]

    def __iter__(self) -> Iterator[Any]:
        seed = draw_seed(self.generator)  # drawn with and without workers, so that both see one order
        self._turn += 1
        tasks, fetcher = self._tasks(self._turn, seed), self._fetcher()
        if self.num_workers == 0:
            return _load_here(tasks, fetcher, self.prefetch_factor)
        if not self.persistent_workers:
            workers = self._start(seed, fetcher)
            return ReadAhead(tasks, workers, self.prefetch_factor, self.timeout, lambda: end_workers(workers))
        if not self._workers:
            self._workers = self._start(seed, fetcher)
            weakref.finalize(self, end_workers, self._workers)
        return ReadAhead(tasks, self._workers, self.prefetch_factor, self.timeout, owner=self)

    def _tasks(self, turn: int, seed: int) -> Iterator[Task]:
        if self._is_stream:
            return (Task(number, None, turn, seed) for number in count())
        return (Task(number, indices, turn, seed) for number, indices in enumerate(self._order))

    def _fetcher(self) -> Fetcher | StreamFetcher:
        if self._is_stream:
            return StreamFetcher(self.dataset, self.collate_fn, self.batch_size, self.drop_last)
        return Fetcher(self.dataset, self.collate_fn, self._batched)

    def _start(self, seed: int, fetcher: Fetcher | StreamFetcher) -> list[Worker]:
        assert self.multiprocessing_context is not None
        return start_workers(self.multiprocessing_context, self.num_workers, seed, fetcher, self.worker_init_fn)


def _load_here(tasks: Iterator[Task], fetcher: Fetcher | StreamFetcher, depth: int) -> Iterator[Any]:
    """Loads in this process: the first batch in this thread, the others ahead if loading draws nothing at random."""
    first = next(tasks, None)
    if first is None:
        return
    before = _random_state()
    batch = fetcher(first)
    if isinstance(batch, End):
        return
    if depth == 0 or _random_state() != before:
        yield batch
        yield from takewhile(lambda answer: not isinstance(answer, End), map(fetcher, tasks))
        return
    ahead = ReadAhead(tasks, [fetcher], depth)
    try:
        yield batch
        del batch
        yield from ahead
    finally:
        ahead.close()


def _random_state() -> tuple[Any, ...]:
    """What a draw from any global random state changes."""
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002, the state others draw from
    return random.getstate(), state[1].tobytes(), state[2:], default_generator.get_state().tolist()


def _refuse(problem: str, fix: str | None = None) -> None:
    raise complaint(ArgumentError, "DataLoader", problem, fix=fix)


def _check_dataset(dataset: Any, shuffle: object, sampler: object, batch_sampler: object) -> None:
    if not hasattr(dataset, "__getitem__"):
        raise complaint(ArgumentError, "DataLoader", f"{type(dataset).__name__} has no __getitem__: a dataset gives a "
                        "sample by its index", fix="make it an IterableDataset, if it only has an order of its own"
                        if hasattr(dataset, "__iter__") else None)
    if isinstance(dataset, IterableDataset):
        given = {"shuffle": shuffle, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None and value is not False:
                _refuse(f"an IterableDataset comes in its own order, and excludes {name}")


def _check_sampling(batch_size: int | None, shuffle: bool | None, sampler: object, batch_sampler: object,
                    drop_last: bool) -> None:
    if sampler is not None and shuffle:
        _refuse("sampler and shuffle exclude each other")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        _refuse("batch_sampler excludes batch_size, shuffle, sampler and drop_last")
    if batch_size is None and drop_last:
        _refuse("batch_size=None makes no batches, and excludes drop_last")


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool,
                   context: object) -> None:
    if not isinstance(num_workers, int) or num_workers < 0:
        _refuse(f"num_workers is {num_workers!r}, expected an integer of at least 0")
    if timeout < 0:
        _refuse(f"timeout is {timeout!r}, expected seconds, or 0 for none")
    least = 0 if num_workers == 0 else 1
    if prefetch_factor is not None and (not isinstance(prefetch_factor, int) or prefetch_factor < least):
        _refuse(f"prefetch_factor is {prefetch_factor!r}, expected an integer of at least {least}")
    needs = {"timeout": timeout, "persistent_workers": persistent_workers, "multiprocessing_context": context}
    for name, value in needs.items():
        if value and num_workers == 0:
            _refuse(f"{name} needs num_workers of at least 1")
