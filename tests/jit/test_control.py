"""Traced control flow: one equation, closed bodies, eager values and derivatives, state threaded, errors told."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import errors
from tensorlite.jit.graph import graph_text
from tensorlite.jit.parse import parse
from tensorlite.jit.pipeline import PASSES
from tensorlite.jit.trace import trace, trace_call
from tensorlite.jit.verify import verify

RNG = np.random.default_rng(0)
X, H, W = (tl.tensor(RNG.standard_normal(shape) / 2) for shape in ((5, 2, 3), (2, 3), (3, 3)))
V = tl.tensor(RNG.standard_normal((3, 3)) / 2, requires_grad=True)
TERMS = 1 << 10


def leaves(result):
    return list(result) if isinstance(result, tuple | list) else [result]


def check(function, *arguments):
    """The trace, its text parsed back, and each prefix of the pipeline give what the eager function gives."""
    expected = leaves(function(*arguments))
    traced = trace_call(function, arguments, {})
    graph = verify(traced.graph)
    for each in (lambda graph: graph, lambda graph: parse(graph_text(graph)), *PASSES):
        graph = verify(each(graph))
        found = graph(*arguments, *traced.state)
        for x, y in zip(expected, found, strict=False):
            assert_close(y, x, terms=TERMS)
    assert graph_text(parse(graph_text(traced.graph))) == graph_text(traced.graph)
    return traced.graph


def ops(graph):
    return [equation.op.name for equation in graph.equations]


def recurrence(h, x, w):
    def step(h, x):
        h = tl.tanh(x + h @ w)
        return h, h.detach() * h @ V
    return tl.scan(step, h, x)


def nested(h, x, w):
    def outer(c, row):
        last, ys = tl.scan(lambda a, b: (tl.tanh(a * b + c @ w), a @ V), c, tl.stack([row, row * 2]))
        return last, ys.sum(0)
    return tl.scan(outer, h, x, reverse=True)


def chosen(h, x, w):
    return tl.cond(h.sum() > 0, lambda a: (tl.sin(a) @ w @ V, x.sum()), lambda a: (a * a @ V, x[0, 0, 0]), h)


def mapped(h, x, w):
    return tl.map(lambda row: (tl.softmax(row @ w, axis=-1), tl.map(lambda r: r * h[0], row)), x)


FUNCTIONS = {"recurrence": recurrence, "nested": nested, "chosen": chosen, "mapped": mapped,
             "other": lambda h, x, w: chosen(-h, x, w)}


def scalar(function):
    return lambda *arguments: sum((y * y * 0.5 + y).sum() for y in leaves(function(*arguments)))


def first(function):
    return tl.grad(scalar(function), (0, 1, 2))


def second(function):
    return tl.grad(lambda *arguments: sum((g * g).sum() for g in first(function)(*arguments)), (0, 1, 2))


def by_backward(function):
    return lambda *arguments: tl.autograd.grad(scalar(function)(*arguments), [V], allow_unused=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name):
    check(FUNCTIONS[name], H, X, W)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("derivative", [first, second, by_backward])
def test_derivatives(name, derivative):
    if name == "mapped" and derivative is by_backward:
        pytest.skip("does not use V")
    check(derivative(FUNCTIONS[name]), H, X, W)


def test_a_scan_is_one_equation_with_a_closed_body():
    graph = trace(lambda h, x: tl.scan(lambda c, r: (c + r @ W, c), h, x), H, X)
    assert graph_text(graph) == '''\
def body0(v0: float64[2, 3], v1: float64[2, 3], v2: float64[3, 3]):
    v3: float64[2, 3] = matmul(v1, v2)
    v4: float64[2, 3] = add(v0, v3)
    return v4, v0

def graph(v0: float64[2, 3], v1: float64[5, 2, 3], v2: float64[3, 3]):
    v3, v4 = scan(v0, v1, v2, body=body0, carries=1, slices=1, length=5, reverse=False, kept=False)\
  # v3: float64[2, 3], v4: float64[5, 2, 3]
    return v3, v4
'''


def test_equal_bodies_stand_once():
    def twice(h, x):
        for _ in range(2):
            h, x = tl.scan(lambda c, r: (c + r, c), h, x)
        return x

    text = graph_text(check(twice, H, X))
    assert text.count("def body") == 1
    assert text.count("= scan(") == 2


def test_a_gradient_is_one_scan_more():
    grad = lambda h, x: tl.autograd.grad(recurrence(h, x, W)[1].sum(), V)
    assert ops(check(grad, H, X)).count("scan") == 2


def test_a_while_loop_is_one_equation():
    def f(x):
        return tl.while_loop(lambda c: c[0].sum() < 50, lambda c: (c[0] * 2 + H.sum(), c[1] + 1), (x, 0))

    assert ops(check(f, tl.tensor([1.0, 2.0], dtype=tl.float64))) == ["full", "while_loop"]


def test_a_traced_while_loop_has_no_derivative_backwards():
    with pytest.raises(errors.GradientError) as caught:
        trace(tl.grad(lambda x: tl.while_loop(lambda c: c < 9, lambda c: c * x, x)), tl.tensor(2.0))
    assert [line for line in str(caught.value).splitlines() if not line.startswith("  at ")] == [
        "while_loop: a traced loop has no derivative backwards: how many steps it takes is only known when it runs",
        "  fix: use tl.scan with a fixed length and keep what is finished, or tl.where"]


def test_a_loop_that_counts_may_stand_beside_a_derivative():
    def f(x):
        n = tl.while_loop(lambda c: c < 9, lambda c: c * 2, 1)
        return (x * n).sum()

    check(tl.grad(f), tl.tensor([2.0]))


def test_the_generator_advances_inside_as_eager():
    def masks(x):
        last, kept = tl.scan(lambda c, _: (tl.dropout(c, 0.5), tl.rand(2)), x, length=4)
        return last, kept, tl.cond(x.sum() > 0, lambda: tl.rand(3), lambda: tl.ones(3))

    x = tl.ones((2, 3))
    tl.manual_seed(3)
    expected = [*masks(x), tl.get_rng_state()]
    tl.manual_seed(3)
    traced = trace_call(masks, (x,), {})
    found = verify(traced.graph)(x, *traced.state)
    for a, b in zip(expected, found, strict=True):
        assert_same(a, b)
    (change,) = traced.changes
    assert (change.tensor, change.slot, change.output) == (tl.random.default_generator.state, "array", 3)


def test_what_a_body_rebinds_is_carried():
    total, other = tl.zeros(2), tl.zeros(2)

    def f(x):
        def step(c, row):
            total.add_(row)
            with tl.no_grad():
                other.copy_(total * 2)
            return c, total * 1
        return tl.scan(step, None, x)[1]

    x = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
    traced = trace_call(f, (x,), {})
    assert total.tolist() == other.tolist() == [0.0, 0.0]
    ys, *changed = verify(traced.graph)(x, *traced.state)
    assert ys.tolist() == [[1.0, 2.0], [4.0, 6.0]]
    slots = {id(change.tensor): y.tolist() for change, y in zip(traced.changes, changed, strict=True)}
    assert slots == {id(total): [4.0, 6.0], id(other): [8.0, 12.0]}


def test_a_copy_taken_before_stays_what_it_was():
    w = tl.tensor([1.0])
    old = w.detach()

    def f(x):
        def step(c, row):
            w.mul_(row)
            return c, w + old
        return tl.scan(step, None, x)[1]

    w.bases = ()
    traced = trace_call(f, (tl.tensor([2.0, 3.0]),), {})
    assert traced.graph(tl.tensor([2.0, 3.0]), *traced.state)[0].tolist() == [[3.0], [7.0]]


def told(kind, function, *arguments):
    with pytest.raises(kind) as caught:
        trace(function, *arguments)
    text = str(caught.value)
    assert len(text.splitlines()) <= 10
    assert "  at test_control.py:" in text
    return [line for line in text.splitlines() if not line.startswith("  at ")]


def test_a_carry_that_changes_its_type_is_told():
    assert told(errors.ShapeError, lambda x: tl.scan(lambda c, r: (c + r, None), 0, x), X) == [
        "scan: the carry changes its type from int64[] to float64[2, 3]",
        "  before  int64[]", "  after   float64[2, 3]",
        "  fix: start from a carry of the type that the body returns, or return what grows beside it"]


def test_branches_that_differ_are_told():
    assert told(errors.DTypeError, lambda x: tl.cond(x.sum() > 0, lambda: x, lambda: x > 0), H) == [
        "cond: the branches' result changes its type from float64[2, 3] to bool[2, 3]",
        "  before  float64[2, 3]", "  after   bool[2, 3]",
        "  fix: cast it to keep its type: y.to(tl.float64)"]


def test_a_condition_that_is_no_bool_is_told():
    assert told(errors.DTypeError, lambda x: tl.cond(x, lambda: x, lambda: x), H)[0] == (
        "cond: pred must be one bool, not float64[2, 3]")


def test_a_tensor_that_escapes_from_a_body_is_told():
    kept = []

    def leak(x):
        tl.scan(lambda c, row: (c, kept.append(row * 2)), None, x)
        return x + kept[0]

    message = ["add: a tensor of another trace was kept and is used here",
               "  fix: return it from the function that made it"]
    assert told(errors.TraceError, leak, X) == message
    assert told(errors.TraceError, lambda x: tl.scan(lambda c, row: (c, row + kept[0]), None, x), X) == message


class Double(tl.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x * 2

    @staticmethod
    def backward(context, g):
        return g * 3


@pytest.mark.parametrize(("body", "problem"), [
    (lambda row: Double.apply(row), "map: a body uses Double, which has its own derivative"),
    (lambda row: (row * V.sum()).sum().backward(), "map: a body changes the .grad of a tensor from outside"),
    (lambda row: hooked(row * 2), "map: a body registers a hook on a tensor"),
], ids=["custom", "backward", "hook"])
def test_what_a_graph_cannot_hold_is_told(body, problem):
    assert told(errors.TraceError, lambda x: tl.map(body, x), X)[0] == problem
    assert V.grad is None


def hooked(y):
    y.register_hook(lambda g: g * 2)
    return y


def test_a_condition_that_draws_is_told():
    def f(x):
        return tl.while_loop(lambda c: tl.rand(()) < c.sum(), lambda c: c - 1, x)

    assert told(errors.TraceError, f, X)[0] == "while_loop: the condition changes a tensor or draws random numbers"


def test_a_body_may_differentiate():
    def f(h, x, w):
        return tl.scan(lambda c, row: (c - 0.1 * tl.grad(lambda a: (tl.tanh(a @ w) * row).sum())(c), c), h, x)

    check(f, H, X, W)
    check(first(f), H, X, W)


def test_the_verifier_looks_into_bodies():
    text = graph_text(trace(lambda x: tl.map(lambda row: tl.exp(row), x), X))
    with pytest.raises(errors.InternalError) as caught:
        verify(parse(text.replace("v1: float64[2, 3] = exp", "v1: float64[2] = exp")))
    assert str(caught.value) == ("graph: equation 0, scan: body: graph: equation 0, exp: the type rule gives "
                                 "float64[2, 3], the graph says float64[2]")


def test_detached_results_are_constants():
    def f(x):
        last, (ys, zs) = tl.scan(lambda c, r: (c * r.sum(), (c.detach(), r)), tl.ones((), dtype=tl.float64), x)
        a, b = tl.cond(last.sum() > 0, lambda: (x * 2, x.detach()), lambda: (x, x.detach()))
        recorded.append([t.requires_grad for t in (last, ys, zs, a, b)])
        return last

    recorded = []
    tl.grad(f)(X)
    trace(tl.grad(f), X)
    assert recorded == [[True, False, True, True, False]] * 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_graph_of_tracked_tensors_is_recorded(name):
    """The derivative of an equation that runs eagerly: of first and second order."""
    graph = trace(FUNCTIONS[name], H, X, W)
    state = trace_call(FUNCTIONS[name], (H, X, W), {}).state
    again = lambda *arguments: graph(*arguments, *state)
    for derivative in (first, second):
        for x, y in zip(derivative(FUNCTIONS[name])(H, X, W), derivative(again)(H, X, W), strict=True):
            assert_close(y, x, terms=TERMS)


def test_numpys_bools_are_bools():
    assert tl.cond(np.bool_(True), lambda: tl.ones(()), lambda: tl.zeros(())).item() == 1


def test_an_error_in_a_body_leaves_the_world_as_it_was():
    total = tl.zeros(2)

    def f(x):
        def step(c, row):
            total.add_(1.0)
            raise KeyError("mine")
        return tl.scan(step, None, x)

    before = total.array
    with pytest.raises(KeyError, match="mine"):
        trace(f, X)
    assert total.array is before
    assert total.requires_grad is False


def test_an_epoch_of_training_steps_is_one_loop():
    def training():
        tl.manual_seed(0)
        model = tl.nn.Sequential(tl.nn.Linear(3, 4), tl.nn.BatchNorm1d(4), tl.nn.Dropout(0.3), tl.nn.Linear(4, 1))
        optimizer = tl.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def step(count, rows):
            loss = (model(rows) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return count + 1, loss.detach()

        return model, lambda xs: tl.scan(step, 0, xs)[1]

    xs = tl.tensor(RNG.standard_normal((6, 8, 3)), dtype=tl.float32)
    model, epoch = training()
    expected = [epoch(xs), epoch(xs)], model.state_dict()
    model, epoch = training()
    compiled = tl.jit(epoch)
    for x, y in zip(expected[0], [compiled(xs), compiled(xs)], strict=True):
        assert_close(y, x, terms=TERMS)
    for name, value in model.state_dict().items():
        assert_close(value, expected[1][name], terms=TERMS)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("derivative", [lambda function: function, first, second], ids=["value", "first", "second"])
def test_compiled_loops_give_the_eager_answer(name, derivative):
    function = derivative(FUNCTIONS[name])
    compiled = tl.jit(function)
    for h in (H, -H):
        for x, y in zip(leaves(function(h, X, W)), leaves(compiled(h, X, W)), strict=True):
            assert_close(y, x, terms=TERMS)


def test_compiled_while_loops_give_the_eager_answer():
    def f(x, n):
        return tl.while_loop(lambda c: (c[0].sum() < 50) & (c[1] < n), lambda c: (c[0] * 2 + H.sum(), c[1] + 1), (x, 0))

    compiled, x = tl.jit(f), tl.tensor([0.01, 0.02], dtype=tl.float64)
    for n in (tl.tensor(0), tl.tensor(3), tl.tensor(100)):
        for a, b in zip(f(x, n), compiled(x, n), strict=True):
            assert_close(b, a, terms=TERMS)


def test_compiled_loops_over_nothing_give_the_carry():
    compiled = tl.jit(lambda h, x: tl.scan(lambda c, r: (c + r, c * r), h, x))
    last, ys = compiled(H, X[:0])
    assert_same(last, H)
    assert ys.shape == (0, 2, 3)


@pytest.mark.parametrize("reverse", [False, True])
def test_second_derivatives_of_a_compiled_scan_are_those_of_eager(reverse):
    def states(x):
        return tl.scan(lambda h, row: ((y := tl.tanh(h @ W + row)), y), H, x, reverse=reverse)[1]

    found = []
    for function in (states, tl.jit(states)):
        x = tl.tensor(X.numpy(), requires_grad=True)
        (slope,) = tl.autograd.grad(function(x).sum(), [x], create_graph=True)
        found.append(tl.autograd.grad((slope ** 3).sum(), [x])[0])
    assert_close(found[1], found[0], terms=TERMS)
