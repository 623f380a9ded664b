"""The loops that say which weights attention keeps, where they are wanted in memory: `kernels.attention.kept`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.attention import PER_BLOCK
from tensorlite.kernels.generated import philox_parts
from tensorlite.kernels.loops import Buffer, If, Let, Load, Parameter, Statement, Store, index

_U32, _U64 = np.dtype(np.uint32), np.dtype(np.uint64)
_LANES = 16  # blocks: two vectors of AVX-512 for each word (as `random_stages`)
_Var = s.Var


def kernel() -> loops.Kernel:
    """Return the loops: a task has a query, its blocks of keys are lanes, and the last may not be whole."""
    row, keys = _Var("row"), _Var("keys")
    names = ("rows", "queries", "keys", "dropped")
    buffers = Buffer("stream", _U32), Buffer("out", np.dtype(bool), writable=True)
    head: list[Statement] = [Let("matrix", index(row // _Var("queries"))), Let("number", index(row % _Var("queries")))]
    head += [Let("query", s.cast(_Var("number"), _U64)), Let("fewest", s.cast(_Var("dropped"), _U32))]
    for k in range(4):
        head += [Load(f"word{k}", "stream", _Var("matrix") * 4 + k), Let(f"drawn{k}", s.cast(_Var(f"word{k}"), _U64))]
    whole = loops.vector("lane", keys // PER_BLOCK, _LANES, *_block("whole", _Var("lane"), lambda inside, store: store))
    part = _block("part", keys // PER_BLOCK, lambda inside, store: If(inside, (store,)))
    rest = If(s.greater(keys % PER_BLOCK, 0), tuple(part))
    tasks = loops.parallel("row", _Var("rows"), *head, whole, rest)
    return loops.build("attention_kept", (*buffers, *map(Parameter, names)), (tasks,))


def _block(name: str, number: s.Expr, store: Callable[[s.Expr, Store], Statement]) -> list[Statement]:
    """Compute the bits of a block of keys, and ``store`` what they say of each that is inside the row."""
    block, count = _Var(f"{name}_block"), _Var(f"{name}_count")
    counter = count, _Var("query"), _Var("drawn2"), _Var("drawn3")
    mix, words = philox_parts.words(name, counter, (_Var("drawn0"), _Var("drawn1")))
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)]
    statements: list[Statement] = [Let(block.name, index(number)), Let(count.name, s.cast(block, _U64)), *mix]
    for k, half in enumerate(halves):
        place = block * PER_BLOCK + k
        kept = s.greater_equal(s.cast(half, _U32), _Var("fewest"))
        statements.append(store(s.less(place, _Var("keys")), Store("out", _Var("row") * _Var("keys") + place, kept)))
    return statements
