"""The same loops as AArch64 assembly and as PTX, checked as text; PTX by the assembler too, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from loop_samples import SAMPLES

from tensorlite.kernels import llvm
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu import native
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.generated import arrange, elementwise, fold_loops, norms, reducers
from tensorlite.kernels.generated.layout import Axis
from tensorlite.kernels.llvm import nvptx
from tensorlite.kernels.verify import verify

F32 = np.dtype(np.float32)
PTXAS = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/bin:/usr/local/cuda/bin")


def sigmoid():
    return elementwise.kernel(s.trace(lambda x: 1 / (1 + s.exp(-x))), (F32,), F32, elementwise.Layout(1, "uu"))


def softmax():
    fold = norms.softmax_in_place(F32)
    found = arrange.arrange([Axis(64, (100, 100))], [Axis(100, (1, 1))], fold)
    return fold_loops.kernel(fold, arrange.form(found, fold))


def reduction(name, keep, reduce):
    fold = reducers.reduction(name, F32, reducers.result_dtype(name, F32))
    found = arrange.arrange([Axis(*keep)], [Axis(*reduce)], fold)
    return fold_loops.kernel(fold, arrange.form(found, fold, "all" if found.chunks == 1 else "part"))


GENERATED = {
    "sigmoid": sigmoid,
    "softmax": softmax,
    **{f"{name} rows": lambda name=name: reduction(name, (64, (100,)), (100, (1,))) for name in reducers.REDUCTIONS},
    **{f"{name} columns": lambda name=name: reduction(name, (100, (1,)), (64, (100,))) for name in reducers.REDUCTIONS},
}
KERNELS = {
    **{name: lambda sample=sample: sample(100)[0] for name, sample in SAMPLES.items() if name != "sums"},
    **GENERATED,
}


def ptx_of(kernel):
    return native.emit_assembly(llvm.emit_nvptx(verify(kernel)), nvptx.TRIPLE, "sm_80", "+ptx70")


@pytest.mark.parametrize("name", [*SAMPLES, *GENERATED])
def test_aarch64(name):
    kernel = SAMPLES[name](100)[0] if name in SAMPLES else GENERATED[name]()
    text = native.emit_assembly(llvm.emit(verify(kernel), llvm.AARCH64), "aarch64-unknown-linux-gnu")
    assert re.search(r"^kernel:", text, re.MULTILINE)
    called = set(re.findall(r"\bbl\s+([\w.]+)", text))
    own = {"kernel.body", "tensorlite_barrier", *re.findall(r"^(part\d+):", text, re.MULTILINE)}
    assert called <= own, "a kernel must not call a library"


def test_aarch64_has_vectors():
    text = native.emit_assembly(llvm.emit(verify(sigmoid()), llvm.AARCH64), "aarch64-unknown-linux-gnu")
    assert re.search(r"fdiv\s+v\d+\.4s, v\d+\.4s, v\d+\.4s", text)
    assert re.search(r"fml[as]\s+v\d+\.4s", text), "fma is one instruction"


@pytest.mark.parametrize("name", KERNELS)
def test_ptx(name):
    text = ptx_of(KERNELS[name]())
    assert ".visible .entry kernel(" in text
    assert "call" not in text, "a kernel must not call a library"
    assert not re.search(r"\.ftz|\.approx|div\.full", text), "numbers as on the CPU"


def test_ptx_of_a_sum():
    kernel = reduction("sum", (64, (100,)), (100, (1,)))
    text = ptx_of(kernel)
    assert nvptx.block_size(kernel) == 32
    assert text.count("bar.sync") >= 6, "32 lanes are merged in 5 steps"
    assert "add.rn.f64" in text, "no fused operation that the loops do not say"
    assert ".shared" in text


def test_ptx_knows_no_barrier_of_blocks():
    with pytest.raises(KernelError) as raised:
        llvm.emit_nvptx(verify(SAMPLES["sums"](100)[0]))
    assert str(raised.value) == "nvptx: blocks cannot wait for each other: make a kernel of each stage between barriers"


@pytest.mark.skipif(PTXAS is None, reason="ptxas, the assembler of CUDA, is not installed")
@pytest.mark.parametrize("name", ["sigmoid", "softmax", "var rows", "sum columns", "argmax rows", "gather", "unrolled"])
def test_ptxas_accepts(name, tmp_path: Path):
    path = tmp_path / "kernel.ptx"
    path.write_text(ptx_of(KERNELS[name]()))
    subprocess.run([str(PTXAS), "-arch=sm_80", str(path), "-o", str(tmp_path / "kernel.cubin")], check=True)


GOLDEN = """\
define internal void @kernel.body(i64 %thread, i64 %threads, ptr noalias %p.a, ptr noalias %p.out, i64 %p.n) #0 {
entry:
"""


def test_llvm_text():
    """The head of a module: an entry that unpacks the argument block, and the body that may assume what buffers say."""
    text = llvm.emit(verify(SAMPLES["elementwise"](100)[0]), llvm.host())
    assert text.startswith("; square\ndefine void @kernel(i64 %thread, i64 %threads, ptr %arguments) #0 {\n")
    assert GOLDEN in text
    assert "fast" not in text
    assert '"no-builtins"' in text
