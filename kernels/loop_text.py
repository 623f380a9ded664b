"""The canonical text of a kernel: equal kernels have equal texts in every process, so the text is a key for caches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%"}


def text(kernel: loops.Kernel) -> str:
    """Return the text of ``kernel``, one statement a line."""
    header = ", ".join(map(_parameter, kernel.parameters))
    return "\n".join((f"kernel {kernel.name}({header})", *_Printer().block(kernel.body, "  "), ""))


def expression(value: s.Typed) -> str:
    """Return one expression on one line, shared parts repeated: for messages."""
    return _spell(value, {})


def _parameter(parameter: loops.Buffer | loops.Parameter) -> str:
    if isinstance(parameter, loops.Parameter):
        return f"{parameter.name}: {parameter.dtype.name}"
    facts = {
        " writable": parameter.writable,
        " shared": not parameter.exclusive,
        f" aligned {parameter.alignment}": parameter.alignment > 0,
    }
    return f"{parameter.name}: {parameter.dtype.name}[]{''.join(fact for fact, holds in facts.items() if holds)}"


class _Printer:
    """Prints statements; numbers the shared subexpressions across the kernel."""

    def __init__(self) -> None:
        self.count = 0

    def block(self, block: loops.Block, indent: str) -> Iterator[str]:
        for statement in block:
            yield from _PRINTERS[type(statement)](self, statement, indent)

    def spell(self, values: tuple[Any, ...], indent: str, form: str) -> Iterator[str]:
        """Yield a line for each shared subexpression, and then ``form`` filled with the spelled values."""
        nodes = s.postorder(*values)
        uses = Counter(arg for node in nodes for arg in node.args)
        names: dict[s.Typed, str] = {}
        for node in nodes:
            if uses[node] > 1 and node.args:
                spelled = _spell(node, names)
                names[node] = f"t{self.count}"
                self.count += 1
                yield f"{indent}{names[node]} = {spelled}"
        yield indent + form.format(*(_spell(value, names) for value in values))

    def loop(self, loop: loops.For, indent: str) -> Iterator[str]:
        lanes = f"[{loop.lanes}{', single' if loop.single else ''}]" if loop.kind is loops.Kind.VECTOR else ""
        apart = " apart" if loop.apart else ""
        yield from self.spell((loop.extent,), indent, f"{loop.kind}{lanes} {loop.index} < {{}}{apart}:")
        yield from self.block(loop.body, indent + "  ")

    def reduce(self, reduce: loops.Reduce, indent: str) -> Iterator[str]:
        blanks = ", ".join(["{}"] * len(reduce.locals))
        form = f"reduce[{reduce.lanes}] {', '.join(reduce.locals)} from {blanks} by {blanks}:"
        yield from self.spell((*reduce.identity, *reduce.merge), indent, form)
        yield from self.block(reduce.body, indent + "  ")

    def condition(self, statement: loops.If, indent: str) -> Iterator[str]:
        yield from self.spell((statement.condition,), indent, "if {}:")
        yield from self.block(statement.body, indent + "  ")

    def store(self, store: loops.Store, indent: str) -> Iterator[str]:
        word = "stream" if store.streaming else "store"
        yield from self.spell((store.index, store.value), indent, f"{word} {store.buffer}[{{}}] = {{}}")

    def transpose(self, statement: loops.Transpose, indent: str) -> Iterator[str]:
        places = (statement.target_index, statement.target_stride, statement.source_index, statement.source_stride)
        form = f"{statement.target}[{{}}, by {{}}] = {statement.source}[{{}}, by {{}}]"
        yield from self.spell(places, indent, f"transpose[{statement.size}] {form}")


_PRINTERS: dict[type, Callable[[_Printer, Any, str], Iterator[str]]] = {
    loops.Let: lambda self, let, indent: self.spell((let.value,), indent, f"let {let.name} = {{}}"),
    loops.Load: lambda self, load, indent: self.spell((load.index,), indent, f"load {load.name} = {_source(load)}"),
    loops.Prefetch: lambda self, fetch, indent: self.spell(
        (fetch.index,), indent, f"prefetch {fetch.buffer}[{{}}]{' later' if fetch.later else ''}"
    ),
    loops.Flag: lambda self, flag, indent: self.spell((flag.condition,), indent, f"flag {flag.buffer} if {{}}"),
    loops.Local: lambda self, local, indent: self.spell((local.initial,), indent, f"local {local.name} = {{}}"),
    loops.Assign: lambda self, assign, indent: self.spell((assign.value,), indent, f"{assign.name} = {{}}"),
    loops.Scratch: lambda self, scratch, indent: iter(
        (f"{indent}scratch {scratch.name}: {scratch.dtype.name}[{scratch.size}]",)
    ),
    loops.Barrier: lambda self, barrier, indent: iter((f"{indent}barrier",)),
    loops.Store: _Printer.store,
    loops.Transpose: _Printer.transpose,
    loops.If: _Printer.condition,
    loops.For: _Printer.loop,
    loops.Reduce: _Printer.reduce,
}


def _source(load: loops.Load) -> str:
    return f"{load.buffer}[{{}}]{f' as {load.dtype.name}' if load.dtype else ''}"


def _spell(node: s.Typed, names: dict[s.Typed, str]) -> str:
    if node in names:
        return names[node]
    if node.op == "var":
        return str(node.value)
    if node.op == "const":
        return repr(node.value) if node.dtype == loops.INDEX else f"{node.value!r}:{node.dtype.name}"
    args = [_spell(arg, names) for arg in node.args]
    if node.dtype == loops.INDEX and node.op in _INFIX:
        return f"({args[0]} {_INFIX[node.op]} {args[1]})"
    dtype = node.args[0].dtype if node.dtype == bool else node.dtype
    return f"{node.op}.{dtype.name}({', '.join(args)})"
