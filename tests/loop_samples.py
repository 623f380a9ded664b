"""Small kernels that use every statement, with arguments: what interpreter and emitter must agree about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import (
    Assign,
    Barrier,
    Buffer,
    Flag,
    If,
    Let,
    Load,
    Local,
    Parameter,
    Prefetch,
    Reduce,
    Scratch,
    Store,
    Transpose,
    parallel,
    serial,
    unroll,
    vector,
)

F32, F64, I32, I64, U8 = (np.dtype(name) for name in ("float32", "float64", "int32", "int64", "uint8"))
U16, U32 = np.dtype("uint16"), np.dtype("uint32")
V = s.Var
N, I, C, R = map(V, ("n", "i", "c", "r"))
Sample = tuple[loops.Kernel, dict[str, Any]]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def chunked(n: s.Expr, chunk: int, *body: loops.Statement) -> loops.For:
    """A parallel loop over chunks; the body knows start and count."""
    head = (Let("start", loops.index(C * chunk)), Let("count", loops.index(s.minimum(n - V("start"), chunk))))
    return parallel("c", (n + (chunk - 1)) // chunk, *head, *body)


def elementwise(size: int) -> Sample:
    at = V("start") + I
    body = vector("i", V("count"), 16, Load("x", "a", at), Store("out", at, V("x") * V("x") - 1.5))
    kernel = loops.build(
        "square", (Buffer("a", F32), Buffer("out", F32, True), Parameter("n")), (chunked(N, 64, body),)
    )
    return kernel, {"a": rng().normal(size=size).astype(F32), "out": np.zeros(size, F32), "n": size}


def in_place(size: int) -> Sample:
    """The result is the operand itself."""
    at = V("start") + I
    body = vector("i", V("count"), 8, Load("x", "out", at), Store("out", at, V("x") + 1))
    kernel = loops.build("bump", (Buffer("out", I64, True, False), Parameter("n")), (chunked(N, 32, body),))
    return kernel, {"out": np.arange(size), "n": size}


def strided(size: int) -> Sample:
    """Loads and stores with steps known only at run time, one of them negative."""
    body = vector("i", N, 8, Load("x", "a", I * V("p")), Store("out", I * V("q"), V("x")))
    parameters = (Buffer("a", U8), Buffer("out", U8, True), Parameter("n"), Parameter("p"), Parameter("q"))
    kernel = loops.build("strided", parameters, (parallel("c", 1, body),))
    a = rng().integers(0, 255, 3 * size + 1).astype(U8)
    return kernel, {"a": (a, 3 * size), "out": np.zeros(2 * size + 1, U8), "n": size, "p": -3, "q": 2}


def many_strided(size: int) -> Sample:
    """More lanes than are taken one by one."""
    body = vector("i", N, 64, Load("x", "a", I * V("p")), Store("out", I * V("p"), V("x") * 2))
    parameters = (Buffer("a", F32), Buffer("out", F32, True), Parameter("n"), Parameter("p"))
    kernel = loops.build("many_strided", parameters, (parallel("c", 1, body),))
    return kernel, {"a": rng().normal(size=5 * size).astype(F32), "out": np.zeros(5 * size, F32), "n": size, "p": 5}


def stepped(size: int) -> Sample:
    """Loads with small steps known beforehand, up to the last element that there is; from scratch memory too."""
    own = vector("j", V("here"), 16, Load("own", "a", (V("start") + V("j")) * 3), Store("held", V("j"), V("own")))
    at = V("start") + I
    loads = [Load(f"x{k}", "a", at * k + (3 - k) * (N - 1)) for k in (1, 2, 3)]
    total = V("x1") + V("x2") * 2 + V("x3") * 4
    half = vector("h", (V("here") + 1) // 2, 16, Load("y", "held", V("h") * 2), Load("z", "b", V("h") * 4),
                  Store("pairs", V("start") + V("h"), V("y") - s.cast(V("z"), F32)))  # fmt: skip
    here = Let("here", loops.index(s.minimum(N - V("start"), 40)))
    body = (Let("start", loops.index(C * 40)), here, Scratch("held", F32, 40), own,
            vector("i", V("here"), 16, *loads, Store("out", at, total)), half)  # fmt: skip
    parameters = (Buffer("a", F32), Buffer("b", U8), Buffer("out", F32, True), Buffer("pairs", F32, True))
    kernel = loops.build("stepped", (*parameters, Parameter("n")), (parallel("c", (N + 39) // 40, *body),))
    a = rng().normal(0, 3, max(0, 3 * size - 2)).astype(F32)
    b = rng().integers(0, 99, 77).astype(U8)
    return kernel, {"a": a, "b": b, "out": np.zeros(size, F32), "pairs": np.zeros(size, F32), "n": size}


def overlapping(size: int) -> Sample:
    """Numbers that begin inside their neighbours, up to the last element that there is."""
    at = V("start") + I
    loads = [Load(f"x{k}", "a", at * k + (3 - k) * (N - 1), I32) for k in (1, 2, 3)]
    total = V("x1") ^ V("x2") ^ V("x3") ^ s.cast(V("y"), I32)
    both = [Load("y", "b", at, U32), Store("out", at, total)]
    parameters = (Buffer("a", U8), Buffer("b", U16), Buffer("out", I32, True), Parameter("n"))
    kernel = loops.build("overlapping", parameters, (chunked(N, 40, vector("i", V("count"), 16, *loads, *both)),))
    a = rng().integers(0, 255, max(0, 3 * size - 3) + 4).astype(U8)
    return kernel, {"a": a, "b": rng().integers(0, 65535, size + 1).astype(U16), "out": np.zeros(size, I32), "n": size}


def stored_apart(size: int) -> Sample:
    """Stores with small steps known beforehand: what lies between the elements stays as it is, and what is beyond."""
    at = V("start") + I
    body = vector("i", V("count"), 16, Load("x", "a", at), Store("second", at * 2, V("x")),
                  Store("third", at * 3 + 1, s.cast(V("x") * 2, U8)))  # fmt: skip
    parameters = (Buffer("a", F32), Buffer("second", F32, True), Buffer("third", U8, True), Parameter("n"))
    kernel = loops.build("stored_apart", parameters, (chunked(N, 40, body),))
    a = rng().integers(0, 99, size).astype(F32)
    between = {"second": np.full(max(0, 2 * size - 1), 7, F32), "third": np.full(3 * size, 7, U8)}
    return kernel, {"a": a, **between, "n": size}


def flagged(size: int) -> Sample:
    """A flag that lanes raise, one that a thread raises, and one that only lanes beyond the end would."""
    lanes = vector("i", V("count"), 16, Load("x", "a", V("start") + I), Flag("some", V("x") > 250),
                   Flag("none", V("start") + I >= N))  # fmt: skip
    flags = [Buffer(name, I64, True) for name in ("some", "one", "none")]
    kernel = loops.build("flagged", (Buffer("a", U8), *flags, Parameter("n")),
                         (chunked(N, 48, lanes, Flag("one", V("start") + V("count") > 130)),))  # fmt: skip
    one = {buffer.name: np.zeros(1, I64) for buffer in flags}
    return kernel, {"a": rng().integers(0, 255, size).astype(U8), **one, "n": size}


def gather(size: int) -> Sample:
    """Indices that are loaded: a row for each, a uniform load beside it, and a scatter to where they point."""
    place = V("k") * 3 + 1
    body = vector("i", N, 16, Load("k", "which", I), Load("x", "a", place), Load("y", "a", 0),
                  Store("out", V("k"), V("x") + V("y")))  # fmt: skip
    parameters = (Buffer("which", I64), Buffer("a", F32), Buffer("out", F32, True), Parameter("n"))
    kernel = loops.build("gather", parameters, (parallel("c", 1, body),))
    which = rng().permutation(size)
    return kernel, {
        "which": which,
        "a": rng().normal(size=3 * size + 2).astype(F32),
        "out": np.zeros(size, F32),
        "n": size,
    }


def sums(size: int) -> Sample:
    """Sums of chunks, then of these, after a barrier."""

    def total(name: str) -> tuple[s.Expr]:
        return (V(name) + V(f"{name}_right"),)

    first = (
        Local("t", loops.constant(0.0, F64)),
        Reduce(("t",), (0.0,), total("t"), 16, (
            vector("i", V("count"), 16, Load("x", "a", V("start") + I), Assign("t", V("t") + s.cast(V("x"), F64))),
        )),
        Store("part", C, V("t")),
    )  # fmt: skip
    second = parallel(
        "one",
        1,
        Local("u", loops.constant(0.0, F64)),
        Reduce(("u",), (0.0,), total("u"), 4, (
            vector("j", V("chunks"), 4, Load("p", "part", V("j")), Assign("u", V("u") + V("p"))),
        )),
        Store("out", V("one"), s.cast(V("u"), F32)),
    )  # fmt: skip
    parameters = (Buffer("a", F32), Buffer("part", F64, True), Buffer("out", F32, True), Parameter("n"))
    body = (Let("chunks", loops.index((N + 31) // 32)), chunked(N, 32, *first), Barrier(), second)
    kernel = loops.build("sums", parameters, body)
    a = rng().normal(size=size).astype(F32)
    return kernel, {"a": a, "part": np.zeros(-(-size // 32), F64), "out": np.zeros(1, F32), "n": size}


def extremes(size: int) -> Sample:
    """Two locals reduced together over rows, lanes kept through the serial loop; an index where it was found."""
    better = V("x") > V("best")
    take = s.logical_or(
        V("best_right") > V("best"), s.logical_and(s.equal(V("best_right"), V("best")), V("at_right") < V("at"))
    )
    reduce = Reduce(
        ("best", "at"),
        (-np.inf, 2**31 - 1),
        (s.where(take, V("best_right"), V("best")), s.where(take, V("at_right"), V("at"))),
        8,
        (
            serial("r", 3, vector("i", N, 8, Load("x", "a", R * N + I),
                   Let("place", s.cast(R * N + I, I32)),
                   Let("next_at", s.where(better, V("place"), V("at"))),
                   Assign("best", s.where(better, V("x"), V("best"))), Assign("at", V("next_at")))),
        ),
    )  # fmt: skip
    body = (Local("best", loops.constant(-np.inf, F32)), Local("at", loops.constant(2**31 - 1, I32)), reduce,
            Store("out", V("one"), V("at")))  # fmt: skip
    kernel = loops.build(
        "extremes", (Buffer("a", F32), Buffer("out", I32, True), Parameter("n")), (parallel("one", 1, *body),)
    )
    return kernel, {"a": rng().integers(0, 9, 3 * size).astype(F32), "out": np.zeros(1, I32), "n": size}


def columns(size: int) -> Sample:
    """A local of each lane through a serial loop within the vector loop, and a branch that all lanes share."""
    body = vector(
        "i",
        N,
        8,
        Local("t", loops.constant(0.0, F32)),
        serial("r", V("rows"), Load("x", "a", R * N + I),
               If(R > 1, (Assign("t", V("t") + V("x")),)),
               If(R <= 1, (Assign("t", V("t") - V("x")),))),
        Store("out", I, V("t") * s.cast(V("eps"), F32)),
    )  # fmt: skip
    parameters = (Buffer("a", F32), Buffer("out", F32, True), Parameter("n"), Parameter("rows"), Parameter("eps", F64))
    kernel = loops.build("columns", parameters, (parallel("c", 1, body),))
    return kernel, {
        "a": rng().normal(size=5 * size).astype(F32),
        "out": np.zeros(size, F32),
        "n": size,
        "rows": 5,
        "eps": 0.1,
    }


def unrolled(size: int) -> Sample:
    """Scratch memory, an unrolled loop, a bool in memory, and a local carried by serial loops."""
    body = (
        Scratch("lanes", F32, 4),
        Scratch("seen", np.dtype(bool), 4),
        Local("t", loops.constant(0.0, F32)),
        unroll("u", 4, Store("lanes", V("u"), s.cast(V("u") * C, F32)), Store("seen", V("u"), V("u") > C)),
        serial("k", 4, Load("y", "lanes", V("k")), Load("f", "seen", V("k")),
               serial("l", V("k"), Assign("t", V("t") + s.where(V("f"), V("y"), 0.5)))),
        Store("out", C, V("t")),
    )  # fmt: skip
    kernel = loops.build("unrolled", (Buffer("out", F32, True), Parameter("n")), (parallel("c", N, *body),))
    return kernel, {"out": np.zeros(size, F32), "n": size}


def bools(size: int) -> Sample:
    """Bools are bytes in memory; a lane's number is a value too."""
    body = vector("i", N, 16, Load("f", "a", I), Load("g", "b", I),
                  Store("out", I, s.logical_xor(s.logical_and(V("f"), V("g")), I > 3)))  # fmt: skip
    parameters = (
        Buffer("a", np.dtype(bool)),
        Buffer("b", np.dtype(bool)),
        Buffer("out", np.dtype(bool), True),
        Parameter("n"),
    )
    kernel = loops.build("bools", parameters, (parallel("c", 1, body),))
    a, b = rng().integers(0, 2, (2, size)).astype(bool)
    return kernel, {"a": a, "b": b, "out": np.zeros(size, bool), "n": size}


