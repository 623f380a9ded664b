"""The same loops for NVIDIA GPUs: a block of threads is one thread of the team, and its threads are the lanes.

The iterations of a parallel loop are dealt to the blocks, those of a vector loop to the threads of a block, as many as
there are lanes; what lies outside vector loops every thread computes, and thread 0 stores. Reductions have the tree of
the loops, in shared memory: the bits are those of the CPU. The kernel takes its parameters one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tensorlite.kernels import loops
from tensorlite.kernels.errors import KernelError
from tensorlite.kernels.llvm import memory
from tensorlite.kernels.llvm.emit import Emitter
from tensorlite.kernels.llvm.target import NVPTX
from tensorlite.kernels.llvm.types import memory as memory_type
from tensorlite.kernels.llvm.types import register
from tensorlite.kernels.llvm.values import Value

TRIPLE = "nvptx64-nvidia-cuda"
_SHARED = 3  # the address space


def block_size(kernel: loops.Kernel) -> int:
    """Return how many threads a block must have: the lanes of the kernel's widest vector loop."""
    squares = (x.size for x in loops.walk(kernel.body) if isinstance(x, loops.Transpose))
    lanes = (x.lanes for x in loops.walk(kernel.body) if isinstance(x, (loops.For, loops.Reduce)))
    return max((*lanes, *squares), default=1)


def emit_nvptx(kernel: loops.Kernel, name: str = "kernel") -> str:
    """Return a module that defines ``kernel`` as a PTX entry; launch any number of blocks of ``block_size`` threads."""
    emitter = _BlockEmitter(kernel)
    emitter.block(kernel.body)
    parameters = ", ".join(f"{_type(p)} %p.{p.name}" for p in kernel.parameters)
    lines = (
        f"; {kernel.name}",
        f'target triple = "{TRIPLE}"',
        *emitter.shared,
        f"define ptx_kernel void @{name}({parameters}) #0 {{\n{emitter.asm.text()}\n}}",
        *sorted(emitter.asm.declarations),
        "attributes #0 = { nounwind }",
    )
    return "\n".join(lines) + "\n"


def _type(parameter: loops.Buffer | loops.Parameter) -> str:
    return "ptr" if isinstance(parameter, loops.Buffer) else register(parameter.dtype)


class _BlockEmitter(Emitter):
    """Emits statements for one thread of a block: every value is a single one."""

    def __init__(self, kernel: loops.Kernel) -> None:
        super().__init__(kernel, NVPTX)
        self.shared: list[str] = []
        self.in_lanes = False
        self.thread = self._special("tid.x")

    def _special(self, name: str) -> str:
        narrow = self.asm.call(f"llvm.nvvm.read.ptx.sreg.{name}", "i32")
        return self.asm.let(f"zext i32 {narrow} to i64")

    def _meet(self) -> None:
        """Wait for the threads of the block: what they stored is there for all."""
        self.asm.call("llvm.nvvm.barrier0", "void")

    def _share(self, type_: str) -> str:
        """Return the address of memory that the block shares."""
        name = f"@{self.asm.fresh('shared')}"
        self.shared.append(f"{name} = internal addrspace({_SHARED}) global {type_} undef, align 16")
        return self.asm.let(f"addrspacecast ptr addrspace({_SHARED}) {name} to ptr")

    def parallel(self, loop: loops.For) -> None:
        first, step = self._special("ctaid.x"), self._special("nctaid.x")
        self._each(first, self.evaluate(loop.extent).ref, loop, step)

    def vector(self, loop: loops.For) -> None:
        def body(index: str) -> None:
            self.values[loop.index] = Value(index, loops.INDEX)
            self.in_lanes = True
            self.block(loop.body)
            self.in_lanes = False

        extent = self.evaluate(loop.extent).ref
        idle = self.asm.let(f"icmp uge i64 {self.thread}, {loop.lanes}")
        first = self.asm.let(f"select i1 {idle}, i64 {extent}, i64 {self.thread}")
        self._loop((first, extent, str(loop.lanes)), loop.body, body)
        if any(isinstance(x, loops.Store) for x in loops.walk(loop.body)):
            self._meet()

    def apart(self, loop: loops.For) -> None:
        """Append a loop where it is: registers are not scarce here."""
        self._each("0", self.evaluate(loop.extent).ref, loop)

    def store(self, store: loops.Store) -> None:
        if self.in_lanes:
            super().store(store)
            return
        index, value = self.evaluate(store.index), self.evaluate(store.value)
        first = self.asm.let(f"icmp eq i64 {self.thread}, 0")

        def one() -> list[str]:
            memory.store(self.evaluator, self.places[store.buffer], index, value, self.lanes, False)
            return []

        self.asm.when(first, [], one)
        self._meet()

    def prefetch(self, prefetch: loops.Prefetch) -> None:
        """Nothing: a block's threads write whole lines at once."""

    def transpose(self, statement: loops.Transpose) -> None:
        self.block((loops.transposing(statement, self.places[statement.source].dtype),))

    def scratch(self, scratch: loops.Scratch) -> None:
        self.places[scratch.name] = memory.Place(
            self._share(f"[{scratch.size} x {memory_type(scratch.dtype)}]"), scratch.dtype
        )

    def barrier(self, _: loops.Barrier) -> None:
        raise KernelError("nvptx: blocks cannot wait for each other: make a kernel of each stage between barriers")

    def reduce(self, reduce: loops.Reduce) -> None:
        before = [self.values[name] for name in reduce.locals]
        for name, identity in zip(reduce.locals, reduce.identity, strict=True):
            self.values[name] = self.evaluate(identity)
        self.block(reduce.body)
        copies = [self.values[name] for name in reduce.locals]
        places = [memory.Place(self._share(f"[{reduce.lanes} x {memory_type(v.dtype)}]"), v.dtype) for v in copies]
        self._tree(reduce, places, copies)
        merged = self._merge(reduce, before, self._read(places, "0"))
        self.values |= dict(zip(reduce.locals, merged, strict=True))
        self._meet()  # before the memory is used again

    def _tree(self, reduce: loops.Reduce, places: list[memory.Place], copies: list[Value]) -> None:
        """Merge the lanes' copies by halves, into the first."""
        half = reduce.lanes
        self._when_below(half, lambda: self._write(places, copies))
        while half > 1:
            half //= 2
            self._meet()
            self._when_below(half, partial(self._merge_halves, reduce, places, half))
        self._meet()

    def _merge_halves(self, reduce: loops.Reduce, places: list[memory.Place], half: int) -> None:
        other = self.asm.let(f"add i64 {self.thread}, {half}")
        self._write(places, self._merge(reduce, self._read(places, self.thread), self._read(places, other)))

    def _when_below(self, bound: int, body: Callable[[], None]) -> None:
        def run() -> list[str]:
            body()
            return []

        self.asm.when(self.asm.let(f"icmp ult i64 {self.thread}, {bound}"), [], run)

    def _write(self, places: list[memory.Place], values: list[Value]) -> None:
        for place, value in zip(places, values, strict=True):
            memory.store(self.evaluator, place, Value(self.thread, loops.INDEX), value, self.lanes, False)

    def _read(self, places: list[memory.Place], index: str) -> list[Value]:
        return [memory.load(self.evaluator, place, Value(index, loops.INDEX), self.lanes) for place in places]
