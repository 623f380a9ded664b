"""IR text becomes addresses: once, from any thread, through the disk, with an error instead of an abort."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

from tensorlite.kernels import cache, loops
from tensorlite.kernels.cpu import native, symbols
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import launch
from tensorlite.kernels.verify import MalformedKernel

ADD = "define i64 @kernel(i64 %a, i64 %b) nounwind {{ %r = add i64 %a, %b\n %s = add i64 %r, {} ret i64 %s }}"
CONSTANT = (
    "define void @kernel(ptr %p) nounwind { %v = load <4 x float>, ptr %p, align 4\n"
    "%w = fmul <4 x float> %v, <float 1.0, float 2.0, float 3.0, float 4.0>\nstore <4 x float> %w, ptr %p ret void }"
)


def call(address: int, *arguments: int) -> int:
    kinds = [ctypes.c_int64] * len(arguments)
    return ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(address)(*arguments)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty disk cache and a process that has compiled nothing."""
    store = cache.ObjectCache((tmp_path,))
    monkeypatch.setattr(native, "default_cache", lambda: store)
    monkeypatch.setattr(native, "_addresses", {})
    return tmp_path


def test_a_kernel_is_compiled_once_and_then_loaded(folder, monkeypatch):
    first = native.compile(ADD.format(1), "add")
    assert call(first, 2, 3) == 6
    assert native.compile(ADD.format(1), "add") == first
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(native, "_addresses", {})
    monkeypatch.setattr(native, "_emit", lambda *_: pytest.fail("compiled again"))
    assert call(native.compile(ADD.format(1), "add"), 2, 3) == 6


def test_another_text_under_the_same_key_is_another_kernel(folder):
    assert call(native.compile(ADD.format(1), "add"), 2, 3) == 6
    assert call(native.compile(ADD.format(5), "add"), 2, 3) == 10


def test_a_text_may_be_made_only_when_needed(folder, monkeypatch):
    made = []

    def text():
        made.append(1)
        return ADD.format(7)

    for _ in range(2):
        monkeypatch.setattr(native, "_addresses", {})
        assert call(native.compile(text, "lazy"), 1, 1) == 9
    assert made == [1]


def test_changed_sources_make_a_kernel_known_by_its_key_stale(folder, monkeypatch):
    assert call(native.compile(lambda: ADD.format(1), "lazy"), 1, 1) == 3
    monkeypatch.setattr(native, "_addresses", {})
    monkeypatch.setattr(native, "sources_stamp", lambda: "another version")
    assert call(native.compile(lambda: ADD.format(2), "lazy"), 1, 1) == 4


def test_functions_of_one_module_share_its_globals(folder):
    text = (
        "@g = internal global i64 5\n"
        "define void @set(i64 %x) { store i64 %x, ptr @g ret void }\n"
        "define i64 @get() { %x = load i64, ptr @g ret i64 %x }"
    )
    put, get = native.compile_all(text, "pair", ("set", "get"))
    assert call(get) == 5
    call(put, 9)
    assert call(get) == 9


def test_constants_lie_beside_the_code(folder):
    values = (ctypes.c_float * 4)(1, 1, 1, 1)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(native.compile(CONSTANT, "constant"))(ctypes.addressof(values))
    assert list(values) == [1, 2, 3, 4]


@pytest.mark.parametrize("cached", [False, True])
def test_functions_of_the_process_and_provided_ones_can_be_called(folder, monkeypatch, cached):
    kept = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: x * 10)
    symbols.provide("provided_for_a_test", lambda: ctypes.cast(kept, ctypes.c_void_p).value or 0)
    text = (
        "declare i64 @provided_for_a_test(i64)\ndeclare i64 @labs(i64)\n"
        "define i64 @kernel(i64 %x) { %y = call i64 @labs(i64 %x)\n"
        "%z = call i64 @provided_for_a_test(i64 %y) ret i64 %z }"
    )
    for _ in range(1 + cached):
        monkeypatch.setattr(native, "_addresses", {})
        assert call(native.compile(text, "calls"), -4) == 40


def test_a_missing_function_is_an_error_and_not_the_end_of_the_process(folder):
    text = (
        "declare i64 @no_such_function(i64)\n"
        "define i64 @kernel(i64 %x) { %y = call i64 @no_such_function(i64 %x) ret i64 %y }"
    )
    with pytest.raises(KernelError) as caught:
        native.compile(text, "missing")
    assert str(caught.value) == "native.compile: the kernel calls 'no_such_function', which this process does not have"


def test_a_wrong_name_is_an_error(folder):
    with pytest.raises(KernelError) as caught:
        native.compile(ADD.format(1), "add", "other")
    assert str(caught.value) == "native.compile: the object defines no function named 'other'"


@pytest.mark.parametrize("text", ["define nonsense", "define i64 @kernel() { %x = add i64 %y, 1 ret i64 %x }"])
def test_a_wrong_text_is_an_error(folder, text):
    with pytest.raises(KernelError, match=r"native\.compile: LLVM refuses the kernel's text"):
        native.compile(text, "wrong")


def test_many_threads_compile_at_once(folder):
    results: dict[int, list[int]] = {}

    def work(index):
        results[index] = [call(native.compile(ADD.format(n), "add"), index, 0) for n in range(20)]

    workers = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == {index: [index + n for n in range(20)] for index in range(6)}


def test_an_entry_that_is_no_object_is_compiled_anew(folder, monkeypatch):
    native.compile(ADD.format(1), "add")
    (entry,) = folder.iterdir()
    entry.write_bytes(entry.read_bytes()[:100])
    monkeypatch.setattr(native, "_addresses", {})
    monkeypatch.setattr(cache, "_warned", True)
    assert call(native.compile(ADD.format(1), "add"), 2, 3) == 6


@pytest.mark.parametrize(
    ("triple", "expected"), [("aarch64-unknown-linux-gnu", "add\tx"), ("nvptx64-nvidia-cuda", "add.s64")]
)
def test_assembly_for_other_machines(triple, expected):
    assert expected in native.emit_assembly(ADD.format(1), triple)


def test_assembly_for_this_machine():
    assert "kernel:" in native.emit_assembly(ADD.format(1))


def test_loops_of_every_kernel_that_a_test_compiles_are_verified():
    unverified = loops.build("wrong", (loops.Buffer("out", np.dtype(np.float32), writable=True),),
                             (loops.Store("out", loops.index(0), 1.0),))  # fmt: skip
    with pytest.raises(MalformedKernel, match="kernel wrong: every thread stores to out"):
        launch.compile(lambda: unverified, "a kernel whose threads race")
