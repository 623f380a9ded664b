"""The worker's side: what runs in a process that loads batches."""

from __future__ import annotations

import os
import pickle
import random
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from tensorlite.data import transport
from tensorlite.data.fetch import Fetcher, StreamFetcher, Task
from tensorlite.kernels.cpu import team
from tensorlite.random import manual_seed


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Which worker this process is: its number, how many there are, its seed and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception on its way to the parent: the whole traceback as text, and the exception if it can be pickled."""

    text: str
    pickled: bytes | None


_worker: list[WorkerInfo] = []


def get_worker_info() -> WorkerInfo | None:
    """What this worker process is, or None outside of one.

    >>> get_worker_info() is None
    True
    """
    return _worker[-1] if _worker else None


def serve(info: WorkerInfo, fetcher: Fetcher | StreamFetcher, worker_init_fn: Callable[[int], Any] | None,
          connection: Connection, others: Sequence[Connection]) -> None:
    """Loads task after task, until the parent hangs up."""
    for inherited in others:  # the parent's ends: as long as one stays open here, nobody sees the parent die
        inherited.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        failure = _prepare(info, worker_init_fn)
        while (task := transport.receive(connection)) is not None:
            transport.send(connection, transport.pack(failure) if failure else _attempt(fetcher, task))
    except (EOFError, ConnectionError):
        os._exit(0)


def _prepare(info: WorkerInfo, worker_init_fn: Callable[[int], Any] | None) -> Failure | None:
    _worker.append(info)
    team.set_num_threads(1)  # the workers are what keeps the other cores busy
    random.seed(info.seed)
    np.random.seed(info.seed % 2**32)  # noqa: NPY002, for datasets that draw from it
    manual_seed(info.seed)
    try:
        if worker_init_fn is not None:
            worker_init_fn(info.id)
    except Exception as error:
        error.add_note(f"in worker_init_fn({info.id})")
        return _failure(error)
    return None


def _attempt(fetcher: Fetcher | StreamFetcher, task: Task) -> list[Any]:
    try:
        return transport.pack((fetcher(task),))
    except Exception as error:
        return transport.pack(_failure(error))


def _failure(error: Exception) -> Failure:
    text = "".join(traceback.format_exception(error))
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)
    except Exception:  # user code: an exception may refuse to be pickled, or to be made again, in any way
        pickled = None
    return Failure(text, pickled)
