"""Builtin functions of our own code: what they find and run, whose references they hold, and what Python does alike."""

from __future__ import annotations

import pickle
import struct
import sys
import threading
import time

import numpy as np
import pytest

from tensorlite.kernels.cpu import builtin, contract, native, prepared, registry, team
from tensorlite.kernels.cpu.builtin import Call
from tensorlite.kernels.scalar.typing import BFLOAT16
from tensorlite.kernels.stage import Array

INT64 = np.dtype(np.int64)
matmul = registry.KERNELS["matmul"]


def test_this_python_is_supported_and_kernels_are_builtin():
    assert builtin.is_supported()
    assert type(matmul) is type(len)
    assert prepared.fast(contract.KERNELS["matmul"]) is matmul


class Subclass(np.ndarray):
    """An array that is not plain."""


def unaligned(dtype, shape):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.zeros(size + 1, np.uint8)[1:].view(dtype).reshape(shape)


LYING = {
    "as it is": lambda: np.zeros((3, 4), np.float32), "other extents": lambda: np.zeros((4, 3), np.float32),
    "other dtype": lambda: np.zeros((3, 4), np.int32), "turned": lambda: np.zeros((4, 3), np.float32).T,
    "one axis more": lambda: np.zeros((3, 4, 1), np.float32), "no axes": lambda: np.zeros((), np.float32),
    "not aligned": lambda: unaligned(np.float32, (3, 4)), "repeated": lambda: np.broadcast_to(np.float32(1), (3, 4)),
    "other bytes": lambda: np.zeros((3, 4), ">f4"), "backwards": lambda: np.zeros((3, 4), np.float32)[::-1],
}  # fmt: skip


def test_a_key_is_that_of_arrays_that_lie_alike_and_of_no_others():
    kept = [make() for make in LYING.values()]
    keys = {builtin.key(x) for x in kept}
    assert len(keys) == len(LYING)
    assert keys == {builtin.key(make()) for make in LYING.values()}


def test_a_key_has_all_arrays_and_keywords_and_the_number_of_threads(threads):
    a, b = np.zeros(3), np.zeros(4)
    calls = [lambda: builtin.key(a, b), lambda: builtin.key(b, a), lambda: builtin.key(a), lambda: builtin.key(),
             lambda: builtin.key(a, b, groups=1), lambda: builtin.key(a, b, groups=2), lambda: builtin.key(a, b, n=1),
             lambda: builtin.key(a, groups=(b.shape, None)), lambda: builtin.key(a, b, groups=1, n=1)]  # fmt: skip
    found = []
    for number in (1, 2):
        threads(number)
        found += [call() for call in calls]
        assert found[-len(calls):] == [call() for call in calls]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("other", [None, 1.0, [1.0], np.float32(1), np.zeros(3).view(Subclass), np.zeros(2, "U3"),
                                   np.zeros(2, "M8[s]"), np.zeros(2, "i4,f4"), np.zeros(2, object)])  # fmt: skip
def test_what_is_no_plain_array_has_no_key_and_goes_the_other_way(other):
    x = np.zeros(3)
    assert builtin.key(x, other) == builtin.key(other) == ()
    run = builtin.finder({}, lambda *arrays, **attributes: (arrays, attributes))
    (first, second), attributes = run(x, other, axis=1)
    assert first is x and second is other and attributes == {"axis": 1}


def test_a_finder_calls_what_is_kept_with_the_arrays_alone():
    x, kept = np.zeros(3), {}
    run = builtin.finder(kept, lambda *arrays, **attributes: "nothing")
    assert run(x, axis=1) == "nothing"
    kept[builtin.key(x, axis=1)] = lambda *arrays: arrays
    (found,) = run(x, axis=1)
    assert found is x
    assert run(x, axis=2) == run(x) == "nothing"


def test_errors_pass_through():
    def fail(*arrays, **attributes):
        raise OverflowError("of ours")

    x = np.zeros(3)
    for run in (builtin.finder({}, fail), builtin.finder({builtin.key(x): fail}, len)):
        with pytest.raises(OverflowError, match="of ours"):
            run(x)
    with pytest.raises(TypeError, match="unhashable"):
        builtin.finder({}, len)(x, axes=[1])
    with pytest.raises(ValueError, match="broadcast"):
        matmul(np.zeros((2, 3, 4)), np.zeros((5, 4, 3)))


