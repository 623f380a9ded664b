"""Loops that are apart are compiled once for all kernels in which they stand, and are found again on disk."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from guarded import compile_kernel, run_native, same_bits
from loop_samples import SAMPLES

from tensorlite.kernels import cache, llvm, loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import native
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import launch
from tensorlite.kernels.loops import Barrier, Buffer, Load, Parameter, Store, parallel, serial
from tensorlite.kernels.module import Module

F32 = np.dtype(np.float32)
pytestmark = pytest.mark.skipif(not native.SHARES, reason="objects of this system do not say what they call")


def kernel(more: float, x: str = "x", a: str = "a", inner: float = 3.0) -> loops.Kernel:
    """Compute ``a * inner + more``: the product in a function of its own, in which another one adds 0.5."""
    at, out = s.Var("at"), s.Var(x)
    half = serial("once", 1, Load("y", "out", at), Store("out", at, s.Var("y") + 0.5), apart=True)
    product = serial("at", s.Var("n"), Load(x, a, at), Store("out", at, out * inner), half, apart=True)
    sums = serial("k", s.Var("n"), Load("z", "out", s.Var("k")), Store("out", s.Var("k"), s.Var("z") + more))
    buffers = (Buffer(a, F32), Buffer("out", F32, writable=True))
    return loops.build("product", (*buffers, Parameter("n")), (parallel("c", 1, product, sums),))


def run(address: int, given: loops.Kernel) -> np.ndarray:
    arguments = {given.parameters[0].name: np.arange(5, dtype=F32), "out": np.zeros(5, F32), "n": 5}
    run_native(given, arguments, address=address)
    return arguments["out"]


def forget(monkeypatch) -> None:
    """Make this process one that has compiled and loaded nothing."""
    monkeypatch.setattr(native, "_addresses", {})
    monkeypatch.setattr(native, "_provided", set())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty disk cache and a process that has compiled nothing."""
    store = cache.ObjectCache((tmp_path,))
    monkeypatch.setattr(native, "default_cache", lambda: store)
    monkeypatch.setattr(cache, "_warned", True)
    forget(monkeypatch)
    return tmp_path


@pytest.fixture
def compiled(monkeypatch):
    """The texts that LLVM compiles."""
    texts, emit = [], native._emit
    monkeypatch.setattr(native, "_emit", lambda text, *rest: texts.append(text) or emit(text, *rest))
    return texts


def test_equal_parts_are_compiled_once(folder, compiled):
    one, other = kernel(1.0), kernel(2.0, "another", "b")  # names do not matter
    launch.compile_many([(lambda: one, "one"), (lambda: other, "other")])
    assert len(compiled) == 4  # two kernels, the product, and what it calls
    assert len(list(folder.iterdir())) == 4
    for given, more, key in ((one, 1, "one"), (other, 2, "other")):
        address = launch.compile(lambda given=given: given, key)
        assert list(run(address, given)) == [3 * i + 0.5 + more for i in range(5)]
    assert len(compiled) == 4


def test_a_part_of_another_kernel_is_found_in_this_process_and_on_disk(folder, compiled, monkeypatch):
    launch.compile(lambda: kernel(1.0), "one")
    launch.compile(lambda: kernel(2.0), "other")
    assert len(compiled) == 4
    forget(monkeypatch)
    assert list(run(launch.compile(lambda: kernel(4.0), "third"), kernel(4.0))) == [3 * i + 4.5 for i in range(5)]
    assert len(compiled) == 5


def test_parts_that_differ_are_not_shared(folder, compiled):
    launch.compile(lambda: kernel(1.0), "one")
    address = launch.compile(lambda: kernel(1.0, inner=2.0), "other")
    assert list(run(address, kernel(1.0))) == [2 * i + 1.5 for i in range(5)]
    assert len(compiled) == 5  # the innermost part alone is the same


def test_a_warm_start_compiles_nothing(folder, compiled, monkeypatch):
    launch.compile(lambda: kernel(1.0), "one")
    del compiled[:]
    forget(monkeypatch)
    address = launch.compile(lambda: pytest.fail("made again"), "one")
    assert list(run(address, kernel(1.0))) == [3 * i + 1.5 for i in range(5)]
    assert not compiled


@pytest.mark.parametrize("damage", ["missing", "cut short", "nonsense"])
@pytest.mark.parametrize("which", range(3))
def test_an_entry_that_is_gone_or_damaged_is_compiled_anew(folder, compiled, monkeypatch, which, damage):
    launch.compile(lambda: kernel(1.0), "one")
    entries = sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
    if damage == "missing":
        entries[which].unlink()
    else:
        entries[which].write_bytes(entries[which].read_bytes()[:200] if damage == "cut short" else b"nonsense")
    del compiled[:]
    forget(monkeypatch)
    assert list(run(launch.compile(lambda: kernel(1.0), "one"), kernel(1.0))) == [3 * i + 1.5 for i in range(5)]
    assert compiled


def test_nothing_is_lost_without_a_cache_that_works(monkeypatch):
    class Forgetful(cache.ObjectCache):
        def put(self, key, payload):
            """Keep nothing, as where there is no room."""

    monkeypatch.setattr(native, "default_cache", lambda: Forgetful(()))
    forget(monkeypatch)
    launch.compile_many([(lambda: kernel(1.0), "one"), (lambda: kernel(2.0), "other")])
    address = launch.compile(lambda: pytest.fail("made again"), "other")
    assert list(run(address, kernel(2.0))) == [3 * i + 2.5 for i in range(5)]


@pytest.mark.parametrize("size", [1, 17, 64])
def test_parts_compute_the_bits_of_the_whole(folder, size):
    given, arguments = SAMPLES["apart"](size)
    results = []
    for address in (compile_kernel(given), launch.compile(lambda: given, "split")):
        copy = {name: np.copy(value) if np.ndim(value) else value for name, value in arguments.items()}
        run_native(given, copy, 2, address=address)
        results.append(copy["out"])
    assert same_bits(*results)


def test_a_kernel_may_call_parts_and_functions_of_the_process(folder):
    one = kernel(1.0)
    twice = loops.Kernel("meets", one.parameters, (*one.body, Barrier()))
    assert list(run(launch.compile(lambda: twice, "meets"), twice)) == [3 * i + 1.5 for i in range(5)]


def test_a_part_that_llvm_refuses_is_an_error_and_leaves_nothing_behind(folder, monkeypatch):
    before, good = sys.getswitchinterval(), launch._maker_of(lambda: kernel(1.0))()
    bad = Module(good.text, dict.fromkeys(good.parts, "define nonsense"))
    with pytest.raises(KernelError, match="refuses the kernel's text"):
        native.compile(lambda: bad, "bad", speed=0)
    assert sys.getswitchinterval() == before
    assert list(run(launch.compile(lambda: kernel(1.0), "one"), kernel(1.0))) == [3 * i + 1.5 for i in range(5)]


def test_a_module_and_its_parts_are_the_whole():
    module, whole = llvm.emit_apart(kernel(1.0), llvm.host()), llvm.emit(kernel(1.0), llvm.host())
    assert len(module.parts) == 2
    lines = {line for text in (module.text, *module.parts.values()) for line in text.splitlines()}
    assert lines - set(whole.splitlines()) == {line for line in lines if line.startswith("declare void @part_")}
