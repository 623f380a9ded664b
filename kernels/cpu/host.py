"""The machine we run on: CPU name and features, cores that we may use, cache sizes.

``TENSORLITE_CPU_FEATURES`` takes features away (or adds what LLVM did not see): a comma-separated list of LLVM's
names with a sign, as in ``-avx512f,-avx512_bf16`` (underscores and case do not matter). Taking one away takes away
what builds on it, so ``-avx512f`` leaves AVX2.
"""

from __future__ import annotations

import functools
import math
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

# What disappears with a feature: names, or beginnings of names when they end in "*" (LLVM's implications, the vector
# ones).
_BUILT_ON = {
    "avx512f": ("avx512*",),
    "avx2": ("avx512*", "avxvnni*", "avxifma", "avxneconvert"),
    "avx": ("avx*", "fma", "fma4", "f16c", "xop", "vaes", "vpclmulqdq"),
}
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/core_cpus_list"


@functools.cache
def cpu_name() -> str:
    """Return LLVM's name of the CPU (``znver5``, ``skylake-avx512``, ...)."""
    from llvmlite import binding  # 30-80 ms: only when a kernel is compiled

    return str(binding.get_host_cpu_name())


@functools.cache
def detected_features() -> frozenset[str]:
    """Return LLVM's names of what the CPU can do, before the mask."""
    from llvmlite import binding  # 30-80 ms: only when a kernel is compiled

    return frozenset(name for name, present in binding.get_host_cpu_features().items() if present)


def feature_mask() -> tuple[str, ...]:
    """Return the signed names in ``TENSORLITE_CPU_FEATURES``, in order; a name without a sign counts as added."""
    words = os.environ.get("TENSORLITE_CPU_FEATURES", "").lower().replace("_", "").split(",")
    return tuple(word if word[0] in "+-" else f"+{word}" for word in map(str.strip, words) if word)


@functools.cache
def features() -> frozenset[str]:
    """Return what kernels may use: detected features under the mask."""
    found = set(detected_features())
    for word in feature_mask():
        found = found | {word[1:]} if word[0] == "+" else {name for name in found if not _goes_with(name, word[1:])}
    return frozenset(found)


def _goes_with(name: str, removed: str) -> bool:
    patterns = (removed, *_BUILT_ON.get(removed, ()))
    return any(name == pattern or (pattern[-1] == "*" and name.startswith(pattern[:-1])) for pattern in patterns)


@functools.cache
def llvm_features() -> str:
    """Return the features as LLVM's target machine wants them, what is absent said explicitly."""
    present = features()
    signed = [f"+{name}" for name in sorted(present)] + [f"-{name}" for name in sorted(detected_features() - present)]
    # Intel's CPU names ask for 256-bit vectors; the emitter chooses the width itself.
    return ",".join([*signed, "-prefer-256-bit"] if is_x86() else signed)


def is_x86() -> bool:
    """Tell whether this is a 64-bit x86 machine."""
    return platform.machine().lower() in ("x86_64", "amd64")


@functools.cache
def vector_bits() -> int:
    """Return the width of the vectors that kernels should use on this machine, in bits."""
    if "avx512f" in features():
        return 512
    return 256 if "avx2" in features() else 128


@functools.cache
def identity() -> str:
    """Return what a compiled object depends on besides its text: compiler, CPU and features."""
    import llvmlite
    from llvmlite import binding

    version = ".".join(map(str, binding.llvm_version_info))
    compiler = f"llvmlite {llvmlite.__version__} llvm {version}"
    return f"{platform.machine()} {sys.platform} {compiler} {cpu_name()} {llvm_features()}"


def allowed_cpus() -> tuple[int, ...]:
    """Return the numbers of the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def physical_cores() -> int:
    """Return how many physical cores the allowed CPUs make up."""
    return len({_siblings(cpu) for cpu in allowed_cpus()})


def _siblings(cpu: int) -> str:
    return _read(Path(_TOPOLOGY.format(cpu))) or str(cpu)


def usable_cores() -> int:
    """Return the physical cores that affinity and cgroup quota leave us, at least 1."""
    return max(1, int(min(physical_cores(), cpu_quota())))


def cpu_quota() -> float:
    """Return the CPUs' worth of time that the control groups grant (infinity without a limit)."""
    return min(_quotas(), default=math.inf)


def _quotas() -> Iterator[float]:
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            for folder in _lineage(("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), path):
                yield from _quota(_read(folder / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for folder in _lineage(("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"), path):
                yield from _quota(f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}")


def _lineage(roots: tuple[str, ...], path: str) -> Iterator[Path]:
    """Yield a control group's folder and its parents' under each root: the tightest limit counts."""
    for root in map(Path, roots):
        folder = root / path.lstrip("/")
        yield from (step for step in (folder, *folder.parents) if step.is_relative_to(root))


def _quota(text: str) -> Iterator[float]:
    words = text.split()
    if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
        yield int(words[0]) / int(words[1])


@functools.cache
def cache_sizes() -> dict[str, int]:
    """Return the bytes of each data cache of a core, by level: ``{"L1": 49152, "L2": 1048576, "L3": 33554432}``."""
    sizes = {}
    for folder in sorted(_CACHES.glob("index*")):
        if _read(folder / "type") in ("Data", "Unified"):
            sizes[f"L{_read(folder / 'level')}"] = _bytes(_read(folder / "size"))
    return sizes


def _bytes(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text or 0)


def model_name() -> str:
    """Return the name that the CPU's maker gave it."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def describe() -> dict[str, str]:
    """Return the facts that ``tensorlite doctor`` shows, in words."""
    quota = cpu_quota()
    return {
        "cpu": f"{model_name()} ({cpu_name()}, {platform.machine()})",
        "vectors": f"{vector_bits()} bits",
        "features": " ".join(sorted(features())),
        "feature mask": ",".join(feature_mask()) or "none",
        "cores": f"{usable_cores()} usable ({physical_cores()} physical, {len(allowed_cpus())} logical allowed, "
        f"quota {'none' if math.isinf(quota) else f'{quota:g}'})",
        "caches": ", ".join(f"{level} {size >> 10} KiB" for level, size in cache_sizes().items()) or "unknown",
    }
