"""Random bits without Python: blocks of Philox4x32-10, a vector of them at a time, the generator's next state, and
numbers drawn by proposals that may be rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.cpu.row_stages import builder, contiguous
from tensorlite.kernels.generated import philox_parts
from tensorlite.kernels.irregular import drawing
from tensorlite.kernels.loops import Buffer, If, Let, Load, Parameter, Statement, Store, index
from tensorlite.kernels.philox import LOW
from tensorlite.kernels.stage import Array, Plan, Stage, pack

_U32, _U64 = np.dtype(np.uint32), np.dtype(np.uint64)
_LANES = 16  # two vectors of AVX-512 for each word: the multiplications of one wait for those of the other
_TASK = 1024  # blocks
_NANOSECONDS = 1.5  # of one thread for a block


def plan_random_bits(inputs: Sequence[Array], outputs: Sequence[Array], *, size: int) -> Plan | None:
    """``out[i]`` is word ``i % 4`` of block ``state[1] + i // 4`` of the stream ``state[0]``."""
    (state,) = inputs
    if not size:
        return Plan(())
    if state.strides != (1,):
        return None
    numbers = pack(size, size // 4, -(-size // (4 * _TASK)))
    return Plan((Stage("philox", _philox, (0,), (1, 1), numbers, size // 4 * _NANOSECONDS),))


def plan_advance(inputs: Sequence[Array], outputs: Sequence[Array], *, size: int) -> Plan | None:
    """``out`` is the state after a draw of ``size`` words."""
    (state,) = inputs
    return Plan((Stage("advance", _advance, (0,), (1,), pack(state.strides[0], -(-size // 4)), 1.0),))


def _rejecting(function: Callable[..., None], nanoseconds: float) -> Callable[..., Plan | None]:
    """The planning function of numbers drawn by proposals, in about that time of one thread."""

    def plan(inputs: Sequence[Array], outputs: Sequence[Array]) -> Plan | None:
        (out,) = outputs
        if not out.size:
            return Plan(())
        found = contiguous(inputs, len(inputs) + 1)
        if found is None or out.dtype.name not in ("float32", "float64") or not out.is_contiguous:
            return None
        copies, reads, room = found
        least = (float(np.finfo(out.dtype).tiny),) if function is drawing.draw_gamma else ()
        types = ("uint64", *(out.dtype.name,) * len(inputs))
        stage = Stage(f"{function.__name__} {out.dtype.name}", builder(function, *types, numbers=1, floats=len(least)),
                      reads, (len(inputs),), pack(out.size, *least), out.size * nanoseconds)  # fmt: skip
        return Plan((*copies, stage), room)

    return plan


PLANS: dict[str, Callable[..., Plan | None]] = {
    "random_bits": plan_random_bits,
    "advance": plan_advance,
    "standard_gamma": _rejecting(drawing.draw_gamma, 40.0),
    "poisson": _rejecting(drawing.draw_poisson, 30.0),
    "binomial": _rejecting(drawing.draw_binomial, 40.0),
    "von_mises": _rejecting(drawing.draw_von_mises, 40.0),
}


def _advance() -> loops.Kernel:
    """``out = state + [0, blocks]``."""
    task = s.Var("task")
    parameters = (Buffer("state", _U64), Buffer("out", _U64, writable=True), Parameter("stride"), Parameter("blocks"))
    moved = Let("moved", index(task * s.Var("blocks")))
    body = (Load("word", "state", task * s.Var("stride")), moved)
    store = Store("out", task, s.Var("word") + s.cast(s.Var("moved"), _U64))
    return loops.build("advance", parameters, (loops.parallel("task", 2, *body, store),))


def _philox() -> loops.Kernel:
    """Tasks of whole blocks, the last of which also has the words of a block that is not whole."""
    task, first, lane = s.Var("task"), s.Var("first"), s.Var("lane")
    numbers = ("size", "blocks", "tasks")
    # the same memory twice: two words are stored at once
    outs = (Buffer("pairs", _U64, writable=True, exclusive=False), Buffer("out", _U32, writable=True, exclusive=False))
    parameters: tuple[Buffer | Parameter, ...] = (Buffer("state", _U64), *outs, *map(Parameter, numbers))
    here = s.minimum(_TASK, s.Var("blocks") - first)
    whole = loops.vector("lane", s.Var("here"), _LANES, *_block("whole", first + lane))
    part = If(s.logical_and(s.equal(task, s.Var("tasks") - 1), s.less(s.Var("blocks") * 4, s.Var("size"))),
              _block("part", first + s.Var("here"), s.Var("size")))  # fmt: skip
    head = (Load("seed", "state", 0), Load("offset", "state", 1), Let("first", index(task * _TASK)))
    loop = loops.parallel("task", s.Var("tasks"), *head, Let("here", index(here)), whole, part)
    return loops.build("philox", parameters, (loop,))


def _block(name: str, number: s.Expr, size: s.Expr | None = None) -> tuple[Statement, ...]:
    """Compute the block of that number and store its words, those before ``size`` if it is given."""
    place, count, seed = s.Var(f"{name}_place"), s.Var(f"{name}_count"), s.Var("seed")
    counter = (count & LOW, count >> 32, count & 0, count & 0)
    mix, words = philox_parts.words(name, counter, (seed & LOW, seed >> 32))
    head: list[Statement] = [Let(place.name, index(number)), Let(count.name, s.Var("offset") + s.cast(place, _U64))]
    if size is None:
        pairs = (words[0] | words[1] << 32, words[2] | words[3] << 32)
        kept: list[Statement] = [Store("pairs", place * 2 + k, pair) for k, pair in enumerate(pairs)]
    else:
        kept = [If(s.less(place * 4 + k, size), (Store("out", place * 4 + k, s.cast(word, _U32)),))
                for k, word in enumerate(words)]  # fmt: skip
    return (*head, *mix, *kept)