def twice(kernels, returned=1, otherwise=None, maker=np.zeros, short=False):
    """Two stages that count in part of a made array, and in all of the one that is given."""
    given, made = Array(INT64, (40,), (1,)), Array(INT64, (60,), (1,))
    calls = [Call(kernels.count_address, 1, [(1, 80)], struct.pack("q", 50)),
             Call(kernels.count_address, builtin.ALL, [(0, 0)], struct.pack("q", given.size)),
             Call(kernels.count_address, 1, [(1, 0)], struct.pack("q", 60))]  # fmt: skip
    makers = [(maker, made), (np.zeros, given)]
    fallback = otherwise or (lambda *arrays: prepared._by_python(calls, makers, returned, *arrays))
    return builtin.program(calls, 1, makers, returned, fallback, short)


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_program_runs_its_stages_and_returns_what_it_made(kernels, threads, number, short):
    threads(number)
    for returned in (0, 1, 2):
        run, x = twice(kernels, returned, short=short), np.zeros(40, np.int64)
        for count in (1, 2, 3):  # the first by Python: the team's workers are not there
            found = run(x)
            assert (x == count).all()
            first = [found] if returned == 1 else list(found)
            assert len(first) == returned
            if first:
                assert (first[0] == np.repeat([1, 2], [10, 50])).all()


def test_a_program_goes_the_other_way_where_arguments_are_no_plain_arrays(kernels):
    run = twice(kernels, otherwise=lambda *arguments: arguments)
    twice(kernels)(np.zeros(40, np.int64))  # the team is ready
    for arguments in ((), (1,), (np.zeros(40, np.int64).view(Subclass),), (np.zeros(40), np.zeros(40))):
        assert run(*arguments) is not None and len(run(*arguments)) == len(arguments)


def test_no_references_are_lost_or_left(kernels):
    x, shape = np.zeros((40, 40), np.float32), np.zeros(40, np.int64)
    dtype = np.dtype(np.float32)
    run, several = twice(kernels), twice(kernels, 2)

    def failing(shape, dtype):
        raise MemoryError

    broken = twice(kernels, maker=failing)
    kept = {}
    find = builtin.finder(kept, run)

    def round_of_calls():
        assert sys.getrefcount(matmul(x, x)) <= 2
        assert sys.getrefcount(run(shape)) <= 2
        assert [sys.getrefcount(part) for part in several(shape)] == [3, 3]
        builtin.key(x, a=shape, b=dtype)
        kept[builtin.key(shape, a=shape.shape)] = run
        find(shape, a=shape.shape)
        find(shape)
        with pytest.raises(MemoryError):
            broken(shape)
        kept.clear()

    def counts():
        return [sys.getrefcount(thing) for thing in (x, shape, dtype, run, several, broken, kept, find, matmul)]

    round_of_calls()
    before = counts()
    for _ in range(50):
        round_of_calls()
    assert counts() == before


MEET = """
; arguments: x, most. Sets x[0], and x[2] if another thread has set x[1] before it has looked so often.
define void @meet(i64 %thread, i64 %threads, ptr %arguments) nounwind {
  %x = load ptr, ptr %arguments
  %most.at = getelementptr i64, ptr %arguments, i64 1
  %most = load i64, ptr %most.at
  store volatile i64 1, ptr %x
  %other.at = getelementptr i64, ptr %x, i64 1
  br label %look
look:
  %i = phi i64 [0, %0], [%next, %wait]
  %other = load volatile i64, ptr %other.at
  %there = icmp ne i64 %other, 0
  br i1 %there, label %met, label %wait
wait:
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %most
  br i1 %more, label %look, label %done
met:
  %met.at = getelementptr i64, ptr %x, i64 2
  store i64 1, ptr %met.at
  br label %done
done:
  ret void
}
"""


