"""Reports: an explanation as text of aligned columns, and as HTML that folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from textwrap import indent, wrap
from typing import TYPE_CHECKING

from tensorlite.jit.graph import graph_text

if TYPE_CHECKING:
    from tensorlite.jit.anatomy import Kernel, Specialisation
    from tensorlite.jit.explain import Explanation

_MOST_LINES = 24  # of the table, before small kernels are counted together
_WIDEST = {"kernel": 34, "result": 30, "line": 30}


def text(explanation: Explanation, graphs: bool, kernels: bool) -> str:
    """The whole report; with ``graphs`` the graph after each pass, with ``kernels`` every kernel and its loops."""
    count = len(explanation.specialisations)
    parts = [f"{explanation.name}: {_count(count, 'specialisation')}"]
    for each in explanation.specialisations:
        parts += ["", each.signature, *summary(each), *([""] if each.steps else []), *table(each)]
        if graphs:
            parts += ["", *_graphs(each)]
        if kernels:
            parts += ["", *_kernels(each)]
    return "\n".join(parts)


def summary(of: Specialisation) -> Iterator[str]:
    """What there is and what it costs, a line for each."""
    kernels, edges, memory = of.kernels, of.edges, of.memory
    distinct = len({k.stage for k in kernels})
    native = len({k.segment for k in kernels})
    rows = [("program", f"{_count(len(kernels), 'kernel')} ({distinct} distinct) in {_count(of.phases, 'phase')}, "
                        f"{_count(native, 'native call')}, {_count(of.threads, 'thread')}; "
                        f"{_count(len(edges), 'Python edge')}")]
    if any(k.note for k in kernels):
        rows.append(("choices", _choices(kernels)))
    if any(k.last for k in kernels):
        rows.append(("layout", f"{sum(k.last for k in kernels)} of {_count(len(kernels), 'kernel')} write images whose "
                               "channels come last in memory"))
    if of.prepared[0]:
        rows.append(("prepared", f"{_count(of.prepared[0], 'kernel')}, {size(of.prepared[1])}: run when the state that "
                                 "they read changes"))
    rows += [("edge", f"{k.name} -> {_results(k)}  {_line(k)}{_spent(k)}") for k in edges]
    rows += [("time", _time(of)), ("memory", _memory(memory)), ("in place", _in_place(of)), ("passes", _passes(of))]
    if not of.measured.reason:
        machine = of.machine
        rows.append(("machine", f"copies {machine.bandwidth / 1e9:.1f} GB/s in memory, {machine.cached / 1e9:.0f} GB/s "
                     f"up to {size(machine.cache)}; " + ", ".join(
            f"{peak / 1e9:.0f} GFLOP/s in {name}" for name, peak in machine.peak.items())))
    for name, what in rows:
        yield from wrap(what, 120, initial_indent=f"  {name:<10}", subsequent_indent=" " * 12)


def _choices(kernels: Sequence[Kernel]) -> str:
    """How often an algorithm was chosen, and what spoke for it."""
    chosen = [kernel for kernel in kernels if kernel.note]
    forms = ", ".join(f"{n} {form}" for form, n in Counter(k.form for k in chosen).items())
    ways = ", ".join(f"{n} {way}" for way, n in Counter(k.note.partition(":")[0] for k in chosen).items())
    return f"{forms}; {ways}: explain(kernels=True) says why"


def _time(of: Specialisation) -> str:
    measured = of.measured
    if measured.reason:
        return f"not measured: {measured.reason}"
    native = sum(k.seconds or 0 for k in of.kernels)
    edges = sum(k.seconds or 0 for k in of.edges)
    flops, moved = sum(k.flops for k in of.steps), sum(k.bytes for k in of.steps)
    shares = [("kernels", native), ("edges", edges), ("barriers and calls", measured.call - native - edges)]
    return (f"{duration(measured.call)} a call, the fastest of {measured.runs}: "
            + ", ".join(f"{name} {share / measured.call:.0%}" for name, share in shares)
            + f"; {si(flops)}FLOP at {si(flops / measured.call)}FLOP/s, {size(moved)} at "
              f"{moved / measured.call / 1e9:.1f} GB/s")


def _memory(memory: dict[str, int]) -> str:
    ratio = memory["arena"] / memory["bound"] if memory["bound"] else 1
    rest = ", ".join(f"{name} {size(memory[name])}" for name in ("constants", "state", "results"))
    return f"arena {size(memory['arena'])}, {ratio:.2f}x the bound of {size(memory['bound'])} by liveness; {rest}"


def _in_place(of: Specialisation) -> str:
    inside, outside = of.in_place
    if not inside and not outside:
        return "no state changes"
    apart = f"; not {', '.join(_counted(outside))}" if outside else ""
    shown = _counted(inside)
    more = f", {len(shown) - 4} more types" if len(shown) > 4 else ""
    return (f"{len(inside)} of {_count(len(inside) + len(outside), 'tensor')} of state"
            + (f": {', '.join(shown[:4])}{more}" if shown else "") + apart)


def _counted(names: Sequence[str]) -> list[str]:
    counts = {name: names.count(name) for name in names}
    return [name if n == 1 else f"{n} {name}" for name, n in counts.items()]


def _passes(of: Specialisation) -> str:
    counts = [f"traced {len(of.graph.equations)}"]
    counts += [f"{p.name} {len(p.graph.equations)}" for p in of.passes if p.changed]
    return f"equations {', '.join(counts)}; {duration(sum(p.seconds for p in of.passes))}"


# --- the table ----------------------------------------------------------------------------------------------------

_COLUMNS = (("#", ">"), ("n", ">"), ("kernel", "<"), ("form", "<"), ("result", "<"), ("us", ">"), ("%", ">"),
            ("GB/s", ">"), ("GFLOP/s", ">"), ("roof %", ">"), ("line", "<"))


def table(of: Specialisation) -> list[str]:
    """Kernels and edges, those that take longest first; a line for all that are equal."""
    groups: dict[object, list[Kernel]] = {}
    for kernel in of.steps:
        groups.setdefault(kernel.key, []).append(kernel)
    ordered = list(groups.values())
    if of.measured.seconds:
        ordered.sort(key=lambda group: -_seconds(group))
    rows = [_row(of, group) for group in ordered[:_MOST_LINES]]
    rest = [kernel for group in ordered[_MOST_LINES:] for kernel in group]
    lines = _aligned(rows) if rows else []
    if rest:
        share = f", {_seconds(rest) / of.measured.call:.1%} of the time" if of.measured.seconds else ""
        lines.append(f"  and {len(rest)} more{share}: explain(kernels=True) shows all")
    return lines


def _row(of: Specialisation, group: Sequence[Kernel]) -> tuple[str, ...]:
    first, seconds = group[0], _seconds(group)
    return (str(first.number), str(len(group)), first.name, first.form, _results(first), *_rates(of, group, seconds),
            _line(first))


def _rates(of: Specialisation, group: Sequence[Kernel], seconds: float) -> tuple[str, ...]:
    if not of.measured.seconds or seconds <= 0:
        return ("",) * 5
    flops, moved, bound = sum(k.flops for k in group), sum(k.bytes for k in group), sum(k.roofline for k in group)
    shown = f"{seconds * 1e6:.1f}", f"{seconds / of.measured.call * 100:.1f}"
    if any(k.times is None for k in group):
        return (*shown, "", "", "")
    return (*shown, f"{moved / seconds / 1e9:.1f}", f"{flops / seconds / 1e9:.1f}", f"{bound / seconds * 100:.0f}")


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    heads = [head for head, _ in _COLUMNS]
    cells = [[_cut(cell, _WIDEST.get(head, 99)) for head, cell in zip(heads, row, strict=True)] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    sides = [side for _, side in _COLUMNS]
    return ["  " + "  ".join(map("{:{}{}}".format, row, sides, widths)).rstrip() for row in [heads, *cells]]


def _seconds(group: Sequence[Kernel]) -> float:
    return sum(k.seconds or 0.0 for k in group)


def _results(kernel: Kernel) -> str:
    more = len(kernel.results) - 1
    return kernel.results[0] + (f" +{more}" if more else "")


def _line(kernel: Kernel) -> str:
    more = len(kernel.lines) - 1
    return kernel.lines[0] + (f" +{more}" if more else "") if kernel.lines else ""


def _spent(kernel: Kernel) -> str:
    if not kernel.seconds:
        return ""
    return f"  {duration(kernel.seconds)}, {kernel.seconds / kernel.owner.measured.call:.1%}"


# --- the long forms -----------------------------------------------------------------------------------------------


def _graphs(of: Specialisation) -> Iterator[str]:
    yield from ("as traced", graph_text(of.graph))
    for each in of.passes:
        yield f"after {each.name}, {duration(each.seconds)}" + ("" if each.changed else ": as before")
        if each.changed:
            yield graph_text(each.graph)


def _kernels(of: Specialisation) -> Iterator[str]:
    shown: dict[str, int] = {}
    for kernel in of.steps:
        yield detail(kernel)
        if kernel.is_edge:
            continue
        first = shown.setdefault(kernel.stage, kernel.number)
        yield kernel.loops if first == kernel.number else f"  loops as {first}\n"


def detail(kernel: Kernel) -> str:
    """A kernel's place, costs and equation."""
    who = "Python" if kernel.is_edge else "one thread" if kernel.threads else "all threads"
    often = "" if kernel.times == 1 else f", {'while' if kernel.times is None else f'{kernel.times} times'}"
    costs = f"{size(kernel.bytes)}, {si(kernel.flops)}FLOP"
    if kernel.seconds:
        costs += f", {duration(kernel.seconds)}"
        if kernel.times is not None:
            costs += f", {kernel.roofline / kernel.seconds:.0%} of the roofline"
    lines = "".join(f"\n  at {line}" for line in kernel.lines)
    note = f"\n  {kernel.note}" if kernel.note else ""
    return (f"{kernel!r} phase {kernel.phase}, {who}{often}: {costs}{lines}{note}\n"
            + indent(kernel.equation, "  ").rstrip())


