"""apply: the single choke point of every op, eager or traced, forward or backward."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tensorlite import errors
from tensorlite.op import Op
from tensorlite.state import state
from tensorlite.tape import record
from tensorlite.tensor import Tensor, link_view, same_memory


def apply(op: Op, *inputs: Any, **attributes: Any) -> Any:
    """Applies an op to tensors (and Python scalars), recording it where an input is tracked.

    The arrays do the checking: only when they raise does the type rule run, to say what is wrong.
    """
    if state.interpreter is not None:
        return state.interpreter(op, inputs, attributes)
    return evaluate(op, inputs, attributes)


def evaluate(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
    """The eager interpreter."""
    tracked = False
    arrays = []
    for x in inputs:
        if isinstance(x, Tensor):
            arrays.append(x.array)
            if x.node is not None:
                tracked = True
        else:
            arrays.append(x)
    try:
        out = op.run(*arrays, **attributes)
    except Exception as error:
        if _is_reentered(error):
            state.refresh()
            return evaluate(op, inputs, attributes)
        raise explain(op, inputs, attributes, error)  # noqa: B904  a local name for it would keep the arrays in a cycle
    if tracked and state.recording:
        result = record(op, inputs, attributes, out)
    elif type(out) is tuple:
        return tuple(map(Tensor, out))
    else:
        result = Tensor(out)
    if op.kind == "movement" and same_memory(out, arrays[0]):
        link_view(result, inputs[0])
    return result


def applier(op: Op) -> Callable[..., Any]:
    """The function that applies one op, casting its inputs where `autocast` says so and the op minds."""
    plain = _plain_applier(op)
    if op.autocast is None:
        return plain
    precision = op.autocast

    def apply_cast(*inputs: Any, **attributes: Any) -> Any:
        if state.autocast is not None:
            inputs, attributes = state.autocast.operands(precision, inputs, attributes)
        return plain(*inputs, **attributes)
    return apply_cast


def _plain_applier(op: Op) -> Callable[..., Any]:
    """Of one or two inputs, no attributes and no views it is spelled out: 0.3 us less."""
    if op.attributes or op.variadic or op.kind == "movement":
        return functools.partial(apply, op)
    by_inputs: dict[int, Callable[..., Any]] = {1: _of_one, 2: _of_two}
    return by_inputs.get(len(op.inputs), functools.partial)(apply, op)


def _of_one(otherwise: Callable[..., Any], op: Op) -> Callable[..., Any]:
    def apply_one(x: Any) -> Any:
        if state.interpreter is None and isinstance(x, Tensor):
            try:
                out = op.run(x.array)
            except Exception as error:
                if not _is_reentered(error):
                    raise explain(op, (x,), {}, error)  # noqa: B904  as in `evaluate`
                state.refresh()
            else:
                return Tensor(out) if x.node is None and type(out) is not tuple else _result(op, (x,), x.node, out)
        return otherwise(op, x)
    return apply_one


def _of_two(otherwise: Callable[..., Any], op: Op) -> Callable[..., Any]:
    def apply_two(x1: Any, x2: Any) -> Any:
        if state.interpreter is None:
            first, second, node = x1, x2, None
            if isinstance(x1, Tensor):
                first, node = x1.array, x1.node
            if isinstance(x2, Tensor):
                second = x2.array
                node = node or x2.node
            try:
                out = op.run(first, second)
            except Exception as error:
                if not _is_reentered(error):
                    raise explain(op, (x1, x2), {}, error)  # noqa: B904  as in `evaluate`
                state.refresh()
            else:
                return Tensor(out) if node is None and type(out) is not tuple else _result(op, (x1, x2), node, out)
        return otherwise(op, x1, x2)
    return apply_two


def _result(op: Op, inputs: Sequence[Any], node: Any, out: Any) -> Any:
    """What an op gave as tensors, recorded if an input has a ``node`` and that is wanted."""
    if node is not None and state.recording:
        return record(op, inputs, {}, out)
    return Tensor(out) if type(out) is not tuple else tuple(map(Tensor, out))


def _is_reentered(error: Exception) -> bool:
    """Whether a signal handler or finaliser called an op while this thread was inside one."""
    return type(error) is RuntimeError and "cannot enter context" in str(error)


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls with NumPy's warnings off, also where a signal handler or finaliser interrupted such a call."""
    try:
        return state.quiet(function, *arguments)
    except RuntimeError as error:
        if not _is_reentered(error):
            raise
        state.refresh()
        return state.quiet(function, *arguments)


def explain(op: Op, inputs: Sequence[Any], attributes: dict[str, Any], error: Exception) -> Exception:
    """Turns what an op's arrays raised into an error that names op, arguments, line and fix."""
    if isinstance(error, errors.TensorliteError) and error.complete or _is_not_ours(error):
        return error
    error = type_error(op, inputs, attributes) or error
    last = len(op.inputs) - 1
    names = [f"{op.inputs[last]}[{i - last}]" if op.variadic and i >= last else op.inputs[i]
             for i in range(len(inputs))]
    arguments: dict[str, object] = dict(zip(names, inputs, strict=True))
    arguments |= {name: value for name, value in attributes.items() if not name.startswith("_")}
    name = errors.entry_name(op.name)
    if isinstance(error, errors.TensorliteError):
        told = errors.complaint(type(error), name, error.problem, arguments, error.fix)
    else:
        told = errors.complaint(_class_of(error), name, str(error).strip() or type(error).__name__, arguments)
    told.__cause__ = error if isinstance(told, errors.InternalError) else None
    return told


def _is_not_ours(error: Exception) -> bool:
    """Whether an error says nothing about the arguments: no memory, a warning, or what a signal handler raised."""
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, MemoryError | OSError | Warning) or module not in ("builtins", "numpy", "tensorlite")


def type_error(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> errors.TensorliteError | None:
    """What the op's type rule says is wrong."""
    if op.type_rule is None:
        return None
    try:
        op.type_rule(*(x.type if isinstance(x, Tensor) else x for x in inputs), **attributes)
    except errors.TensorliteError as problem:
        return type(problem)(problem.problem, problem.fix)  # its own frames would keep the arrays in a cycle
    except Exception:  # the rule met the same trouble as the arrays, whose own words are as good
        return None
    return None


def _class_of(error: Exception) -> type[errors.TensorliteError]:
    if isinstance(error, IndexError):
        return errors.IndexingError
    if isinstance(error, TypeError):
        return errors.DTypeError
    return errors.ArgumentError if isinstance(error, ValueError | ArithmeticError) else errors.InternalError
