"""LLVM IR text becomes the address of a native function, through the disk cache.

A cold compile parses the text, runs a light pass pipeline (the emitter has vectorised already) and emits an object; a
warm one loads the object (about 0.3 ms). Every object lives in an engine of its own that is never disposed, so an
address stays valid until the process ends and two objects may use the same names. llvmlite is imported at the first
compile (30-80 ms).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import struct
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

from tensorlite.kernels.cache import default_cache
from tensorlite.kernels.cpu import host
from tensorlite.kernels.cpu.symbols import PROVIDERS
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.module import PART, Module

_lock = threading.RLock()
_addresses: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
_provided: set[str] = set()
_machine: Any = None
# Constants beside the code, reached from the instruction pointer; where that is safe: with a call of an outside
# function this kind of x86 code needs a table that llvmlite's memory manager makes no room for (it aborts), hence the
# other kind.
_NEAR = {"opt": 2, "reloc": "pic", "codemodel": "small"}
_FAR = {"opt": 2, "reloc": "default", "codemodel": "jitdefault"}
_OUTSIDE = re.compile(r"^declare [^@]*@tensorlite_", re.MULTILINE)  # a function of ours, which lies elsewhere
_MOST_WORKERS = 16
_TURN = 1e-4  # seconds
_worker = threading.local()  # a target machine for each thread that works beside others
SHARES = sys.platform not in ("darwin", "win32") and sys.byteorder == "little"
"""Whether objects say which parts they call, as ELF's do (`undefined_symbols`); else kernels keep their parts."""


Source: TypeAlias = str | Callable[[], str | Module]
"""A module's text, or what makes it."""


def compile(ir: Source, key: str, name: str = "kernel", speed: int = 2) -> int:
    """Return the address of the function ``name`` in ``ir``, compiled for this machine at most once.

    ``key`` names the kernel in the caches. A text is hashed together with its key; a function that returns the text
    is called only when nothing is cached, and then the key alone must say everything that the text depends on (the
    version of our own sources is added to it here). Parts are known by their names and compiled once for all kernels.
    ``speed`` is LLVM's optimisation level, 0 to 3. Threads may call at once.
    """
    return compile_all(ir, key, (name,), speed)[0]


def compile_all(ir: Source, key: str, names: tuple[str, ...], speed: int = 2) -> tuple[int, ...]:
    """Return the addresses of several functions of one module, which share its globals; otherwise as ``compile``."""
    if isinstance(ir, str):
        key = f"{key}\n{ir}"
    memo = (key, names)
    addresses = _addresses.get(memo)
    if addresses is not None:
        return addresses
    with _lock:
        if memo not in _addresses:
            _find({key: ir}, names, speed)
        return _addresses[memo]


def compile_many(kernels: Sequence[tuple[Source, str]], name: str = "kernel", speed: int = 2) -> list[int]:
    """Return the addresses of ``name`` in several modules, each given as for ``compile``; cores work side by side.

    Texts are made one after the other, while LLVM works on those that are ready.
    """
    with _lock:
        _find({key: ir for ir, key in kernels if (key, (name,)) not in _addresses}, (name,), speed)
    return [_addresses[key, (name,)][0] for _, key in kernels]


@dataclass(frozen=True, slots=True)
class _Job:
    """A text to be compiled, its key in the cache, and what is done with its object."""

    text: str
    key: str
    load: Callable[[bytes], None]


def _find(sources: Mapping[str, Source], names: tuple[str, ...], speed: int) -> None:
    """Load kernels, given by their keys, from the cache; those that it does not have are compiled."""

    def load(key: str, code: bytes) -> None:
        _addresses[key, names] = _load(code, names)

    missing: dict[str, Source] = {}
    for key, ir in sources.items():
        code = _cached(_full_key(key, speed, not isinstance(ir, str)))
        if code is None:
            missing[key] = ir
        else:
            load(key, code)
    with closing(_emit_side_by_side(_jobs(missing, speed, load), speed)) as objects:
        for job, code in objects:
            default_cache().put(job.key, code)
            job.load(code)


