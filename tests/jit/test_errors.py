"""What a traced function cannot do is said in a few lines: what, where in the user's code, what to write instead."""

from __future__ import annotations

import functools
import inspect

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.errors import GradientError, IndexingError, TensorliteError, TraceError
from tensorlite.jit import RecompileWarning
from tensorlite.nn import functional as F
from tensorlite.state import state

X = tl.tensor([1.0, 2.0, 3.0])
N = tl.tensor(2)

ELEMENTS = "the elements are only known when the function runs"
KEEP = "keep computing with the tensor, or return it and ask outside of the function"
DECIDES = "a value that is only known when the function runs decides in Python"
CHOOSE = "use tl.where(condition, a, b), tl.cond(condition, f, g) or tl.while_loop; or decide outside of the function"
SIZE = "an index or a size of Python must be known when the function is traced"
PASS = "pass it as a Python int"
MASK = "how many elements a mask picks is only known when the function runs"


def decide(x):
    if x.sum() > 0:
        return x
    return -x


def double_while_small(x):
    while x.sum() < 10:
        x = x * 2
    return x


def check_sign(x):
    assert x.sum() > 0
    return x


def count(x, n):
    return sum(x for _ in range(n))


#: By what is done: a function, its arguments, and what is said of it: who, what, the types, the fix.
CASES = {
    "if": (decide, (X,), "bool", DECIDES, "bool[]", CHOOSE),
    "while": (double_while_small, (X,), "bool", DECIDES, "bool[]", CHOOSE),
    "assert": (check_sign, (X,), "bool", DECIDES, "bool[]", CHOOSE),
    "not": (lambda x: not x[0], (X,), "bool", DECIDES, "float32[]", CHOOSE),
    "and": (lambda x: x[0] > 0 and x[1] > 0, (X,), "bool", DECIDES, "bool[]", CHOOSE),
    "bool": (lambda x: bool(x[0]), (X,), "bool", DECIDES, "float32[]", CHOOSE),
    "max of Python": (lambda x: max(x), (X,), "bool", DECIDES, "bool[]", CHOOSE),
    "sorted": (lambda x: sorted(x), (X,), "bool", DECIDES, "bool[]", CHOOSE),
    "any of Python": (lambda x: any(x > 0), (X,), "bool", DECIDES, "bool[]", CHOOSE),
    "item": (lambda x: x * x[0].item(), (X,), "item", ELEMENTS, "float32[]", KEEP),
    "float": (lambda x: float(x[0]), (X,), "float", ELEMENTS, "float32[]", KEEP),
    "int": (lambda x: int(x[0]), (X,), "int", ELEMENTS, "float32[]", KEEP),
    "tolist": (lambda x: x.tolist(), (X,), "tolist", ELEMENTS, "float32[3]", KEEP),
    "numpy": (lambda x: x.numpy(), (X,), "numpy", ELEMENTS, "float32[3]", KEEP),
    "np.asarray": (lambda x: np.asarray(x), (X,), "numpy", ELEMENTS, "float32[3]", KEEP),
    "np.sin": (lambda x: np.sin(x), (X,), "numpy", ELEMENTS, "float32[3]", KEEP),
    "in": (lambda x: 1.0 in x, (X,), "numpy", ELEMENTS, "float32[3]", KEEP),
    "format": (lambda x: f"{x[0]:.2f}", (X,), "item", ELEMENTS, "float32[]", KEEP),
    "range": (count, (X, N), "index", SIZE, "int64[]", PASS),
    "size": (lambda n: tl.zeros(n), (N,), "index", SIZE, "int64[]", PASS),
    "shape": (lambda x, n: x.reshape(n, -1), (X, N), "index", SIZE, "int64[]", PASS),
    "slice": (lambda x, n: x[:n], (X, N), "index", SIZE, "int64[]", PASS),
    "list's item": (lambda n: [1, 2, 3][n], (N,), "index", SIZE, "int64[]", PASS),
    "mask": (lambda x: x[x > 1], (X,), "index", MASK, "bool[3]", "use tl.where(mask, x, 0), which keeps the shape"),
}


def line_of(function) -> str:
    """Where the line of a function stands that breaks the rule: the lambda's, or the one below the head."""
    code = function.__code__
    return f"at test_errors.py:{code.co_firstlineno + (function.__name__ != '<lambda>')} in {code.co_name}"


@pytest.mark.parametrize("what", CASES)
def test_what_python_cannot_know_is_said_word_for_word(what):
    function, arguments, who, problem, type, fix = CASES[what]
    jitted = tl.jit(function)
    for _ in range(2):
        with pytest.raises(TraceError) as error:
            jitted(*arguments)
        assert str(error.value) == f"{who}: {problem}\n  x  {type}\n  {line_of(function)}\n  fix: {fix}"
    assert state.interpreter is None


def test_printing_shows_types(capsys):
    tl.jit(lambda x: print(x, [x], f"{x}"))(X)
    traced = "tensor(float32[3], traced)"
    assert capsys.readouterr().out == f"{traced} [{traced}] {traced}\n"


