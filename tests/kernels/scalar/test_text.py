"""Texts: an expression and back, the same in every process."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from tensorlite.kernels import scalar as s

constants = st.one_of(st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.complex_numbers()).map(s.Const)
leaves = st.one_of(constants, st.sampled_from(["x", "y", "inf", "nan", "complex_"]).map(s.Var))


def calls(operands: st.SearchStrategy[s.Expr]) -> st.SearchStrategy[s.Expr]:
    def call(atom: s.Atom) -> st.SearchStrategy[s.Expr]:
        return st.tuples(*[operands] * atom.arity).map(lambda args: s.Call(atom, args))

    atoms = [*s.ATOMS.values(), s.cast(s.Var("x"), np.float16).atom, s.bitcast(s.Var("x"), np.uint32).atom]
    return st.sampled_from(atoms).flatmap(call)


@given(st.recursive(leaves, calls, max_leaves=12))
def test_parse_undoes_text(expr):
    assert s.parse(s.text(expr)) is expr


def test_texts_are_the_same_in_another_process():
    code = (
        "import numpy as np; from tensorlite.kernels import scalar as s;"
        "f = s.trace(lambda x, y: s.where(x > y, s.erf(x) * 2.5, s.cast(y, np.float64) ** 3 - 1e-300));"
        "print(s.text(s.differentiate(f.body, 'x')));"
        "print(s.typed_text(s.lower(f.body, dict(x=np.dtype(float), y=np.dtype(float)))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "where(" in outputs.pop()


def test_different_expressions_have_different_texts():
    x = s.Var("x")
    values = [1, 1.0, True, 1 + 0j, 0.0, -0.0, math.inf, -math.inf, math.nan]
    exprs = [*map(s.Const, values), x, -x, s.Var("nan")]
    assert len({s.text(expr) for expr in exprs}) == len(exprs)
