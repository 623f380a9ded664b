"""What the emitter needs to know of a machine; LLVM itself knows the rest."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from tensorlite.kernels.cpu import host as cpu

_EVERY_SIZE = frozenset((1, 2, 4, 8))


@dataclass(frozen=True)
class Target:
    """A machine. ``masked``: the sizes of the elements whose vectors it can load and store under a mask."""

    name: str
    masked: frozenset[int] = frozenset()
    converts_half: bool = True
    multiplies_pairs: bool = False
    """Whether there is an instruction for ``dot2``."""
    fence: str = ""
    """The instruction that orders streaming stores before later ones; empty where stores are not streamed."""
    dots: frozenset[int] = frozenset()
    """How many lanes its instruction for products of bytes may have (``dot4``); none where it has no such."""


AARCH64 = Target("aarch64")
NVPTX = Target("nvptx")


@functools.cache
def host() -> Target:
    """Return the machine we run on, with the features that ``TENSORLITE_CPU_FEATURES`` leaves."""
    return x86(cpu.features()) if cpu.is_x86() else AARCH64


def x86(features: frozenset[str]) -> Target:
    """Return an x86-64 machine with these features (LLVM's names)."""
    masked: frozenset[int] = frozenset()
    if "avx2" in features:
        masked = frozenset((4, 8))
    if {"avx512bw", "avx512vl"} <= features:
        masked = _EVERY_SIZE
    pairs = "avx512bf16" in features
    dots = frozenset((16,)) if "avx512vnni" in features else frozenset()
    if "avxvnni" in features or {"avx512vnni", "avx512vl"} <= features:
        dots |= {4, 8}
    return Target("x86-64", masked, "f16c" in features, pairs, "call void @llvm.x86.sse.sfence()", dots)
