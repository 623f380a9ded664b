"""Reading ahead: threads load the next batches while the caller works on this one, and hand them out in order."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from tensorlite.data.fetch import End, Task, Trouble
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
    """Batches in the order of their tasks, the lanes taking turns, each ``depth`` tasks ahead.

    A lane that answers `End` gets no more tasks, and the others take its turns.
    ``finish`` is called once, at the end, at an error, or when nobody holds the iterator any more; ``owner`` is
    kept alive until then.
    """

    def __init__(self, tasks: Iterator[Task], fetchers: Sequence[Callable[[Task], Any]], depth: int,
                 timeout: float = 0, finish: Callable[[], None] | None = None, owner: object = None) -> None:
        self._tasks = tasks
        self._owner = owner
        self._timeout = timeout or None
        self._lanes = [_Lane(fetch, f"tensorlite-loader-{number}") for number, fetch in enumerate(fetchers)]
        self._received = 0
        self._asked: deque[int] = deque()  # the lanes that owe an answer, in the order of their tasks
        self._turns = deque(range(len(self._lanes)))
        self._close = weakref.finalize(self, _close, os.getpid(), self._lanes, finish)
        for _ in range(depth * len(self._lanes)):
            self._send()

    def _send(self) -> None:
        task = next(self._tasks, None) if self._turns else None
        if task is not None:
            number = self._turns[0]
            self._turns.rotate(-1)
            self._lanes[number].tasks.put(task)
            self._asked.append(number)

    def __next__(self) -> Any:
        while self._asked:
            answer = self._receive()
            number = self._asked.popleft()
            if isinstance(answer, End) and number in self._turns:
                self._turns.remove(number)
            self._send()
            if not isinstance(answer, End):
                self._received += 1
                return answer
        self.close()
        raise StopIteration

    def _receive(self) -> Any:
        """The answer of the lane whose turn it is; what goes wrong ends the pass."""
        number = self._asked[0]
        try:
            batch, error = self._lanes[number].results.get(timeout=self._timeout)
        except Empty:
            self.close()
            problem = f"worker {number} has not given batch {self._received} within {self._timeout:g} s"
            raise complaint(LoaderTimeout, "DataLoader", problem, fix="raise timeout") from None
        except BaseException:
            self.close()
            raise
        if error is not None:
            self.close()
            raise error.complaint() if isinstance(error, Trouble) else error
        return batch

    def close(self) -> None:
        """Stops the threads; waits a moment for what they are loading."""
        self._asked.clear()
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