def _jobs(sources: Mapping[str, Source], speed: int, load: Callable[[str, bytes], None]) -> Iterator[_Job]:
    """Yield what is to be compiled: of each module its parts first, if they are new."""
    parts: set[str] = set()
    for key, ir in sources.items():
        made = ir if isinstance(ir, str) else ir()
        module = Module(made) if isinstance(made, str) else made
        for name, text in module.parts.items():
            if name not in parts and not _has_part(name):
                parts.add(name)
                yield _Job(text, _part_key(name), partial(_provide_part, name))
        yield _Job(module.text, _full_key(key, speed, not isinstance(ir, str)), partial(load, key))


def _emit_side_by_side(jobs: Iterator[_Job], speed: int) -> Generator[tuple[_Job, bytes], None, None]:
    """Yield jobs with their objects, in order; texts are asked for while LLVM works on those before."""
    first = list(islice(jobs, 2))
    workers = min(host.usable_cores(), _MOST_WORKERS) if len(first) > 1 else 1
    if workers < 2:
        for job in chain(first, jobs):
            yield job, _emit(job.text, speed)
        return
    _target_machine()  # LLVM's targets are set up by one thread
    with ThreadPoolExecutor(workers, initializer=_begin_worker) as pool, _quick_turns():
        for job, future in [(job, pool.submit(_emit_apart, job.text, speed)) for job in chain(first, jobs)]:
            yield job, future.result()


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Let threads that come back from LLVM go on soon: elsewhere they wait 5 ms for one that makes texts, at each call.

    Measured with two threads and the kernels of a ResNet's training step: 0.72 s, not 0.80 s.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _begin_worker() -> None:
    _worker.machine = _new_target_machine(_NEAR if host.is_x86() else _FAR)


def _emit_apart(ir: str, speed: int) -> bytes:
    """What ``_emit`` does, with nothing of LLVM's that another thread uses, and so beside other threads."""
    return _emit(ir, speed, _worker.machine, _binding().create_context())


def _object_of(machine: Any, module: Any) -> bytes:
    """Return a module's object. llvmlite lets one thread at a time into LLVM; code generation need not be alone.

    Where llvmlite does not show the function that is under its lock, the lock is taken.
    """
    ffi = _binding().ffi
    locked = ffi.lib.LLVMPY_TargetMachineEmitToMemory
    with ffi.OutputString() as error:
        buffer = getattr(locked, "_cfn", locked)(machine, module, 1, error)
        if not buffer:
            raise KernelError(f"native.compile: LLVM makes no code of the kernel's text: {error}")
    try:
        size = ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


@functools.cache
def sources_stamp() -> str:
    """Return a digest of this package's sources (names, sizes, times), for kernels known only by their keys."""
    root = Path(__file__).resolve().parents[1]
    sources = [(path.relative_to(root), path.stat()) for path in sorted(root.rglob("*.py"))]
    facts = [f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in sources]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _full_key(key: str, speed: int, by_key: bool) -> str:
    """Return all that an object depends on; of a kernel that is known only ``by_key``, our own sources are a part."""
    stamp = sources_stamp() if by_key else ""
    return f"{host.identity()} {_NEAR} {_FAR} speed {speed}\n{stamp}\n{key}"


def emit_object(ir: str, speed: int = 2) -> bytes:
    """Return the relocatable object that ``ir`` compiles to on this machine, caches aside."""
    with _lock:
        return _emit(ir, speed)


def _emit(ir: str, speed: int, machine: Any = None, context: Any = None) -> bytes:
    calls = bool(_OUTSIDE.search(ir))
    machine = (machine or _target_machine()) if not calls else _new_target_machine(_FAR)
    code = _object_of(machine, _optimise(ir, speed, machine, context))
    if not calls and any(not symbol.startswith(PART) for symbol in undefined_symbols(code)):
        code = _object_of(_new_target_machine(_FAR), _optimise(ir, speed, machine, context))
    return code


def optimise(ir: str, speed: int = 2) -> str:
    """Return the text of a module after LLVM's passes."""
    with _lock:
        return str(_optimise(ir, speed))


def emit_assembly(ir: str, triple: str | None = None, cpu: str = "", features: str = "") -> str:
    """Return ``ir`` as assembly for this machine, or for another ``triple`` (AArch64, NVPTX as PTX text, ...)."""
    with _lock:
        if triple is None:
            return str(_target_machine().emit_assembly(_parse(ir)))
        binding = _binding()
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=2)
        return str(machine.emit_assembly(_parse(ir)))


