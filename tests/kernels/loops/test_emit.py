"""Native kernels do what the interpreter says, bit for bit, for all sizes round the vectors' and for 1 to 4 threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from guarded import compile_kernel, run_native, same_bits
from loop_samples import SAMPLES

from tensorlite.kernels import interp, llvm
from tensorlite.kernels.cpu import host
from tensorlite.kernels.verify import verify

SIZES = (0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 131)


def written(kernel, arguments):
    return {name: arguments[name] for name, buffer in kernel.buffers.items() if buffer.writable}


def copied(arguments):
    return {
        name: (value[0].copy(), value[1]) if isinstance(value, tuple) else np.copy(value) if np.ndim(value) else value
        for name, value in arguments.items()
    }


def assert_agree(kernel, arguments, threads, target=None, offset=0):
    expected, actual = copied(arguments), copied(arguments)
    interp.run(kernel, expected, threads)
    run_native(kernel, actual, threads, address=compile_kernel(kernel, target), offset=offset)
    for name, result in written(kernel, actual).items():
        assert same_bits(result, written(kernel, expected)[name]), name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SAMPLES)
def test_native_is_what_the_interpreter_says(name, size):
    kernel, arguments = SAMPLES[name](size)
    for threads in (1, 2, 3, 4):
        assert_agree(kernel, arguments, threads)


@pytest.mark.parametrize("name", SAMPLES)
def test_machines_without_masks(name):
    """What AArch64 gets, and old x86: the remainder is taken lane by lane."""
    plain = llvm.Target("plain", frozenset(), converts_half=host.is_x86())
    for size in (0, 1, 17, 131):
        kernel, arguments = SAMPLES[name](size)
        assert_agree(kernel, arguments, 2, plain)


@pytest.mark.parametrize("name", SAMPLES)
def test_any_alignment_of_elements(name):
    kernel, arguments = SAMPLES[name](65)
    assert_agree(kernel, arguments, 1, offset=1)


@pytest.mark.skipif(not host.is_x86(), reason="features of x86")
@pytest.mark.parametrize("mask", ["-avx512f", "-avx2,-f16c", "-avx512bw"])
def test_fewer_features_same_bits(mask):
    """The kernels of a machine without AVX-512, or without AVX2, run here in a process of their own."""
    program = (
        "from loop_samples import SAMPLES; from test_emit import assert_agree\n"
        "for sample in SAMPLES.values():\n"
        "    for size in (1, 17, 131):\n"
        "        assert_agree(*sample(size), 2)\n"
    )
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"TENSORLITE_CPU_FEATURES": mask, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)


def test_the_text_has_no_accident():
    """Two emissions of a kernel are the same text; the caches rely on it."""
    kernel, _ = SAMPLES["sums"](100)
    assert llvm.emit(verify(kernel), llvm.host()) == llvm.emit(verify(kernel), llvm.host())
