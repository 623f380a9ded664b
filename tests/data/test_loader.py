"""DataLoader: the same batches however they are loaded, and a clear word for whatever goes wrong."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.data import (
    DataLoader,
    Dataset,
    LoaderTimeout,
    RandomSampler,
    Sampler,
    WorkerDied,
    WorkerError,
    get_worker_info,
)
from tensorlite.errors import ArgumentError, TensorliteError
from tensorlite.kernels.cpu import team

METHODS = multiprocessing.get_all_start_methods()
#: How batches may be loaded: in the calling thread, by a thread ahead, by one process, by three.
WAYS = {"here": {"prefetch_factor": 0}, "ahead": {}, "far ahead": {"prefetch_factor": 5}, "process": {"num_workers": 1},
        "processes": {"num_workers": 3}, "deep": {"num_workers": 2, "prefetch_factor": 4}}


class Squares(Dataset):
    """Squares of the index; what else happens at an index is given by a function."""

    def __init__(self, size=20, happening=None):
        self.size, self.happening = size, happening

    def __getitem__(self, index):
        if self.happening is not None:
            return self.happening(index)
        return np.float32(index), index * index

    def __len__(self):
        return self.size


def values(loader):
    return [[part.tolist() for part in batch] for batch in loader]


@pytest.fixture(autouse=True)
def _leaves_nothing():
    """Every test gives back its threads, processes and file descriptors."""
    yield
    gc.collect()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("tensorlite-loader")] == []
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_batches_are_those_of_the_dataset(way):
    found = values(DataLoader(Squares(7), batch_size=3, **way))
    assert found == [[[0, 1, 2], [0, 1, 4]], [[3, 4, 5], [9, 16, 25]], [[6], [36]]]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_shuffling_gives_one_order_for_one_seed(way):
    loader = DataLoader(Squares(), batch_size=3, shuffle=True, generator=5, **way)
    first, second = values(loader), values(loader)
    expected = DataLoader(Squares(), batch_size=3, shuffle=True, generator=5, prefetch_factor=0)
    assert [first, second] == [values(expected), values(expected)]
    assert first != second
    assert sorted(x for batch in first for x in batch[0]) == list(range(20))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_global_seed_gives_one_order_too(way):
    orders = []
    for _ in range(2):
        tl.manual_seed(3)
        orders.append(values(DataLoader(Squares(), batch_size=4, shuffle=True, **way)))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_without_batches_samples_come_one_by_one(way):
    loader = DataLoader(Squares(3, lambda index: np.full(2, index)), batch_size=None, **way)
    assert [sample.tolist() for sample in loader] == [[0, 0], [1, 1], [2, 2]]
    assert len(loader) == 3


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_empty_dataset_has_no_batches(way):
    assert values(DataLoader(Squares(0), shuffle=True, **way)) == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_large_and_odd_values_cross_whole(way):
    def big(index):
        return {"image": np.full((3, 200, 200), index, np.float32), "empty": np.zeros((0, 2)), "name": f"n{index}",
                "half": tl.asarray([index], dtype=tl.bfloat16), "turned": np.arange(6).reshape(2, 3).T}

    batches = list(DataLoader(Squares(4, big), batch_size=2, **way))
    assert [batch["image"].numpy()[:, 0, 0, 0].tolist() for batch in batches] == [[0, 1], [2, 3]]
    assert batches[1]["image"].shape == (2, 3, 200, 200)
    assert batches[1]["empty"].shape == (2, 0, 2)
    assert batches[1]["name"] == ["n2", "n3"]
    assert batches[1]["half"].dtype == tl.bfloat16
    assert batches[1]["turned"].tolist() == [[[0, 3], [1, 4], [2, 5]]] * 2


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_very_many_indices_do_not_block(way):
    loader = DataLoader(Squares(200_000, lambda index: index), batch_size=100_000, **way)
    assert [batch.numpy().sum() for batch in loader] == [4999950000, 14999950000]


@pytest.mark.parametrize("drop_last", [False, True])
def test_lengths(drop_last):
    loader = DataLoader(Squares(10), batch_size=4, drop_last=drop_last)
    assert len(loader) == len(values(loader)) == (2 if drop_last else 3)


def test_samplers_choose_the_order():
    assert values(DataLoader(Squares(5), batch_size=2, sampler=[4, 0, 2])) == [[[4, 0], [16, 0]], [[2], [4]]]
    assert values(DataLoader(Squares(5), batch_sampler=[[1], [2, 3]])) == [[[1], [1]], [[2, 3], [4, 9]]]


def test_a_collate_fn_makes_the_batch():
    assert list(DataLoader(Squares(4), batch_size=2, collate_fn=len)) == [2, 2]


def test_anything_with_indices_and_a_length_is_a_dataset():
    assert [batch.tolist() for batch in DataLoader([3, 1, 2], batch_size=2)] == [[3, 1], [2]]


def test_two_passes_at_once_do_not_disturb_each_other():
    for way in WAYS.values():
        loader = DataLoader(Squares(6), batch_size=2, **way)
        assert [a == b for a, b in zip(values(loader), values(loader))] == [True] * 3
        first, second = iter(loader), iter(loader)
        for a, b in zip(first, second):
            assert a[0].tolist() == b[0].tolist()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_leaving_early_is_quick_and_clean(way):
    began = time.monotonic()
    for _ in range(3):
        for _batch in DataLoader(Squares(1000), **way):
            break
    assert time.monotonic() - began < 10


def test_a_thread_reads_ahead_by_default():
    names = []
    dataset = Squares(6, lambda index: names.append(threading.current_thread().name) or index)
    assert len(list(DataLoader(dataset))) == 6
    assert names == [threading.current_thread().name] + ["tensorlite-loader-0"] * 5


def test_the_thread_reads_no_further_than_asked():
    loaded = []
    dataset = Squares(20, lambda index: loaded.append(index) or index)
    loader = iter(DataLoader(dataset, prefetch_factor=3))
    next(loader)
    next(loader)
    time.sleep(0.2)
    assert len(loaded) == 5  # two given, three ahead
    loader.close()


DRAWS = {"random": lambda index: random.random(), "numpy": lambda index: np.random.rand(),  # noqa: NPY002
         "tensorlite": lambda index: tl.rand(1)}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_dataset_that_draws_from_global_state_gives_the_same_numbers_each_time(draw):
    def run(**options):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        tl.manual_seed(0)
        found = []
        for batch in DataLoader(Squares(30, draw), batch_size=2, **options):
            found.append([batch.tolist(), random.random(), np.random.rand(), tl.rand(1).tolist()])  # noqa: NPY002
            time.sleep(0.001)
        return found

    assert run() == run(prefetch_factor=0)


class Draws(Dataset):
    """What a worker draws from each global random state, with the worker's number."""

    def __getitem__(self, index):
        info = get_worker_info()
        return np.array([info.id, info.seed % 2**32, random.random(), np.random.rand(), tl.rand(1).item()])  # noqa: NPY002

    def __len__(self):
        return 6