def _cached(key: str) -> bytes | None:
    """Return the object that the cache has under a full key, if it has the parts that the object calls, too."""
    code = default_cache().get(key)
    if code is None:
        return None
    parts = (symbol for symbol in undefined_symbols(code) if symbol.startswith(PART))
    return code if all(map(_has_part, parts)) else None


def _has_part(name: str) -> bool:
    """Tell whether a part can be called; one that the cache has is loaded."""
    if name not in _provided:
        code = _cached(_part_key(name))
        if code is None:
            return False
        _provide_part(name, code)
    return True


def _provide_part(name: str, code: bytes) -> None:
    _binding().add_symbol(name, _load(code, (name,))[0])
    _provided.add(name)


def _part_key(name: str) -> str:
    return _full_key(name, 0, by_key=False)


def _binding() -> Any:
    from llvmlite import binding  # 30-80 ms: only when a kernel is compiled or loaded

    return binding


def _target_machine() -> Any:
    """The machine that emits objects; made once, used under the lock."""
    global _machine
    if _machine is None:
        _machine = _new_target_machine(_NEAR if host.is_x86() else _FAR)
    return _machine


def _new_target_machine(options: dict[str, Any]) -> Any:
    binding = _binding()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(cpu=host.cpu_name(), features=host.llvm_features(), **options)


def _parse(ir: str, context: Any = None) -> Any:
    try:
        module = _binding().parse_assembly(ir, context)
        module.verify()
    except RuntimeError as error:
        raise KernelError(f"native.compile: LLVM refuses the kernel's text: {error}") from None
    return module


def _optimise(ir: str, speed: int, machine: Any = None, context: Any = None) -> Any:
    module, binding, machine = _parse(ir, context), _binding(), machine or _target_machine()
    options = binding.create_pipeline_tuning_options(speed_level=speed)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def _load(code: bytes, names: tuple[str, ...]) -> tuple[int, ...]:
    binding = _binding()
    machine = _new_target_machine(_FAR)
    # llvmlite's memory manager keeps the sections of an object side by side; with LLVM's own, a constant pool can land
    # more than 2 GiB from its code once large arrays are mapped between, and relocations overflow without a word.
    empty = binding.parse_assembly("")
    engine = binding.create_mcjit_compiler(empty, machine, use_lmm=True)
    engine.remove_module(empty)  # else it would be compiled: 0.4 ms
    _resolve(code)  # after the first engine, which makes the symbols of the process visible
    engine.add_object_file(binding.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    addresses = tuple(int(engine.get_function_address(name)) for name in names)
    engine.detach()
    if not all(addresses):
        raise KernelError(f"native.compile: the object defines no function named {names[addresses.index(0)]!r}")
    return addresses


def _resolve(code: bytes) -> None:
    """Raise unless every symbol that the object needs exists: LLVM would end the process instead."""
    for symbol in undefined_symbols(code):
        provide_symbol(symbol)
        if symbol not in _provided and _binding().address_of_symbol(symbol) is None:
            raise KernelError(f"native.compile: the kernel calls {symbol!r}, which this process does not have")


def provide_symbol(symbol: str) -> None:
    """Tell LLVM where a function of ours is, if it is one of `PROVIDERS`."""
    if symbol in PROVIDERS and symbol not in _provided:
        _binding().add_symbol(symbol, PROVIDERS[symbol]())
        _provided.add(symbol)


def undefined_symbols(code: bytes) -> Iterator[str]:
    """Yield the names that a 64-bit little-endian ELF object needs from outside; nothing for other formats."""
    if code[:6] != b"\x7fELF\x02\x01":
        return
    table, entry_size, count = struct.unpack_from("<Q", code, 40)[0], *struct.unpack_from("<HH", code, 58)
    sections = [struct.unpack_from("<IIQQQQII", code, table + index * entry_size) for index in range(count)]
    for _, kind, _, _, offset, size, link, _ in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        names = sections[link][4]
        for position in range(offset + 24, offset + size, 24):  # the first symbol is null
            name, _, _, section = struct.unpack_from("<IBBH", code, position)
            if section == 0:
                yield code[names + name : code.index(b"\0", names + name)].decode()


if hasattr(os, "register_at_fork"):  # a child must not find LLVM in the middle of a compile
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
