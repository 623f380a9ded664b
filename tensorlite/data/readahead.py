"""Reading ahead: threads load the next batches while the caller works on this one, and hand them out in order."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from tensorlite.data.fetch import Task, Trouble
from tensorlite.errors import TensorliteError, complaint

#: Seconds that closing waits for a batch under way; a thread that takes longer ends by itself after it.
GRACE = 2.0


class LoaderTimeout(TensorliteError, TimeoutError):
    """A batch that did not come within the loader's ``timeout``."""


class _Lane:
    """One thread with its own tasks and results, so that results need no reordering."""

    def __init__(self, fetch: Callable[[Task], Any], name: str) -> None:
        self.tasks: SimpleQueue[Task | None] = SimpleQueue()
        self.results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self.closed = threading.Event()
        # The thread holds the queues and not the lane, whose owner may then be collected and close it.
        self.thread = threading.Thread(target=_serve, args=(fetch, self.tasks, self.results, self.closed),
                                       name=name, daemon=True)
        self.thread.start()


def _serve(fetch: Callable[[Task], Any], tasks: SimpleQueue[Task | None],
           results: SimpleQueue[tuple[Any, BaseException | None]], closed: threading.Event) -> None:
    while (task := tasks.get()) is not None and not closed.is_set():
        try:
            results.put((fetch(task), None))
        except BaseException as error:
            results.put((None, error))


class ReadAhead(Iterator[Any]):
    """Batches in the order of their tasks, each lane working on every n-th, ``depth`` tasks ahead.

    ``finish`` is called once, at the end, at an error, or when nobody holds the iterator any more; ``owner`` is
    kept alive until then.
    """

    def __init__(self, tasks: Iterator[Task], fetchers: Sequence[Callable[[Task], Any]], depth: int,
                 timeout: float = 0, finish: Callable[[], None] | None = None, owner: object = None) -> None:
        self._tasks = tasks
        self._owner = owner
        self._timeout = timeout or None
        self._lanes = [_Lane(fetch, f"tensorlite-loader-{number}") for number, fetch in enumerate(fetchers)]
        self._sent = self._received = 0
        self._close = weakref.finalize(self, _close, os.getpid(), self._lanes, finish)
        for _ in range(depth * len(self._lanes)):
            self._send()

    def _send(self) -> None:
        task = next(self._tasks, None)
        if task is not None:
            self._lanes[self._sent % len(self._lanes)].tasks.put(task)
            self._sent += 1

    def __next__(self) -> Any:
        if self._received == self._sent:
            self.close()
            raise StopIteration
        lane = self._lanes[self._received % len(self._lanes)]
        try:
            batch, error = lane.results.get(timeout=self._timeout)
        except Empty:
            late = f"worker {self._received % len(self._lanes)} has not given batch {self._received}"
            self.close()
            problem = f"{late} within {self._timeout:g} s"
            raise complaint(LoaderTimeout, "DataLoader", problem, fix="raise timeout") from None
        except BaseException:
            self.close()
            raise
        if error is not None:
            self.close()
            raise error.complaint() if isinstance(error, Trouble) else error
        self._received += 1
        self._send()
        return batch

    def close(self) -> None:
        """Stops the threads; waits a moment for what they are loading."""
        self._received = self._sent
        self._close()


def _close(owner: int, lanes: Sequence[_Lane], finish: Callable[[], None] | None) -> None:
    if os.getpid() != owner:  # a forked copy: the threads and workers are its parent's
        return
    for lane in lanes:
        lane.closed.set()
        lane.tasks.put(None)
    if finish is not None:
        finish()
    deadline = time.monotonic() + GRACE
    for lane in lanes:
        if lane.thread is not threading.current_thread():
            lane.thread.join(max(0.0, deadline - time.monotonic()))
