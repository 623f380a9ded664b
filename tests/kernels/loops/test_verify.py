"""Every rule of the loop language, by a kernel that breaks it and the exact complaint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import (
    Assign,
    Barrier,
    Buffer,
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
)
from tensorlite.kernels.verify import MalformedKernel, verify

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
X, N, I, C = map(s.Var, ("x", "n", "i", "c"))
ONE = loops.constant(1.0, F32)
STORE = Store("out", C * 8 + I, ONE)
PARAMETERS = (Buffer("a", F32), Buffer("out", F32, True), Buffer("f", loops.INDEX, True), Parameter("n"))


def index(name: str) -> s.Typed:
    return s.Typed("var", (), loops.INDEX, name)


def in_parallel(*body: Any) -> loops.For:
    return loops.parallel("c", N, *body)


def in_lanes(*body: Any) -> loops.For:
    return in_parallel(loops.vector("i", 8, 8, *body))


def summed(*body: Any, lanes: int = 8) -> tuple[Any, ...]:
    return (
        Local("t", loops.constant(0.0, F32)),
        Reduce(("t",), (0.0,), (s.Var("t") + s.Var("t_right"),), lanes, body),
    )


def turned(target: str = "z", source: str = "a", size: int = 8, dtype: Any = F32) -> tuple[Any, ...]:
    return Scratch("z", np.dtype(dtype), 64), Transpose(target, 0, 8, source, C, N, size)


add_one = Assign("t", s.Var("t") + 1.0)
RULES = {  # complaint: kernel; a space at the end tells equal complaints apart
    "": (in_lanes(Load("x", "a", C * 8 + I), Store("out", C * 8 + I, X)),),
    "x is defined twice": (in_parallel(Load("x", "a", C), Load("x", "a", C)),),
    "n is defined twice": (in_parallel(Let("n", loops.index(C))),),
    "'a b' is not a name": (in_parallel(Let("a b", loops.index(C))),),
    "y is not defined": (in_parallel(Store("out", index("y"), ONE)),),
    "i is not defined": (in_parallel(loops.serial("i", 8), Store("out", index("i"), ONE)),),
    "x is loaded from b, which is not a buffer": (loops.For("c", index("n"), (Load("x", "b", index("c")),)),),
    "store to b, which is not a buffer": (loops.For("c", index("n"), (Store("b", index("c"), ONE),)),),
    "store to a, which is not writable": (in_parallel(Store("a", C, ONE)),),
    "n is int64, used as float32": (in_parallel(Store("out", C, s.Typed("var", (), F32, "n"))),),
    "value <const float64 of 1 nodes> is float64, not float32": (
        in_parallel(Store("out", C, loops.constant(1.0, F64))),
    ),
    "value Var('x') is not typed: use loops.build": (loops.For("c", index("n"), (Let("y", X),)),),
    "square is not a primitive": (in_parallel(Store("out", C, s.Typed("square", (ONE,), F32))),),
    "neg of 2 operands": (in_parallel(Store("out", C, s.Typed("neg", (ONE, ONE), F32))),),
    "every iteration stores to the same out[0]": (in_parallel(Store("out", 0, ONE)),),
    "every iteration stores to the same out[c]": (in_lanes(Store("out", C, ONE)),),
    "every thread stores to out[0]: use a parallel loop": (Store("out", 0, ONE),),
    "iterations of c overlap in out[((c * 4) + i)]": (in_lanes(Store("out", C * 4 + I, ONE)),),
    "t is assigned and is not a local": (loops.For("c", index("n"), (Assign("t", ONE),)),),
    "t is carried from one iteration of c to the next": (Local("t", ONE), in_parallel(add_one)),
    "t is carried from one iteration of i to the next": (
        in_parallel(Local("t", ONE), loops.vector("i", 8, 8, add_one)),
    ),
    "t is being reduced by 8 lanes, and used elsewhere than in their loops": (in_parallel(*summed(add_one)),),
    "t is being reduced by 16 lanes, and used elsewhere than in their loops": (
        in_parallel(*summed(loops.vector("i", 8, 8, add_one), lanes=16)),
    ),
    "reduce: 6 lanes are not a power of two": (in_parallel(*summed(loops.vector("i", 8, 8), lanes=6)),),
    "reduce within a vector loop": (in_lanes(*summed()),),
    "u is reduced and is not a local": (in_parallel(Let("u", ONE), Reduce(("u",), (0.0,), (s.Var("u"),), 8, ())),),
    "prefetch of b, which is not a buffer": (loops.For("c", index("n"), (Prefetch("b", index("c")),)),),
    "the place of a prefetch may differ between lanes": (in_lanes(Prefetch("out", I), STORE),),
    "transpose of b, which is not a buffer": (loops.For("c", index("n"), turned(source="b")),),
    "every thread transposes into the same places of out": (in_parallel(*turned("out")),),
    "transpose into a, which is not writable": (in_parallel(*turned("a")),),
    "transpose of z into itself": (in_parallel(*turned(source="z")),),
    "transpose of a into z, of another dtype": (in_parallel(*turned(dtype=F64)),),
    "transpose: 6 rows are not a power of two": (in_parallel(*turned(size=6)),),
    "transpose within a vector loop": (in_parallel(turned()[0], loops.vector("i", 8, 8, turned()[1])),),
    "scratch z within a vector loop": (in_lanes(Scratch("z", F32, 8)),),
    "flag out, which is not a writable buffer of int64": (in_parallel(loops.Flag("out", C > 3)),),
    "flag b, which is not a writable buffer of int64": (in_parallel(loops.Flag("b", C > 3)),),
    "condition <var int64 of 1 nodes> is int64, not bool": (in_parallel(loops.Flag("f", C)),),
    "the condition may differ between lanes": (in_lanes(If(I > 3, (STORE,))),),
    "the extent of k may differ between lanes": (in_lanes(loops.serial("k", I, STORE)),),
    "not all threads may reach a barrier there": (in_parallel(Barrier()),),
    "not all threads may reach a barrier there ": (If(N > 3, (Barrier(),)),),
    "parallel loop d: not all threads may reach a parallel loop there": (in_parallel(loops.parallel("d", N)),),
    "vector loop j: lanes are a power of two, not nested": (in_lanes(loops.vector("j", 8, 8)),),
    "vector loop j: lanes are a power of two, not nested ": (in_parallel(loops.vector("j", 8, 12)),),
    "unroll loop u: an unrolled extent must be constant": (loops.For("u", index("n"), (), loops.Kind.UNROLL),),
    "t is changed by loop k, which is apart": (
        in_parallel(Local("t", ONE), loops.serial("k", index("n"), Assign("t", s.Var("t") + 1.0), apart=True)),
    ),
    "vector loop j: only serial loops around lanes are apart": (
        in_parallel(loops.For("j", index("n"), (), loops.Kind.VECTOR, 8, apart=True)),
    ),
    "serial loop k: only serial loops around lanes are apart": (in_lanes(loops.serial("k", N, STORE, apart=True)),),
    "parallel loop d: not all threads may reach a parallel loop there ": (
        loops.serial("k", index("n"), loops.parallel("d", N), apart=True),
    ),
    "serial loop k: lanes are for vector loops": (loops.For("k", index("n"), (), lanes=8),),
}


@pytest.mark.parametrize("complaint", RULES)
def test_rule(complaint):
    kernel = (
        loops.build("k", PARAMETERS, RULES[complaint])
        if _types(complaint)
        else loops.Kernel("k", PARAMETERS, RULES[complaint])
    )
    if not complaint:
        assert verify(kernel) is kernel
        return
    with pytest.raises(MalformedKernel) as raised:
        verify(kernel)
    assert str(raised.value).startswith("kernel k")
    assert str(raised.value).endswith(f": {complaint.strip()}")


def _types(complaint: str) -> bool:
    """Tell whether the builder can type the kernel at all; those written typed need no builder."""
    return not any(word in complaint for word in ("not a buffer", "not typed", "t is assigned"))


def test_the_place_is_said():
    kernel = loops.build("k", PARAMETERS, RULES["every iteration stores to the same out[c]"])
    with pytest.raises(MalformedKernel) as raised:
        verify(kernel)
    where = "kernel k, in parallel loop c, in vector loop i"
    assert str(raised.value) == f"{where}: every iteration stores to the same out[c]"


def test_parameters_are_numbers():
    kernel = loops.Kernel("k", (Parameter("flag", np.dtype(bool)),), ())
    with pytest.raises(MalformedKernel) as raised:
        verify(kernel)
    assert str(raised.value) == "kernel k: flag is bool: not a number"


def test_scratch_may_be_stored_to_by_every_iteration():
    body = in_parallel(
        Scratch("z", F32, 8),
        loops.vector("i", 8, 8, Store("z", I, ONE)),
        Load("y", "z", 0),
        Store("out", C, s.Var("y")),
    )
    verify(loops.build("k", PARAMETERS, (body,)))


def test_uniform_loads_may_decide():
    body = in_parallel(Load("x", "a", C), If(X > 0, (loops.vector("i", 8, 8, STORE),)))
    verify(loops.build("k", PARAMETERS, (body,)))
