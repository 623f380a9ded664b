"""Facts about the machine, from files as Linux writes them."""

from __future__ import annotations

import math
import os

import pytest

from tensorlite.kernels.cpu import host


@pytest.fixture
def features(monkeypatch):
    """What remains of a machine with AVX-512 under a mask."""
    found = {"sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512vnni", "avxvnni", "vaes", "popcnt"}

    def under(mask: str) -> set[str]:
        monkeypatch.setattr(host, "detected_features", lambda: frozenset(found))
        monkeypatch.setenv("TENSORLITE_CPU_FEATURES", mask)
        return set(host.features.__wrapped__())

    return under


def test_taking_a_feature_away_takes_what_builds_on_it(features):
    everything = features("")
    assert features("-avx512f") == everything - {"avx512f", "avx512vl", "avx512vnni"}
    assert features("-AVX512_VNNI, -popcnt") == everything - {"avx512vnni", "popcnt"}
    assert features("-avx2") == everything - {"avx2", "avx512f", "avx512vl", "avx512vnni", "avxvnni"}
    assert features("-avx") == {"sse2", "popcnt"}
    assert features("-avx512f,+avx512fp16,amx") == features("-avx512f") | {"avx512fp16", "amx"}


@pytest.mark.parametrize(("mask", "bits"), [("", None), ("-avx512f", 256), ("-avx", 128)])
def test_kernels_obey_the_mask(program, mask, bits):
    done = program(
        """
        from tensorlite.kernels.cpu import host, native
        print(host.vector_bits(), host.describe()["feature mask"])
        lanes = "<16 x float>"
        text = native.emit_assembly(
            f"define void @kernel(ptr %p) {{ %v = load {lanes}, ptr %p\\n"
            f"%w = fadd {lanes} %v, %v\\nstore {lanes} %w, ptr %p ret void }}")
        print(max((r for r in ("xmm", "ymm", "zmm") if r in text), default="none"))
        """,
        TENSORLITE_CPU_FEATURES=mask,
    )
    assert done.stderr == ""
    found, shown, register = done.stdout.split()
    if not host.is_x86():
        assert (found, register) == ("128", "none")
        return
    expected = min(int(bits or host.vector_bits()), host.vector_bits())
    assert int(found) == expected
    assert register == {512: "zmm", 256: "ymm", 128: "xmm"}[expected]
    assert shown == (mask or "none")


@pytest.fixture
def files(monkeypatch):
    """A machine whose files are given."""

    def machine(**contents: str) -> None:
        monkeypatch.setattr(host, "_read", lambda path: contents.get(str(path).replace("/", "_").strip("_"), ""))

    return machine


@pytest.mark.parametrize(
    ("contents", "quota"),
    [
        ({}, math.inf),
        ({"proc_self_cgroup": "0::/", "sys_fs_cgroup_cpu.max": "max 100000"}, math.inf),
        ({"proc_self_cgroup": "0::/", "sys_fs_cgroup_cpu.max": "150000 100000"}, 1.5),
        ({"proc_self_cgroup": "0::/a/b", "sys_fs_cgroup_a_cpu.max": "300000 100000"}, 3.0),
        (
            {"proc_self_cgroup": "0::/a", "sys_fs_cgroup_a_cpu.max": "9 1", "sys_fs_cgroup_cpu.max": "2 1"},
            2.0,
        ),
        (
            {
                "proc_self_cgroup": "3:memory:/x\n2:cpu,cpuacct:/x\n0::/",
                "sys_fs_cgroup_cpu_x_cpu.cfs_quota_us": "250000",
                "sys_fs_cgroup_cpu_x_cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        (
            {
                "proc_self_cgroup": "2:cpu:/",
                "sys_fs_cgroup_cpu_cpu.cfs_quota_us": "-1",
                "sys_fs_cgroup_cpu_cpu.cfs_period_us": "100000",
            },
            math.inf,
        ),
        ({"proc_self_cgroup": "0::/", "sys_fs_cgroup_cpu.max": "rubbish"}, math.inf),
    ],
)
def test_the_quota_is_the_tightest_of_the_control_groups(files, contents, quota):
    files(**contents)
    assert host.cpu_quota() == quota


def test_usable_cores_are_physical_allowed_and_granted(files, monkeypatch):
    siblings = {f"sys_devices_system_cpu_cpu{n}_topology_core_cpus_list": f"{n % 4},{n % 4 + 4}" for n in range(8)}
    monkeypatch.setattr(host, "allowed_cpus", lambda: tuple(range(8)))
    files(**siblings)
    assert host.usable_cores() == 4
    files(**siblings, proc_self_cgroup="0::/", **{"sys_fs_cgroup_cpu.max": "50000 100000"})
    assert host.usable_cores() == 1
    monkeypatch.setattr(host, "allowed_cpus", lambda: (0, 4, 5))
    files(**siblings)
    assert host.usable_cores() == 2
    files()
    assert host.usable_cores() == 3  # without a topology each CPU counts


def test_this_machine():
    assert 1 <= host.usable_cores() <= len(host.allowed_cpus()) <= (os.cpu_count() or 1)
    assert host.cpu_name() and host.features() <= host.detected_features()
    assert set(host.describe()) == {"cpu", "vectors", "features", "feature mask", "cores", "caches"}
    assert all(size > 0 for size in host.cache_sizes().values())


def test_importing_costs_no_compiler(program):
    done = program(
        """
        import sys
        from tensorlite.kernels import device
        from tensorlite.kernels.cpu import allocator, team
        print([name for name in ("llvmlite", "numba", "cupy") if name in sys.modules])
        """
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