def test_each_worker_has_its_own_seed_and_the_same_one_each_time():
    def rows():
        return np.concatenate([batch.numpy() for batch in DataLoader(Draws(), num_workers=3, generator=1)])

    found = rows()
    assert np.array_equal(found, rows())
    assert found[:, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert np.diff(found[:3, 1]).tolist() == [1, 1]
    assert len(np.unique(found[:, 2:])) == 18


def test_worker_info_tells_which_worker_this_is():
    def look(index):
        info = get_worker_info()
        return np.array([info.id, info.num_workers, len(info.dataset)])

    found = [batch[0].tolist() for batch in DataLoader(Squares(4, look), num_workers=2)]
    assert found == [[0, 2, 4], [1, 2, 4], [0, 2, 4], [1, 2, 4]]
    assert get_worker_info() is None


def test_workers_compute_on_one_thread_each_after_the_parent_used_many():
    def compute(index):
        return (tl.full((1_000_000,), index / 4) * 2).sum().item(), team.get_num_threads()

    threads = team.get_num_threads()
    assert (tl.ones(1_000_000) + 1).sum().item() == 2_000_000
    batches = values(DataLoader(Squares(4, compute), batch_size=2, num_workers=2))
    assert batches == [[[0, 500_000], [1, 1]], [[1_000_000, 1_500_000], [1, 1]]]
    assert team.get_num_threads() == threads
    assert (tl.ones(1_000_000) + 1).sum().item() == 2_000_000


def test_worker_init_fn_runs_in_each_worker():
    loader = DataLoader(Squares(2, lambda index: int(os.environ["WORKER"])), num_workers=2,
                        worker_init_fn=lambda number: os.environ.update(WORKER=str(10 + number)))
    assert [batch.tolist() for batch in loader] == [[10], [11]]
    assert "WORKER" not in os.environ


def test_persistent_workers_stay_and_others_do_not():
    def processes(**options):
        loader = DataLoader(Squares(2, lambda index: os.getpid()), num_workers=2, **options)
        return [[batch.item() for batch in loader] for _ in range(2)]

    first, second = processes(persistent_workers=True)
    assert first == second
    first, second = processes()
    assert not {*first} & {*second}


def test_a_recorded_tensor_cannot_leave_its_worker():
    def record(index):
        return tl.tensor([1.0], requires_grad=True) * index

    with pytest.raises(WorkerError, match="a recorded tensor cannot be copied with its tape"):
        list(DataLoader(Squares(2, record), num_workers=1))


@pytest.mark.parametrize("method", METHODS)
def test_datasets_of_tensors_reach_every_kind_of_process(method):
    dataset = tl.data.TensorDataset(tl.asarray([[1.0], [2.0]]), tl.asarray([0, 1]))
    loader = DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context=method)
    assert values(loader) == [[[[1.0], [2.0]], [0, 1]]]