@pytest.mark.parametrize("ask", [tl.nonzero, tl.unique_values], ids=lambda f: f.__name__)
def test_results_of_unknown_size(ask):
    with pytest.raises(TraceError) as error:
        tl.jit(lambda x: ask(x))(X)
    line = inspect.currentframe().f_lineno - 1
    assert str(error.value) == (
        f"{ask.__name__}: cannot be traced: its result is only known when it runs\n"
        "  x  float32[3]\n"
        f"  at test_errors.py:{line} in <lambda>\n"
        "  fix: call it outside of the function")


def test_arrays_as_arguments():
    with pytest.raises(TraceError) as error:
        tl.jit(lambda x: x * 2)(np.ones(3))
    line = inspect.currentframe().f_lineno - 1
    assert str(error.value) == (
        "jit: an argument is a NumPy array, of which only the values at the first call would count\n"
        "  argument  numpy float64[3]\n"
        f"  at test_errors.py:{line} in test_arrays_as_arguments\n"
        "  fix: pass a tensor: tl.asarray(x)")
    with pytest.raises(TraceError, match="an argument is a NumPy array"):
        tl.jit(lambda x: x["a"][0] * 2)({"a": [np.ones(3)]})


def test_what_is_no_function():
    with pytest.raises(TypeError, match=r"jit: takes a function, not int\n  at test_errors.py"):
        tl.jit(3)


def test_a_tensor_that_escapes_is_told_of():
    """What begins as a tensor in the first call, as an optimizer's state does, is kept; what each call makes is not."""
    kept = []

    def leak(x):
        kept.append(x * 2)
        return x
    jitted = tl.jit(leak)
    jitted(X)
    assert kept[0].tolist() == [2.0, 4.0, 6.0]
    with pytest.raises(TraceError, match="a tensor of the trace is kept outside of") as error:
        jitted(X)
    line = leak.__code__.co_firstlineno + 1
    assert str(error.value) == (
        "jit: a tensor of the trace is kept outside of the function\n  made  float32[3]\n"
        f"  at test_errors.py:{line} in leak\n"
        "  fix: return it, or write it into a tensor that was there before: x.copy_(y)")
    assert [x.tolist() for x in kept[1:]] == [[2.0, 4.0, 6.0]]  # as if the function had run


