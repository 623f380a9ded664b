"""The text of kernels, word for word: it is read by people, and it is a key for caches."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loop_text import expression, text

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
x, n, i, start, total = map(s.Var, ("x", "n", "i", "start", "total"))


def scaled(name: str = "scaled") -> loops.Kernel:
    shared = x * x
    return loops.build(
        name,
        (
            loops.Buffer("a", F32),
            loops.Buffer("out", F32, True, False, 64),
            loops.Parameter("n"),
            loops.Parameter("eps", F64),
        ),
        (
            loops.parallel(
                "task",
                (n + 63) // 64,
                loops.Let("start", loops.index(s.Var("task") * 64)),
                loops.vector(
                    "i",
                    s.minimum(n - start, 64),
                    16,
                    loops.Load("x", "a", start + i),
                    loops.Store("out", start + i, shared / (shared + s.cast(s.Var("eps"), F32)), streaming=True),
                ),
            ),
        ),
    )


SCALED = """\
kernel scaled(a: float32[], out: float32[] writable shared aligned 64, n: int64, eps: float64)
  parallel task < ((n + 63) / 64):
    let start = (task * 64)
    vector[16] i < min.int64((n - start), 64):
      load x = a[(start + i)]
      t0 = mul.float32(x, x)
      stream out[(start + i)] = div.float32(t0, add.float32(t0, convert.float32(eps)))
"""


def everything() -> loops.Kernel:
    body = (
        loops.Scratch("lanes", F32, 8),
        loops.Local("total", loops.constant(0.0, F64)),
        loops.Reduce(
            ("total",),
            (0.0,),
            (total + s.Var("total_right"),),
            8,
            (
                loops.vector(
                    "i",
                    n,
                    8,
                    loops.Load("x", "a", i),
                    loops.Assign("total", total + s.cast(x, F64)),
                ),
            ),
        ),
        loops.Transpose("lanes", 0, 2, "a", s.Var("one"), n, 2),
        loops.unroll("u", 2, loops.Store("lanes", s.Var("u"), s.cast(total, F32))),
        loops.serial(
            "k", 2, loops.Load("y", "lanes", s.Var("k")), loops.Store("b", s.Var("one") * 2 + s.Var("k"), s.Var("y"))
        ),
    )
    return loops.build(
        "everything",
        (loops.Buffer("a", F32), loops.Buffer("b", F32, True), loops.Parameter("n")),
        (
            loops.parallel("one", 1, *body),
            loops.Barrier(),
            loops.parallel("p", 1, loops.If(n > 3, (loops.Store("b", s.Var("p"), loops.constant(-1, F32)),))),
        ),
    )


EVERYTHING = """\
kernel everything(a: float32[], b: float32[] writable, n: int64)
  parallel one < 1:
    scratch lanes: float32[8]
    local total = 0.0:float64
    reduce[8] total from 0.0:float64 by add.float64(total, total_right):
      vector[8] i < n:
        load x = a[i]
        total = add.float64(total, convert.float64(x))
    transpose[2] lanes[0, by 2] = a[one, by n]
    unroll u < 2:
      store lanes[u] = convert.float32(total)
    serial k < 2:
      load y = lanes[k]
      store b[((one * 2) + k)] = y
  barrier
  parallel p < 1:
    if gt.int64(n, 3):
      store b[p] = -1.0:float32
"""


def test_text():
    assert text(scaled()) == SCALED
    assert text(everything()) == EVERYTHING


def test_equal_kernels_have_equal_texts():
    assert scaled() == scaled()
    assert text(scaled()) == text(scaled())
    assert text(scaled()) != text(scaled("other"))


def test_a_number_takes_the_dtype_of_its_place():
    kernel = everything()
    stored = [y.value for y in loops.walk(kernel.body) if isinstance(y, loops.Store)]
    assert {value.dtype for value in stored} == {F32}
    assert expression(stored[-1]) == "-1.0:float32"


def test_constants_of_narrow_floats_are_rounded():
    assert expression(loops.constant(0.1, np.float16)) == "convert.float16(0.0999755859375:float32)"


def test_walk_reaches_every_statement():
    names = [type(statement).__name__ for statement in loops.walk(everything().body)]
    assert names == [
        *("For", "Scratch", "Local", "Reduce", "For", "Load", "Assign", "Transpose", "For", "Store"),
        *("For", "Load", "Store"),
        *("Barrier", "For", "If", "Store"),
    ]


def test_a_flag():
    raised = loops.parallel("c", 4, loops.Flag("f", s.Var("c") > 2))
    kernel = loops.build("k", (loops.Buffer("f", loops.INDEX, True),), (raised,))
    assert text(kernel) == "kernel k(f: int64[] writable)\n  parallel c < 4:\n    flag f if gt.int64(c, 2)\n"
