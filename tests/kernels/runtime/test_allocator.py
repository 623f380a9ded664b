"""The pool of big blocks: ordinary arrays, memory that comes back warm, and who may overwrite what."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import random
import threading
import time
import warnings
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from tensorlite.kernels.cpu import allocator

BIG = (allocator.POOL_BYTES,)


@pytest.fixture(autouse=True)
def fresh_pool():
    allocator.empty_cache()


@pytest.fixture
def bound(monkeypatch):
    return lambda size: monkeypatch.setattr(allocator._totals, "bound", size)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "float16", "float32", "float64", "complex128", "M8[s]", "U3"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (70_000, 3), (0, 9), (1 << 19,), (5, 1 << 20), (1 << 22, 1)])
def test_arrays_are_ordinary(shape, dtype):
    array = allocator.empty(shape, dtype)
    expected = np.empty(shape, dtype)
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype, array.strides) == (expected.shape, expected.dtype, expected.strides)
    assert array.flags.writeable and array.flags.c_contiguous and array.flags.aligned
    if array.nbytes >= allocator.POOL_BYTES:
        assert array.ctypes.data % 64 == 0
    array[...] = np.ones((), dtype)
    assert (array == np.ones((), dtype)).all()


def test_objects_come_from_numpy():
    array = allocator.empty(BIG, object)
    assert array.base is None and array[0] is None


@pytest.mark.parametrize("shape", [(-1,), (-1000, -1000), (1 << 20, -1), (1 << 40, 1 << 40)])
def test_impossible_shapes_are_refused_as_numpy_does(shape):
    with pytest.raises((ValueError, MemoryError)):
        allocator.empty(shape, np.float32)
    assert allocator.memory()["allocated"] == 0


def test_copies_and_pickles():
    array = allocator.empty(BIG, np.uint8)
    array[:] = 7
    for other in (array.copy(), copy.deepcopy(array), pickle.loads(pickle.dumps(array)), np.array(array)):
        assert (other == 7).all() and not np.shares_memory(other, array)


def test_a_block_is_used_again_when_the_last_view_goes():
    array = allocator.empty((512, 512), np.float32)
    start = array.ctypes.data
    view, text = array[3:].T[1:], memoryview(array[5])
    del array
    assert allocator.empty((512, 512), np.float32).ctypes.data != start
    del view
    assert allocator.memory()["allocated"] == 1 << 20
    text.release()
    del text
    gc.collect()
    again = {allocator.empty((512, 512), np.float32).ctypes.data for _ in range(3)}
    assert start in again or allocator.empty((1 << 20,), np.uint8).ctypes.data == start


def test_an_array_in_a_cycle_gives_its_block_back():
    holder = SimpleNamespace(array=allocator.empty(BIG, np.uint8))
    holder.itself = holder
    del holder
    gc.collect()
    assert allocator.memory()["allocated"] == 0


def test_sizes_are_rounded_up_by_an_eighth_at_most():
    for size in [
        allocator.POOL_BYTES,
        *(random.Random(1).randrange(allocator.POOL_BYTES, 1 << 34) for _ in range(500)),
    ]:
        rounded = allocator._class_size(size)
        assert size <= rounded <= size * 9 / 8 and rounded % 64 == 0
        assert allocator._class_size(rounded) == rounded


def test_arrays_never_overlap():
    chooser = random.Random(2)
    kept: list[np.ndarray] = []
    for turn in range(300):
        array = allocator.empty((chooser.choice([300_000, 1_000_000, 5_000_000]),), np.uint8)
        array[::1000] = turn % 251
        kept.append(array)
        if len(kept) > 12:
            kept.pop(chooser.randrange(len(kept)))
        spans = sorted((one.ctypes.data, one.nbytes) for one in kept)
        assert all(start + size <= following for (start, size), (following, _) in zip(spans, spans[1:], strict=False))
        assert all((one[::1000] == one[0]).all() for one in kept)


def test_memory_is_accounted_for(bound):
    bound(1 << 30)
    before = allocator.memory()
    assert before["allocated"] == before["cached"] == 0
    one, two = allocator.empty((1 << 20,), np.uint8), allocator.empty((1 << 21,), np.uint8)
    assert allocator.memory()["allocated"] == 3 << 20
    del one
    now = allocator.memory()
    assert (now["allocated"], now["cached"]) == (2 << 20, 1 << 20)
    assert now["peak"] >= 3 << 20
    del two
    allocator.empty_cache()
    assert allocator.memory()["cached"] == 0


def test_a_block_a_little_too_large_is_better_than_fresh_pages():
    start = allocator.empty((10 << 20,), np.uint8).ctypes.data
    assert allocator.empty(((8 << 20) + 1,), np.uint8).ctypes.data == start
    assert allocator.empty((6 << 20,), np.uint8).ctypes.data != start


def test_what_lies_unused_is_bounded(bound):
    bound(8 << 20)
    arrays = [allocator.empty((1 << 20,), np.uint8) for _ in range(32)]
    assert allocator.memory()["allocated"] == 32 << 20
    del arrays
    assert allocator.memory() | {"peak": 0} == {"allocated": 0, "cached": 8 << 20, "peak": 0, "bound": 8 << 20}
    large = allocator.empty((64 << 20,), np.uint8)
    del large
    assert allocator.memory()["cached"] <= 8 << 20


def test_without_a_cache_memory_goes_back_at_once(bound):
    bound(0)
    array = allocator.empty((1 << 20,), np.uint8)
    array[:] = 1
    del array
    assert allocator.memory()["cached"] == 0


def test_when_memory_runs_out_unused_blocks_are_given_back(monkeypatch):
    del_me = allocator.empty((1 << 20,), np.uint8)
    del del_me
    map_pages, refusals = allocator._map_pages, []

    def refuse_once(size):
        if not refusals:
            refusals.append(allocator.memory()["cached"])
            raise MemoryError
        return map_pages(size)

    monkeypatch.setattr(allocator, "_map_pages", refuse_once)
    array = allocator.empty((8 << 20,), np.uint8)
    assert refusals == [1 << 20] and allocator.memory()["cached"] == 0
    del array


def test_no_memory_is_a_memory_error():
    with pytest.raises(MemoryError) as caught:
        allocator.empty((1 << 46,), np.uint8)
    assert str(caught.value) == "cannot allocate 67108866 MiB: Cannot allocate memory"


def test_many_threads():
    stop = time.monotonic() + 1.0
    wrong: list[int] = []

    def work(mark):
        chooser = random.Random(mark)
        while time.monotonic() < stop:
            arrays = [allocator.empty((chooser.randrange(1 << 18, 1 << 21),), np.uint8) for _ in range(3)]
            for array in arrays:
                array[:: 1 << 12] = mark
            wrong.extend(mark for array in arrays if not (array[:: 1 << 12] == mark).all())

    workers = [threading.Thread(target=work, args=(mark,)) for mark in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert allocator.memory()["allocated"] == 0


def test_a_forked_child_has_the_arrays_and_its_own_pool():
    array = allocator.empty((1 << 20,), np.uint8)
    array[:] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            array[:] = 2
            other = allocator.empty((1 << 20,), np.uint8)
            other[:] = 3
            os._exit(0 if (array == 2).all() and not np.shares_memory(array, other) else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (array == 1).all()


def test_the_interpreter_exits_with_arrays_alive(program):
    done = program(
        """
        import numpy as np, sys
        from tensorlite.kernels.cpu import allocator
        sys.kept = [allocator.empty((1 << 22,), np.float32) for _ in range(3)]
        class Last:
            def __del__(self, array=allocator.empty((1 << 20,), np.float32)): array[:] = 1
        sys.last = Last()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("value", "expected"), [("12345678", "12345678"), ("many", None), ("", None)])
