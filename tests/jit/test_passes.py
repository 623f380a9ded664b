"""Every pass changes the text of a graph as it says, and no number: tests/jit/test_trace.py holds the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tensorlite.errors import InternalError
from tensorlite.jit.graph import Equation, Graph, Value, graph_text
from tensorlite.jit.parse import parse
from tensorlite.jit.passes.eliminate_dead_code import eliminate_dead_code
from tensorlite.jit.passes.fold_constants import LIMIT, fold_constants
from tensorlite.jit.passes.share_common_subexpressions import share_common_subexpressions
from tensorlite.jit.passes.simplify import RULES, simplify
from tensorlite.jit.verify import verify
from tensorlite.op import OPS
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import TensorType

HEAD = "def graph(v0: float32[2, 3]):"

#: By rule: the equations before and after, and what is returned.
SIMPLIFIED = {
    "identity_of_x_is_x": (["v1: float32[2, 3] = copy(v0)", "v2: float32[2, 3] = exp(v1)"],
                           ["v1: float32[2, 3] = exp(v0)"]),
    "cast_to_own_dtype_is_x": (['v1: float32[2, 3] = cast(v0, dtype=dtype("float32"))', "v2: float32[2, 3] = exp(v1)"],
                               ["v1: float32[2, 3] = exp(v0)"]),
    "reshape_to_own_shape_is_x": (["v1: float32[2, 3] = reshape(v0, shape=(2, 3))", "v2: float32[2, 3] = exp(v1)"],
                                  ["v1: float32[2, 3] = exp(v0)"]),
    "reshape_of_reshape_is_reshape": (["v1: float32[6] = reshape(v0, shape=(6,))",
                                       "v2: float32[3, 2] = reshape(v1, shape=(3, 2))"],
                                      ["v1: float32[3, 2] = reshape(v0, shape=(3, 2))"]),
    "permute_in_order_is_x": (["v1: float32[2, 3] = permute_dims(v0, axes=(0, 1))", "v2: float32[2, 3] = exp(v1)"],
                              ["v1: float32[2, 3] = exp(v0)"]),
    "permute_of_permute_is_permute": (["v1: float32[3, 2] = permute_dims(v0, axes=(1, 0))",
                                       "v2: float32[2, 3] = permute_dims(v1, axes=(1, 0))",
                                       "v3: float32[2, 3] = exp(v2)"], ["v1: float32[2, 3] = exp(v0)"]),
    "broadcast_of_broadcast_is_broadcast": (["v1: float32[4, 2, 3] = broadcast_to(v0, shape=(4, 2, 3))",
                                             "v2: float32[5, 4, 2, 3] = broadcast_to(v1, shape=(5, 4, 2, 3))"],
                                            ["v1: float32[5, 4, 2, 3] = broadcast_to(v0, shape=(5, 4, 2, 3))"]),
    "sum_of_one_is_reshape": (["v1: float32[2, 3] = sum(v0, axis=(), keepdims=False, dtype=None)",
                               "v2: float32[2, 1, 3] = reshape(v1, shape=(2, 1, 3))",
                               "v3: float32[2, 3] = max(v2, axis=(1,), keepdims=False)", "v4: float32[2, 3] = exp(v3)"],
                              ["v1: float32[2, 1, 3] = reshape(v0, shape=(2, 1, 3))",
                               "v2: float32[2, 3] = reshape(v1, shape=(2, 3))", "v3: float32[2, 3] = exp(v2)"]),
    "times_1_is_x": (["v1: float32[2, 3] = multiply(1, v0)", "v2: float32[2, 3] = divide(v1, 1.0)",
                      "v3: float32[2, 3] = exp(v2)"], ["v1: float32[2, 3] = exp(v0)"]),
    "minus_minus_x_is_x": (["v1: float32[2, 3] = negative(v0)", "v2: float32[2, 3] = negative(v1)",
                            "v3: float32[2, 3] = exp(v2)"], ["v1: float32[2, 3] = exp(v0)"]),
    "conj_of_real_is_x": (["v1: float32[2, 3] = conj(v0)", "v2: float32[2, 3] = exp(v1)"],
                          ["v1: float32[2, 3] = exp(v0)"]),
}


def text(equations, returned=None):
    last = returned or equations[-1].partition(":")[0]
    return "\n".join([HEAD, *(f"    {equation}" for equation in equations), f"    return {last}"]) + "\n"


def test_every_rule_has_its_text():
    assert set(SIMPLIFIED) == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize("rule", SIMPLIFIED)
def test_rules_rewrite_the_text_and_keep_the_numbers(rule):
    before, after = SIMPLIFIED[rule]
    graph = verify(parse(text(before)))
    found = verify(eliminate_dead_code(verify(simplify(graph))))
    assert graph_text(found) == text(after)
    x = Tensor(np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(found(x)[0].numpy(), graph(x)[0].numpy())


def test_dead_code_goes():
    graph = parse(text(["v1: float32[2, 3] = exp(v0)", "v2: float32[2, 3] = log(v0)"], "v1"))
    assert graph_text(eliminate_dead_code(graph)) == text(["v1: float32[2, 3] = exp(v0)"])


def test_common_subexpressions_are_shared():
    graph = parse(text(["v1: float32[2, 3] = exp(v0)", "v2: float32[2, 3] = exp(v0)",
                        "v3: float32[2, 3] = add(v1, v2)"]))
    assert graph_text(share_common_subexpressions(graph)) == text(
        ["v1: float32[2, 3] = exp(v0)", "v2: float32[2, 3] = add(v1, v1)"])


def test_numbers_of_other_types_or_signs_are_not_shared():
    graph = parse(text(["v1: float32[2, 3] = multiply(v0, 0.0)", "v2: float32[2, 3] = multiply(v0, -0.0)",
                        "v3: float32[2, 3] = multiply(v0, 0)", "v4: float32[2, 3] = add(v1, v2)",
                        "v5: float32[2, 3] = add(v4, v3)"]))
    assert graph_text(share_common_subexpressions(graph)) == graph_text(graph)


def test_constants_are_folded():
    graph = parse(text(['v1: float32[3] = full(shape=(3,), fill_value=3.0, dtype=dtype("float32"))',
                        "v2: float32[3] = negative(v1)", "v3: float32[2, 3] = multiply(v0, v2)"]))
    folded = verify(eliminate_dead_code(fold_constants(graph)))
    assert graph_text(folded) == text(["v1: float32[3] = constant([-3.0, -3.0, -3.0])",
                                       "v2: float32[2, 3] = multiply(v0, v1)"])


def test_large_constants_are_not_folded():
    size = LIMIT // 4 + 1
    graph = parse(text([f'v1: float32[{size}] = full(shape=({size},), fill_value=3.0, dtype=dtype("float32"))']))
    assert graph_text(fold_constants(graph)) == graph_text(graph)


A, B = Value(TensorType(np.dtype("float32"), (2,))), Value(TensorType(np.dtype("float32"), (2,)))
WRONG = Value(TensorType(np.dtype("float32"), (3,)))


@pytest.mark.parametrize(("graph", "told"), [
    (Graph((), (Equation(OPS["exp"], (A,), {}, (B,)),), (B,)), "equation 0, exp: uses a value before it is made"),
    (Graph((A,), (Equation(OPS["exp"], (A,), {}, (A,)),), (A,)), "equation 0, exp: makes a value a second time"),
    (Graph((A,), (Equation(OPS["exp"], (A,), {}, (WRONG,)),), (WRONG,)),
     "equation 0, exp: the type rule gives float32[2], the graph says float32[3]"),
    (Graph((A,), (), (B,)), "returns a value that nothing makes"),
    (Graph((A, A), (), (A,)), "a value is declared twice among inputs and constants"),
], ids=["undefined", "twice", "type", "output", "inputs"])
def test_the_verifier_names_what_is_broken(graph, told):
    with pytest.raises(InternalError) as error:
        verify(graph)
    assert str(error.value) == f"graph: {told}"