def test_a_module_whose_attribute_is_a_tensor_of_a_trace_works_after_the_error():
    class Cell(tl.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.h = tl.nn.Linear(3, 3), tl.zeros(3)

        def forward(self, x):
            self.h = tl.tanh(self.linear(x) + self.h.detach())
            return self.h * 1

    cell, other = Cell(), Cell()
    other.load_state_dict(cell.state_dict())
    jitted = tl.jit(cell)
    np.testing.assert_allclose(jitted(X).detach().numpy(), other(X).detach().numpy(), rtol=1e-6)
    with pytest.raises(TraceError, match="kept outside of the function"):
        jitted(X)
    np.testing.assert_allclose(cell.h.numpy(), other(X).detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(cell(X).detach().numpy(), other(X).detach().numpy(), rtol=1e-6)


def test_what_is_kept_once_is_found_by_later_calls():
    memory = {}

    def remember(x):
        if "first" not in memory:
            memory["first"] = x * 2
        return x + memory["first"]
    jitted = tl.jit(remember)
    assert [jitted(X * k).tolist() for k in (1, 1, 5)] == [[3.0, 6.0, 9.0], [3.0, 6.0, 9.0], [7.0, 14.0, 21.0]]


def test_a_tensor_that_is_argument_and_state_and_changes():
    w = tl.tensor([1.0, 2.0, 3.0])

    def change(a):
        w.add_(1)
        return a * 1
    with pytest.raises(TraceError, match="a tensor is an argument, is also used directly, and is changed") as error:
        tl.jit(change)(w)
    assert "fix: use the argument throughout" in str(error.value)
    assert w.tolist() == [1.0, 2.0, 3.0]


class Twice(tl.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x * 2

    @staticmethod
    def backward(context, g):
        return g * 7


def hooked(x):
    y = x * 2
    y.register_hook(lambda g: g * 10)
    return y.sum()


@pytest.mark.parametrize(("function", "told"), [
    (lambda x: Twice.apply(x).sum(), "uses Twice, which has its own derivative"),
    (hooked, "registers a hook on a tensor")], ids=["custom", "hook"])
def test_derivatives_that_the_graph_cannot_hold(function, told):
    """They work where the whole derivative is taken within the function."""
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TraceError, match=told):
        tl.jit(function)(x)
    found = tl.jit(tl.grad(function))(x.detach())
    assert found.tolist() == tl.grad(function)(x.detach()).tolist()


def test_gradients_that_do_not_exist():
    with pytest.raises(GradientError, match="does not depend on anything that requires gradients"):
        tl.jit(lambda x: (x * x).sum().backward())(X)


def test_users_errors_pass_through():
    def fail(x):
        raise KeyError("mine")
    with pytest.raises(KeyError, match="mine"):
        tl.jit(fail)(X)
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        tl.jit(lambda x: x)(X, y=3)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        tl.jit(lambda x, y: x)(X)


def test_an_index_out_of_range_is_told_of_and_changes_nothing():
    w = tl.tensor([1.0, 2.0, 3.0])

    def pick(i):
        w.add_(1)
        return w[i], F.cross_entropy(w.reshape(1, 3), i[:1])
    jitted = tl.jit(pick)
    assert jitted(tl.tensor([0, 2]))[0].tolist() == [2.0, 4.0]
    before = w.tolist()
    for _ in range(2):
        with pytest.raises(IndexError, match="7"):
            jitted(tl.tensor([0, 7]))
        assert w.tolist() == before
    assert jitted(tl.tensor([1, 1]))[0].tolist() == [4.0, 4.0]


# --- what works, though it might not be thought to --------------------------------------------------------------------


def power(x, n):
    return x if n == 0 else power(x * 2, n - 1)


@tl.jit
def jitted_power(x, n):
    return x if n == 0 else jitted_power(x * 2, n - 1)


def scaled(x, *, by):
    return x * by


WORKS = {
    "recursion": (power, (X, 5)),
    "recursion of the jitted": (jitted_power, (X, 5)),
    "a function without source": (eval("lambda x: x * 2"), (X,)),
    "an op": (tl.exp, (X,)),
    "a partial function": (functools.partial(scaled, by=3.0), (X,)),
    "a generator inside": (lambda x: sum(x * k for k in range(3)), (X,)),
    "elements": (lambda x: [row * 2 for row in x], (X,)),
    "unpacking": (lambda x: (lambda a, b, c: a + b * c)(*x), (X,)),
    "a branch by type": (lambda x: x + 1 if x.dtype == tl.float32 else x - 1, (X,)),
    "a branch by shape": (lambda x: x + 1 if x.shape[0] > 2 else x - 1, (X,)),
    "a branch by an argument": (lambda x, how: x if how == "same" else -x, (X, "other")),
    "a tensor as a key": (lambda x: {x: 1}[x], (X,)),
    "a set of numbers": (lambda x, numbers: x * len(numbers), (X, {1, 2})),
    "a dtype": (lambda x, dtype: x.to(dtype), (X, tl.float64)),
    "NumPy's numbers": (lambda x, k: x * k * np.float64(2) + np.float32(1) * x, (X, np.float32(2))),
    "an exception caught": (lambda x: _attempt(x), (X,)),
}


def _attempt(x):
    try:
        return x.reshape(7)
    except TensorliteError:
        return x * 5


@pytest.mark.parametrize("what", WORKS)
def test_python_runs_in_a_trace(what):
    function, arguments = WORKS[what]
    jitted = tl.jit(function)
    for _ in range(2):
        found, expected = jitted(*arguments), function(*arguments)
        assert str(found) == str(expected)


def test_changed_types_of_a_branch_are_traced_anew():
    jitted = tl.jit(lambda x: x + 1 if x.dtype == tl.float32 and x.ndim == 1 else x - 1)
    for x in (X, tl.tensor([1, 2]), tl.ones((2, 2)), X, tl.tensor([1, 2])):
        assert jitted(x).tolist() == (x + 1 if x.dtype == tl.float32 and x.ndim == 1 else x - 1).tolist()
    assert sum(map(len, jitted.variants.values())) == 3


def test_numbers_that_change_at_every_call_are_warned_of():
    jitted = tl.jit(lambda x, number: x * number)
    with pytest.warns(RecompileWarning, match="keep changing; pass numbers that change as tensors") as told:
        [jitted(X, 0.5 + number) for number in range(30)]
    assert len(told) == 1
    assert told[0].filename == __file__


def test_an_index_that_is_wrong_when_a_program_runs_is_told_with_the_line_within():
    def pick(weight, rows):
        return tl.embedding(rows, weight)
    with pytest.raises(IndexError) as error:
        tl.jit(pick)(tl.ones((4, 2)), tl.tensor([0, 7]))
    assert str(error.value) == (
        "embedding: index 7 is out of range for an axis of 4\n  x       float32[4, 2]\n  places  int64[2]\n"
        f"  axis    0\n  at test_errors.py:{pick.__code__.co_firstlineno + 1} in pick\n  fix: use 0 to 3")
    with pytest.raises(IndexError, match="getitem: index 7 is out of bounds for axis 0 with size 3"):
        tl.jit(lambda x, k: x[k])(X, tl.tensor([0, 7]))
    with pytest.raises(IndexError, match="in test_an_index_that_is_wrong_when_a_program_runs"):
        tl.embedding(tl.tensor([9]), tl.ones((4, 2)))  # the line that was told before does not stay


def test_an_op_that_python_runs_tells_errors_as_eagerly():
    x, boxes = tl.zeros((1, 2, 4, 4)), tl.tensor([[0.0, 0, 0, 2, 2]])

    def regions(x, boxes):
        return tl.roi_align(x, boxes, 2)

    compiled, texts = tl.jit(regions), []
    for _ in range(2):
        compiled(x, boxes)
    for function in (regions, compiled):
        with pytest.raises(IndexingError) as caught:
            function(x, boxes + 1)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert texts[0].startswith("roi_align: a box lies in image 1, there are 1\n  x ")
