"""The parent's side: processes that load batches, and what to say when one fails or dies."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any

from tensorlite.data import transport
from tensorlite.data.fetch import Fetcher, StreamFetcher, Task, Trouble, describe
from tensorlite.data.worker import Failure, WorkerInfo, serve
from tensorlite.errors import ArgumentError, TensorliteError, complaint

#: Seconds that workers get to finish by themselves, and again after each signal.
GRACE = 2.0


class WorkerError(TensorliteError, RuntimeError):
    """An exception in a worker process, with the worker's whole traceback; also of the exception's own class."""


class WorkerDied(TensorliteError, RuntimeError):
    """A worker process that ended without an answer."""


def context_of(choice: str | BaseContext | None) -> BaseContext:
    """The way processes are started: by name, by context, or fork on Linux, where a notebook's classes need it."""
    methods = multiprocessing.get_all_start_methods()
    if choice is None:
        choice = "fork" if sys.platform == "linux" else "spawn"
    if isinstance(choice, BaseContext):
        return choice
    if choice not in methods:
        problem = f"multiprocessing_context is {choice!r}, expected one of {', '.join(methods)}, or a context"
        raise complaint(ArgumentError, "DataLoader", problem)
    return multiprocessing.get_context(choice)


class Worker:
    """A process that loads batches: called with a task, it answers with the batch."""

    def __init__(self, context: Any, info: WorkerInfo, fetcher: Fetcher | StreamFetcher,
                 worker_init_fn: Callable[[int], Any] | None, others: Sequence[Connection]) -> None:
        self.name = f"worker {info.id}"
        self.batched = fetcher.batched
        self.method = context.get_start_method()
        self.busy = threading.Lock()
        self.connection, theirs = context.Pipe()
        inherited = [*others, self.connection] if self.method == "fork" else []
        self.process = context.Process(target=serve, args=(info, fetcher, worker_init_fn, theirs, inherited),
                                       name=f"tensorlite-loader-{info.id}", daemon=True)
        try:
            _start(self.process, self.method)
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()

    def __call__(self, task: Task) -> Any:
        """Loads one task in the process."""
        with self.busy:
            try:
                transport.send(self.connection, transport.pack(task))
                wait([self.connection, self.process.sentinel])
                if not self.connection.poll():
                    raise EOFError
                answer = transport.receive(self.connection)
            except (EOFError, ConnectionError):
                raise Trouble(self._death(task)) from None
        if isinstance(answer, Failure):
            raise Trouble(partial(worker_error, self.name, describe(task, self.batched), answer))
        return answer[0]

    def _death(self, task: Task) -> Callable[[], TensorliteError]:
        self.process.join(GRACE)
        code, fix = self.process.exitcode, None
        end = "closed its connection" if code is None else f"exited with code {code}"
        if code is not None and code < 0:
            end = f"was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL:
            fix = "a kill often means that memory ran out: use fewer workers or smaller batches"
        elif code == 1 and self.method != "fork":
            fix = (f"{self.method!r} imports the program anew: the dataset's class must stand in a file, and what the "
                   "file runs under `if __name__ == \"__main__\":`; 'fork' asks for neither")
        problem = f"{self.name} (process {self.process.pid}) {end} while loading {describe(task, self.batched)}"
        return partial(complaint, WorkerDied, "DataLoader", problem, fix=fix)

    def hang_up(self, deadline: float) -> None:
        """Tells the process to end, once it has answered what it was asked."""
        if self.busy.acquire(timeout=max(0.0, deadline - time.monotonic())):
            with suppress(OSError):
                transport.send(self.connection, transport.pack(None))
            self.busy.release()


def _start(process: Any, method: str) -> None:
    try:
        with warnings.catch_warnings():  # Python 3.12 warns of fork with threads; ours are safe to leave behind
            warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
            process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        fix = "define it at the top of a file, or use multiprocessing_context='fork'"
        problem = f"the dataset, collate_fn or worker_init_fn cannot be sent to a process of {method!r}: {error}"
        raise complaint(ArgumentError, "DataLoader", problem, fix=fix) from error


def start_workers(context: BaseContext, count: int, seed: int, fetcher: Fetcher | StreamFetcher,
                  worker_init_fn: Callable[[int], Any] | None) -> list[Worker]:
    """Starts processes, each with the seed plus its number as its own seed."""
    workers: list[Worker] = []
    try:
        for number in range(count):
            info = WorkerInfo(number, count, seed + number, fetcher.dataset)
            others = [worker.connection for worker in workers]
            workers.append(Worker(context, info, fetcher, worker_init_fn, others))
    except BaseException:
        end_workers(workers)
        raise
    return workers


def end_workers(workers: Sequence[Worker]) -> None:
    """Ends processes: by asking, then by SIGTERM, then by SIGKILL."""
    deadline = time.monotonic() + GRACE
    for worker in workers:
        worker.hang_up(deadline)
    for persuade in ("join", "terminate", "kill"):
        alive = [worker.process for worker in workers if worker.process.exitcode is None]
        if persuade != "join":
            deadline = time.monotonic() + GRACE
            for process in alive:
                getattr(process, persuade)()
        for process in alive:
            process.join(max(0.0, deadline - time.monotonic()))
    for worker in workers:
        with worker.busy:  # whoever still waits for an answer has seen the process end
            worker.connection.close()
            worker.process.close()


def worker_error(name: str, what: str, failure: Failure) -> TensorliteError:
    """The exception to raise in the parent: a WorkerError that ``except`` clauses for the original catch too."""
    error = complaint(WorkerError, "DataLoader", f"{name} failed on {what}; its traceback:\n{failure.text.rstrip()}")
    if failure.pickled is None:
        return error
    original, text = pickle.loads(failure.pickled), str(error)
    try:
        body = {"__str__": lambda self: text, "__module__": __name__}
        error = type(f"Worker{type(original).__name__}", (WorkerError, type(original)), body)(text, complete=True)
    except TypeError:  # classes whose layouts or constructors do not go together
        pass
    error.__cause__ = original
    return error