# --- HTML ---------------------------------------------------------------------------------------------------------


def html(explanation: Explanation) -> str:
    """The report for a notebook: summary and table, and folded the graph after each pass and every kernel."""
    parts = [f"<b>{escape(explanation.name)}</b>"]
    for number, each in enumerate(explanation.specialisations):
        inside = [_pre("\n".join((*summary(each), "", *table(each)))),
                  _folded("graph as traced", _pre(graph_text(each.graph)))]
        inside += [_folded(f"after {p.name}: {_count(len(p.graph.equations), 'equation')}", _pre(graph_text(p.graph)))
                   for p in each.passes if p.changed]
        inside.append(_folded("kernels", "".join(_folded(_title(k), _pre(f"{detail(k)}\n{k.loops}"))
                                                 for k in _different(each.steps))))
        parts.append(_folded(each.signature, "".join(inside), opened=number == 0))
    return "".join(parts)


def _title(kernel: Kernel) -> str:
    return f"{kernel.number} {kernel.name} {_results(kernel)}"


def _different(kernels: Sequence[Kernel]) -> list[Kernel]:
    return list({kernel.key: kernel for kernel in reversed(kernels)}.values())[::-1]


def _folded(title: str, inside: str, opened: bool = False) -> str:
    return f"<details{' open' if opened else ''}><summary><code>{escape(title)}</code></summary>{inside}</details>"


def _pre(content: str) -> str:
    return f'<pre style="line-height: 1.2; overflow-x: auto; white-space: pre">{escape(content)}</pre>'


# --- numbers ------------------------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """A time with three digits and its unit.

    >>> duration(0.00123), duration(2.5), duration(4e-6)
    ('1.23 ms', '2.5 s', '4 us')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def size(count: float) -> str:
    """Bytes with their unit.

    >>> size(512), size(265344), size(2.1e9)
    ('512 B', '265 kB', '2.1 GB')
    """
    return f"{si(count)}B"


def si(number: float) -> str:
    """A number with three digits and the prefix of its thousands, ready for a unit.

    >>> si(7), si(1536), si(2.5e9)
    ('7 ', '1.54 k', '2.5 G')
    """
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.{3 if number < 999.5 * scale else 4}g} {prefix}"
    return f"{number:.3g} "


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"