@pytest.mark.parametrize(("short", "looks"), [(False, 1 << 36), (True, 1 << 24)])
def test_other_threads_run_beside_kernels_that_are_not_short(short, looks):
    x = np.zeros(3, np.int64)

    def other():
        while x[0] == 0:
            time.sleep(0.001)
        x[1] = 1

    call = Call(native.compile(MEET, "test", "meet"), 1, [(0, 0)], struct.pack("q", looks))
    thread = threading.Thread(target=other)
    thread.start()
    assert builtin.program([call], 1, [], 0, len, short)(x) == ()
    thread.join()
    assert x[2] == (not short)


def test_python_does_alike(monkeypatch):
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((n, 70), np.float32) for n in (50, 70))
    x, weight = random.integers(0, 255, (20, 33)).astype(np.uint8), random.integers(-99, 99, (33, 17)).astype(np.int8)
    zero = np.asarray(128, np.uint8)

    def results():
        """Two products, prepared and then from what was kept, of functions that are made anew."""
        prepared.forget()
        product = prepared.kernel(contract.matmul.plan_matmul, prepared.alike(contract._of_matmul), lambda _: 0.0)
        whole = prepared.kernel(contract.int8.plan_matmul, contract.int8.RESULTS["quantized_matmul"], lambda _: 0.0)
        assert (type(prepared.fast(product)) is type(len)) == builtin.is_supported()
        return [run() for _ in range(2) for run in (lambda: product(a, b), lambda: whole(x, weight, zero, extras=()))]

    expected = results()
    monkeypatch.setattr(builtin, "is_supported", lambda: False)
    found = results()
    prepared.forget()
    assert all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True))


def test_scalars_and_arrays_of_other_classes_are_taken_as_arrays():
    x, weight = np.full((4, 8), 3, np.uint8), np.ones((8, 4), np.int8)
    whole = registry.KERNELS["quantized_matmul"]
    for zero in (np.uint8(1), np.asarray(1, np.uint8)):
        assert (whole(x.view(Subclass), weight, zero, extras=()) == 16).all()


def test_an_array_that_is_not_aligned_is_not_taken_for_one_that_is():
    prepared.forget()
    a, b = unaligned(np.float32, (40, 40)), np.ones((40, 40), np.float32)
    assert not a.flags.aligned and matmul(b, b)[0, 0] == 40
    assert matmul(a, b) is NotImplemented
    assert matmul(b, b)[0, 0] == 40


def test_dtypes_that_are_alike_are_one():
    """Each array that comes out of a pickle, and so from another process, has a dtype of its own."""
    x = np.ones((20, 20), np.float32)
    copies = [pickle.loads(pickle.dumps(x)) for _ in range(3)]
    assert len({id(copy.dtype) for copy in copies}) == 3
    assert {builtin.key(copy) for copy in copies} == {builtin.key(x)}
    assert matmul(np.ones((20, 20), BFLOAT16), np.ones((20, 20), BFLOAT16)).dtype == BFLOAT16
    assert matmul(x.astype(">f4"), x.astype(">f4")) is NotImplemented


def test_a_forked_child_has_a_team_of_its_own(program):
    done = program(
        """
        import os
        import numpy as np
        from tensorlite.kernels.cpu import registry
        matmul, x = registry.KERNELS["matmul"], np.ones((300, 300), np.float32)
        assert (matmul(x, x) == 300).all() and (matmul(x, x) == 300).all()
        child = os.fork()
        if child == 0:
            for _ in range(5):
                assert (matmul(x, x) == 300).all()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        TENSORLITE_NUM_THREADS="2",
    )
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_many_threads_call_while_plans_are_forgotten_and_the_team_changes(threads):
    x, wrong, stop = np.ones((90, 90), np.float32), [], threading.Event()

    def work():
        while not stop.is_set():
            if not (matmul(x, x) == 90).all():
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for number in range(60):
        prepared.forget()
        threads(1 + number % 3)
    stop.set()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize("number", [2, 3])
def test_bits_are_those_of_one_thread(threads, number):
    x = np.random.default_rng(0).standard_normal((260, 260), np.float32)
    threads(1)
    expected = matmul(x, x)
    threads(number)
    for _ in range(3):
        assert np.array_equal(matmul(x, x), expected)
    assert team.get_num_threads() == number
