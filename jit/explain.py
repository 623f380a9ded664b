"""Explain: what became of a jitted function: graphs, kernels, memory, and what each kernel costs and could cost.

Times are measured on a private frame with copies of the state, so that nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorlite import errors
from tensorlite.errors import TraceError
from tensorlite.jit import report
from tensorlite.jit.anatomy import Specialisation
from tensorlite.jit.compiled import Compiled
from tensorlite.jit.key import key_of
from tensorlite.tensor import Tensor

if TYPE_CHECKING:
    from tensorlite.jit.function import Jitted


class Explanation:
    """What became of a jitted function, newest specialisation first: print it, or show it in a notebook.

    `kernels`, `edges`, `steps`, `passes` and `memory` are those of the newest; each kernel has `loops`, `llvm` and
    `assembly`. Nothing is measured before it is asked for.
    """

    def __init__(self, name: str, specialisations: Sequence[Specialisation], graphs: bool = False,
                 kernels: bool = False) -> None:
        self.name, self.specialisations = name, tuple(specialisations)
        self._graphs, self._kernels = graphs, kernels

    def __getattr__(self, name: str) -> Any:
        if name in ("graph", "passes", "kernels", "edges", "steps", "memory", "measured", "machine"):
            return getattr(self.specialisations[0], name)
        raise AttributeError(f"an explanation has no {name}")

    def __str__(self) -> str:
        return report.text(self, self._graphs, self._kernels)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return report.html(self)


def explain(jitted: Jitted, arguments: Sequence[Any] = (), graphs: bool = False, kernels: bool = False) -> Explanation:
    """The explanation of a jitted function; with ``arguments``, of what these run, measured with them."""
    found = known(jitted, "explain")
    if not arguments:
        return Explanation(repr(jitted), list(map(Specialisation, found)), graphs, kernels)
    tensors: list[Tensor] = []
    key_of(tuple(arguments), tensors, [])
    types = [x.type for x in tensors]
    for compiled in found:
        if types == [x.type for x in compiled.traced.graph.inputs[: compiled.arguments]]:
            given = Specialisation(compiled, [x.array for x in tensors])
            return Explanation(repr(jitted), [given], graphs, kernels)
    raise errors.complaint(TraceError, "explain", f"{jitted!r} has not been called with such arguments",
                           {f"argument {k}": x for k, x in enumerate(arguments, 1)}, "call it with them first")


def known(jitted: Jitted, asked: str) -> list[Compiled]:
    """The specialisations of a function, newest kind of arguments first; an error where there are none."""
    found = [compiled for variants in reversed(list(jitted.variants.values())) for compiled in variants]
    if not found and jitted.escaped:
        raise errors.complaint(TraceError, asked, f"{jitted!r} is compiled at its second call: the first one made "
                               "tensors that are kept", fix="call it once more")
    if not found:
        raise errors.complaint(TraceError, asked, f"{jitted!r} has not been called", fix="call it first")
    return found


def memory(jitted: Jitted) -> dict[str, int]:
    """The bytes of the specialisation that needs most."""
    return max((Specialisation(compiled).memory for compiled in known(jitted, "memory")),
               key=lambda found: found["arena"] + found["constants"] + found["results"])