@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_start_a_process(method):
    loader = DataLoader(Squares(5), batch_size=2, num_workers=2, multiprocessing_context=method)
    assert values(loader) == [[[0, 1], [0, 1]], [[2, 3], [4, 9]], [[4], [16]]]
    context = multiprocessing.get_context(method)
    assert len(values(DataLoader(Squares(2), num_workers=1, multiprocessing_context=context))) == 2


def fail_at(bad, error):
    def happening(index):
        if index == bad:
            raise error
        return index
    return happening


@pytest.mark.parametrize("way", [WAYS["here"], WAYS["ahead"]], ids=["here", "ahead"])
def test_an_exception_in_this_process_is_the_exception_itself(way):
    error = KeyError("lost")
    loader = iter(DataLoader(Squares(8, fail_at(5, error)), batch_size=2, **way))
    assert [next(loader).tolist(), next(loader).tolist()] == [[0, 1], [2, 3]]
    with pytest.raises(KeyError) as caught:
        next(loader)
    assert caught.value is error
    assert error.__notes__ == ["while loading index 5 of batch 2"]
    assert next(loader, None) is None


class Peculiar(Exception):
    """An exception that cannot be made again from its text."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize("error", [KeyError("lost"), FileNotFoundError(2, "gone", "x.png"), ValueError("odd"),
                                   UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), Peculiar(1, 2)], ids=repr)
def test_an_exception_in_a_worker_comes_with_its_whole_traceback(error):
    loader = DataLoader(Squares(8, fail_at(5, error)), batch_size=2, num_workers=2)
    with pytest.raises(WorkerError) as caught:
        list(loader)
    text = str(caught.value)
    assert text.startswith("DataLoader: worker 0 failed on batch 2 (indices 4, 5); its traceback:\n"
                           "Traceback (most recent call last):\n")
    assert f'File "{__file__}", line ' in text
    assert "    raise error\n" in text
    assert str(error) in text
    assert "while loading index 5 of batch 2" in text
    if not isinstance(error, Peculiar):
        assert isinstance(caught.value, type(error))
        assert repr(caught.value.__cause__) == repr(error)


def test_a_failing_collate_fn_names_its_batch():
    shapes = Squares(6, lambda index: np.zeros(1 + (index == 3)))
    with pytest.raises(WorkerError) as caught:
        list(DataLoader(shapes, batch_size=2, num_workers=2))
    assert isinstance(caught.value, tl.errors.ShapeError)
    assert "worker 1 failed on batch 1 (indices 2, 3)" in str(caught.value)
    assert "while collating batch 1 (indices 2, 3)" in str(caught.value)


def test_a_failing_worker_init_fn_is_told():
    with pytest.raises(WorkerError, match=r"in worker_init_fn\(1\)"):
        list(DataLoader(Squares(4), num_workers=2, worker_init_fn=lambda number: 1 // (1 - number)))


def test_a_batch_that_cannot_be_sent_is_told():
    with pytest.raises(WorkerError, match="worker 0 failed on batch 0"):
        list(DataLoader(Squares(2), num_workers=1, collate_fn=lambda samples: threading.Lock()))


def segfault():
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


DEATHS = {"exit": (lambda: os._exit(3), "exited with code 3"),
          "kill": (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
          "segfault": (segfault, "was killed by SIGSEGV"),
          "sys.exit": (lambda: sys.exit(5), "exited with code 5")}


@pytest.mark.parametrize(("die", "end"), DEATHS.values(), ids=DEATHS)
def test_a_worker_that_dies_is_named_with_its_end(die, end):
    began = time.monotonic()
    loader = DataLoader(Squares(20, lambda index: die() if index == 5 else index), batch_size=2, num_workers=2)
    with pytest.raises(WorkerDied) as caught:
        list(loader)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("DataLoader: worker 0 (process ")
    assert lines[0].endswith(f"{end} while loading batch 2 (indices 4, 5)")
    assert ("memory ran out" in lines[-1]) == (end == "was killed by SIGKILL")
    assert time.monotonic() - began < 10


def test_a_worker_that_dies_between_batches_is_noticed():
    loader = iter(DataLoader(Squares(20, lambda index: os.getpid()), num_workers=1, prefetch_factor=1))
    process = next(loader).item()
    os.kill(process, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="was killed by SIGKILL"):
        list(loader)


def test_a_worker_that_is_too_slow_runs_out_of_time():
    loader = DataLoader(Squares(4, lambda index: time.sleep(60) if index == 1 else index), num_workers=2, timeout=1)
    began = time.monotonic()
    with pytest.raises(LoaderTimeout) as caught:
        list(loader)
    assert str(caught.value).startswith("DataLoader: worker 1 has not given batch 1 within 1 s\n")
    assert isinstance(caught.value, TimeoutError)
    assert time.monotonic() - began < 15


class Lazy(Sampler):
    """A sampler that fails in the middle."""

    def __iter__(self):
        yield from range(5)
        raise RuntimeError("no more")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_sampler_that_fails_ends_the_pass(way):
    with pytest.raises(RuntimeError, match="no more"):
        list(DataLoader(Squares(), sampler=Lazy(), **way))


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_what_another_process_cannot_be_told_is_refused(method):
    with pytest.raises(ArgumentError) as caught:
        list(DataLoader(Squares(2, lambda index: index), num_workers=1, multiprocessing_context=method))
    assert str(caught.value).startswith("DataLoader: the dataset, collate_fn or worker_init_fn cannot be sent to a "
                                        f"process of '{method}': ")
    assert "use multiprocessing_context='fork'" in str(caught.value)


MISTAKES = {
    "sampler and shuffle exclude each other": {"sampler": [0], "shuffle": True},
    "batch_sampler excludes batch_size, shuffle, sampler and drop_last": {"batch_sampler": [[0]], "drop_last": True},
    "batch_size=None makes no batches, and excludes drop_last": {"batch_size": None, "drop_last": True},
    "num_workers is -1, expected an integer of at least 0": {"num_workers": -1},
    "timeout is -1, expected seconds, or 0 for none": {"timeout": -1, "num_workers": 1},
    "timeout needs num_workers of at least 1": {"timeout": 1},
    "persistent_workers needs num_workers of at least 1": {"persistent_workers": True},
    "multiprocessing_context needs num_workers of at least 1": {"multiprocessing_context": "fork"},
    "prefetch_factor is 0, expected an integer of at least 1": {"prefetch_factor": 0, "num_workers": 1},
    "prefetch_factor is -1, expected an integer of at least 0": {"prefetch_factor": -1},
    "multiprocessing_context is 'thread', expected one of " + ", ".join(METHODS) + ", or a context":
        {"multiprocessing_context": "thread", "num_workers": 1},
}


@pytest.mark.parametrize(("problem", "options"), MISTAKES.items())
def test_a_mistake_is_named_at_once(problem, options):
    with pytest.raises(ArgumentError) as error:
        DataLoader(Squares(), **options)
    assert str(error.value).splitlines()[0] == f"DataLoader: {problem}"


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="pin_memory"):
        DataLoader(Squares(), pin_memory=True)
    with pytest.raises(TensorliteError, match="DataLoader: int has no __getitem__"):
        DataLoader(3)


def run_script(text, **options):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def test_workers_know_classes_of_a_program_without_a_file():
    """As in a notebook: the dataset's class stands in ``__main__``, which no file holds."""
    process = run_script("""
        import numpy as np
        from tensorlite.data import DataLoader
        class Mine:
            def __len__(self): return 4
            def __getitem__(self, index): return np.array([index])
        print([batch.tolist() for batch in DataLoader(Mine(), batch_size=2, num_workers=2)])
    """)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("[[[0], [1]], [[2], [3]]]\n", "", 0)