def squares(size: int) -> Sample:
    """Squares of a matrix through scratch memory, transposed; a vector loop of as many iterations as lanes; a hint."""
    turn = Transpose("square", V("half") * 8, 16, "a", C * 64 + V("half") * (8 * N), N, 8)
    move = vector("i", 16, 16, Load("x", "square", V("k") * 16 + I), Store("out", C * 128 + V("k") * 16 + I, V("x")))
    body = (Scratch("square", F32, 128), serial("half", 2, turn), Prefetch("out", N + C), serial("k", 8, move))
    kernel = loops.build("squares", (Buffer("a", F32), Buffer("out", F32, True), Parameter("n"), Parameter("count")),
                         (parallel("c", V("count"), *body),))  # fmt: skip
    a = rng().normal(0, 3, 16 * (size + 8) + size * 64).astype(F32)
    return kernel, {"a": a, "out": np.zeros(128 * size, F32), "n": size, "count": size}


def apart(size: int) -> Sample:
    """Loops that are functions: of parameters, of locals as they are, of scratch memory, one within the other."""
    at = V("k") * 8 + I
    total = (Local("total", V("weight") * 0), serial("j", V("k") + 1, Assign("total", V("total") + V("twice"))))
    add = vector("i", 8, 8, Load("x", "a", at), Store("z", at, V("x") + V("total")))
    once = serial("once", 1, Load("y", "z", V("k")), Store("z", V("k"), -V("y")), apart=True)
    fill = serial("k", N, *total, add, once, apart=True)
    move = vector("m", N * 8, 8, Load("v", "z", V("m")), Store("out", C * 8 * N + V("m"), V("v")))
    body = (Scratch("z", F32, 8 * max(size, 1)), Local("twice", V("weight") * 2), fill, move)
    buffers = (Buffer("a", F32, exclusive=False), Buffer("out", F32, True, exclusive=False))
    numbers = (Parameter("n"), Parameter("count"), Parameter("weight", F32))
    kernel = loops.build("apart", (*buffers, *numbers), (parallel("c", V("count"), *body),))
    a = rng().normal(size=8 * size).astype(F32)
    return kernel, {"a": a, "out": np.zeros(16 * size, F32), "n": size, "count": 2, "weight": 1.25}


SAMPLES: dict[str, Callable[[int], Sample]] = {
    sample.__name__: sample
    for sample in (
        elementwise, in_place, strided, many_strided, stepped, overlapping, stored_apart, flagged,
        gather, sums, extremes, columns, unrolled, bools, squares, apart,
    )
}  # fmt: skip
