"""A function body under construction: fresh names, blocks, and the intrinsics that it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Bounds: TypeAlias = tuple[str, str, str]
Carried: TypeAlias = list[tuple[str, str]]
"""Type and first value of each value that a loop carries."""


class Assembler:
    """Collects the lines of one function and the declarations that they need."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.slots: list[str] = []
        self.declarations: set[str] = set()
        self.current = "entry"
        self._count = 0

    def fresh(self, stem: str) -> str:
        """Return a name that was not used yet."""
        self._count += 1
        return f"{stem}.{self._count}"

    def let(self, instruction: str) -> str:
        """Append an instruction and return the name of its result."""
        name = f"%{self.fresh('v')}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def do(self, instruction: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def call(self, function: str, result: str, *operands: tuple[str, str]) -> str:
        """Append a call with (type, name) operands; return the name of its result, if it has one."""
        self.declarations.add(f"declare {result} @{function}({', '.join(type_ for type_, _ in operands)})")
        instruction = f"call {result} @{function}({', '.join(map(' '.join, operands))})"
        if result != "void":
            return self.let(instruction)
        self.do(instruction)
        return ""

    def slot(self, type_: str) -> str:
        """Reserve memory on the stack, once for the whole call, and return its address."""
        name = f"%{self.fresh('slot')}"
        self.slots.append(f"  {name} = alloca {type_}, align 64")
        return name

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")
        self.current = name

    def jump(self, label: str) -> None:
        """End a block by going to ``label``."""
        self.do(f"br label %{label}")

    def loop(self, bounds: Bounds, carried: Carried, body: Callable[[str, list[str]], list[str]]) -> list[str]:
        """Append a loop whose index goes by ``bounds`` (start, end, step); return what the carried values end as.

        ``body`` is called once, with the names of the index and of the carried values; it returns the values to go on
        with.
        """
        head, inside, latch, after = (self.fresh(stem) for stem in ("head", "body", "latch", "after"))
        (start, end, step), before = bounds, self.current
        index, following = f"%{self.fresh('i')}", f"%{self.fresh('i')}"
        self.jump(head)
        self.label(head)
        self.do(f"{index} = phi i64 [{start}, %{before}], [{following}, %{latch}]")
        names = [f"%{self.fresh('c')}" for _ in carried]
        phis = len(self.lines)
        more = self.let(f"icmp slt i64 {index}, {end}")
        self.do(f"br i1 {more}, label %{inside}, label %{after}")
        self.label(inside)
        results = body(index, names)
        self.jump(latch)
        self.label(latch)
        self.do(f"{following} = add nsw i64 {index}, {step}")
        self.jump(head)
        self.label(after)
        self.lines[phis:phis] = [
            f"  {name} = phi {type_} [{first}, %{before}], [{result}, %{latch}]"
            for name, (type_, first), result in zip(names, carried, results, strict=True)
        ]
        return names

    def when(self, condition: str, carried: Carried, body: Callable[[], list[str]]) -> list[str]:
        """Append ``body`` under a condition, an i1; return what the carried values end as."""
        inside, after, before = self.fresh("then"), self.fresh("after"), self.current
        self.do(f"br i1 {condition}, label %{inside}, label %{after}")
        self.label(inside)
        results = body()
        end = self.current
        self.jump(after)
        self.label(after)
        return [
            self.let(f"phi {type_} [{first}, %{before}], [{result}, %{end}]")
            for (type_, first), result in zip(carried, results, strict=True)
        ]

    def text(self) -> str:
        """Return the body, from the entry block to the return."""
        return "\n".join(("entry:", *self.slots, *self.lines, "  ret void"))