SLEEPER = """
    import os, sys, time
    from tensorlite.data import DataLoader
    class Slow:
        def __len__(self): return 100
        def __getitem__(self, index):
            if index: time.sleep(60)
            return os.getpid()
    try:
        for batch in DataLoader(Slow(), num_workers=2, prefetch_factor=1):
            print(batch.item(), flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
"""


def is_gone(process):
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{process}/stat") as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        time.sleep(0.1)
    return False


def test_an_interrupt_ends_workers_and_says_nothing_more():
    process = run_script(SLEEPER, start_new_session=True)
    worker = int(process.stdout.readline())
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("interrupted\n", "", 130)
    assert is_gone(worker)


def test_an_interrupt_does_not_wait_for_a_thread_that_loads():
    process = run_script("""
        import sys, time
        from tensorlite.data import DataLoader
        class Slow:
            def __len__(self): return 9
            def __getitem__(self, index):
                if index:
                    print("loading", flush=True)
                    time.sleep(60)
                return index
        try:
            list(DataLoader(Slow()))
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            sys.exit(130)
    """)
    assert process.stdout.readline() == "loading\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("interrupted\n", "", 130)
    assert time.monotonic() - began < 10


def test_workers_do_not_outlive_a_killed_parent():
    process = run_script(SLEEPER.replace("time.sleep(60)", "time.sleep(0.5)"))
    worker = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=30)
    assert is_gone(worker)


def test_a_program_that_ends_in_the_middle_of_a_pass_ends():
    process = run_script("""
        from tensorlite.data import DataLoader
        kept = [iter(DataLoader(range(100), num_workers=n, persistent_workers=p))
                for n, p in ((0, False), (2, False), (2, True))]
        print([next(loader).item() for loader in kept])
    """)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("[0, 0, 0]\n", "", 0)


def test_a_forked_copy_of_an_iterator_leaves_the_parents_workers_alone():
    loader = iter(DataLoader(Squares(6), num_workers=2))
    next(loader)
    with multiprocessing.get_context("fork").Pool(1):
        child = os.fork()
        if not child:
            del loader
            gc.collect()
            os._exit(0)
        os.waitpid(child, 0)
    assert len(list(loader)) == 5


def test_the_random_sampler_is_what_shuffling_uses():
    assert isinstance(DataLoader(Squares(), shuffle=True).sampler, RandomSampler)