def test_the_environment_sets_the_bound(program, value, expected):
    done = program(
        """
        import os
        from tensorlite.kernels.cpu import allocator
        print(allocator.memory()["bound"], min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4, 4 << 30))
        """,
        TENSORLITE_CACHE_BYTES=value,
    )
    bound, default = done.stdout.split()
    assert bound == (expected or default)
    assert ("TENSORLITE_CACHE_BYTES='many' is not a number of bytes: using the default" in done.stderr) == (
        value == "many"
    )


def alone(tensor):
    """Outside of ``assert``, whose rewriting by pytest keeps the array in a variable."""
    return allocator.owns_alone(tensor.array)


def plain(shape):
    return np.empty(shape, np.uint8)


def pooled(shape):
    return allocator.empty(shape, np.uint8)


@pytest.mark.parametrize("make", [plain, pooled])
class TestOwnsAlone:
    """``tensor`` plays the part of a Tensor: the one slot that holds the array."""

    def test_a_fresh_array(self, make):
        tensor = SimpleNamespace(array=make(BIG))
        assert alone(tensor)

    @pytest.mark.parametrize(
        "share",
        [
            lambda array: array,
            lambda array: array[1:],
            lambda array: array.T,
            lambda array: array.reshape(2, -1)[0][1:],
            lambda array: memoryview(array),
            lambda array: array.__dlpack__(),
            lambda array: np.broadcast_to(array, (2, *array.shape)),
            lambda array: array.ctypes,
            lambda array: array.flat,
            lambda array: SimpleNamespace(held=array),
            lambda array: array.view(np.recarray),
        ],
    )
    def test_an_array_that_somebody_shares(self, make, share):
        tensor = SimpleNamespace(array=make(BIG))
        other = share(tensor.array)
        assert not alone(tensor)
        del other
        gc.collect()
        assert alone(tensor)

    def test_a_local_variable_counts(self, make):
        array = make(BIG)
        tensor = SimpleNamespace(array=array)
        assert not alone(tensor)
        del array
        assert alone(tensor)

    def test_a_view_whose_first_array_is_gone(self, make):
        tensor = SimpleNamespace(array=make(BIG).reshape(4, -1)[1:].T)
        assert alone(tensor)
        other = tensor.array[2:]
        assert not alone(tensor)
        tensor.array = None
        tensor.array, other = other, None
        assert alone(tensor)

    def test_a_view_whose_first_array_lives(self, make):
        first = make(BIG)
        tensor = SimpleNamespace(array=first[1:])
        assert not alone(tensor)
        del first
        assert alone(tensor)

    def test_a_sister_view_lives(self, make):
        first = make(BIG)
        tensor, sister = SimpleNamespace(array=first[1:]), first[:1]
        del first
        assert not alone(tensor)
        del sister
        assert alone(tensor)

    def test_the_base_is_held(self, make):
        tensor = SimpleNamespace(array=make(BIG)[1:])
        held = tensor.array.base
        assert not alone(tensor)
        del held
        assert alone(tensor)

    def test_a_read_only_array(self, make):
        tensor = SimpleNamespace(array=make(BIG))
        tensor.array.flags.writeable = False
        assert not alone(tensor)
        tensor.array = np.broadcast_to(make((3,)), (4, 3))
        assert not alone(tensor)

    def test_through_a_method(self, make):
        class Tensor:
            __slots__ = ("array",)

            def __init__(self, array):
                self.array = array

            def alone(self):
                return allocator.owns_alone(self.array)

            def __iadd__(self, other):
                return self.alone()

        tensor = other = Tensor(make(BIG))
        assert tensor.alone()
        tensor += 1
        assert tensor is True and other.alone()


def test_the_owner_of_a_pooled_array_is_held():
    tensor = SimpleNamespace(array=pooled(BIG))
    owner = tensor.array.base
    assert not alone(tensor)
    del owner
    assert alone(tensor)


def test_foreign_memory_is_never_alone(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(10))
    tensors = [
        SimpleNamespace(array=np.frombuffer(bytearray(100), np.uint8)),
        SimpleNamespace(array=np.load(tmp_path / "x.npy", mmap_mode="r+")),
        SimpleNamespace(array=np.load(tmp_path / "x.npy", mmap_mode="r+")[1:]),
        SimpleNamespace(array=np.frombuffer(bytearray(100), np.uint8)[3:]),
        SimpleNamespace(array=np.from_dlpack(np.arange(10))),
    ]
    assert [alone(tensor) for tensor in tensors] == [False] * 5


def test_arrays_can_be_referred_to_weakly():
    tensor = SimpleNamespace(array=pooled(BIG))
    reference = weakref.ref(tensor.array)
    assert reference() is tensor.array
    tensor.array = None
    assert reference() is None
