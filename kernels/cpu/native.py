"""LLVM IR text becomes the address of a native function, through the disk cache.

A cold compile parses the text, runs a light pass pipeline (the emitter has vectorised already) and emits an object; a
warm one loads the object (about 0.6 ms). Every object lives in an engine of its own that is never disposed, so an
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
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensorlite.kernels.cache import default_cache
from tensorlite.kernels.cpu import host
from tensorlite.kernels.cpu.symbols import PROVIDERS
from tensorlite.kernels.errors import KernelError

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


def compile(ir: str | Callable[[], str], key: str, name: str = "kernel", speed: int = 2) -> int:
    """Return the address of the function ``name`` in ``ir``, compiled for this machine at most once.

    ``key`` names the kernel in the caches. A text is hashed together with its key; a function that returns the text
    is called only when nothing is cached, and then the key alone must say everything that the text depends on (the
    version of our own sources is added to it here). ``speed`` is LLVM's optimisation level, 0 to 3. Threads may call
    at once.
    """
    return compile_all(ir, key, (name,), speed)[0]


def compile_all(ir: str | Callable[[], str], key: str, names: tuple[str, ...], speed: int = 2) -> tuple[int, ...]:
    """Return the addresses of several functions of one module, which share its globals; otherwise as ``compile``."""
    if isinstance(ir, str):
        key = f"{key}\n{ir}"
    memo = (key, names)
    addresses = _addresses.get(memo)
    if addresses is not None:
        return addresses
    with _lock:
        if memo not in _addresses:
            _addresses[memo] = _load(_object(ir, _full_key(key, speed, not isinstance(ir, str)), speed), names)
        return _addresses[memo]


def compile_many(kernels: Sequence[tuple[Callable[[], str], str]], name: str = "kernel", speed: int = 2) -> list[int]:
    """Return the addresses of ``name`` in several modules, each given as for ``compile``; cores work side by side.

    Texts are made one after the other, while LLVM works on those that are ready.
    """
    with _lock:
        missing = {key: ir for ir, key in kernels if (key, (name,)) not in _addresses}
        keys = {key: _full_key(key, speed, by_key=True) for key in missing}
        codes = {key: default_cache().get(keys[key]) for key in missing}
        texts = {key: ir for key, ir in missing.items() if codes[key] is None}
        for key, code in zip(texts, _emit_side_by_side(list(texts.values()), speed), strict=True):
            default_cache().put(keys[key], code)
            codes[key] = code
        for key, known in codes.items():
            assert known is not None
            _addresses[key, (name,)] = _load(known, (name,))
    return [_addresses[key, (name,)][0] for _, key in kernels]


def _emit_side_by_side(texts: Sequence[Callable[[], str]], speed: int) -> list[bytes]:
    workers = min(host.usable_cores(), len(texts), _MOST_WORKERS) if len(texts) > 1 else 1
    if workers < 2:
        return [_emit(text(), speed) for text in texts]
    _target_machine()  # LLVM's targets are set up by one thread
    with ThreadPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(_emit_apart, text(), speed) for text in texts]]


def _emit_apart(ir: str, speed: int) -> bytes:
    """What ``_emit`` does, with nothing of LLVM's that another thread uses, and so beside other threads."""
    machine = _new_target_machine(_NEAR if host.is_x86() else _FAR)
    return _emit(ir, speed, machine, _binding().create_context())


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
    if not calls and any(undefined_symbols(code)):
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


def _object(ir: str | Callable[[], str], key: str, speed: int) -> bytes:
    cache = default_cache()
    cached = cache.get(key)
    if cached is not None:
        return cached
    code = emit_object(ir if isinstance(ir, str) else ir(), speed)
    cache.put(key, code)
    return code


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
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine, use_lmm=True)
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
