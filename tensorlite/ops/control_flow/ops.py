"""The ops that traced control flow is made of: cond, while_loop and scan of graphs, and their derivatives.

The graphs are attributes, and closed: a graph has `inputs` and `outputs` (values with a type), and called with tensors
it applies its equations to them. Inputs of all graphs of an equation are the same, and are its operands (of a scan's
``slices`` the rows). The derivatives are control flow themselves, in the functions that users call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorlite import errors
from tensorlite.batch import unchanged
from tensorlite.declare import PUBLIC, primitive
from tensorlite.eager import one_device
from tensorlite.modes import run_with
from tensorlite.op import OPS, Sample
from tensorlite.ops.control_flow.batched import cond_rule, scan_rule, while_rule
from tensorlite.ops.joint import jointly
from tensorlite.state import state
from tensorlite.tensor import Tensor
from tensorlite.tensor_type import DIFFERENTIABLE, TensorType
from tensorlite.transforms import vjp


@primitive("movement", type=lambda x: x, batch=unchanged, samples=[Sample((2, 3)), Sample(())])
def _stop_gradient(xp: Any, x: Any) -> Any:
    """The identity, without derivative: what a graph holds where a traced body used a detached tensor."""
    return x


# --- types --------------------------------------------------------------------------------------------------------


def _types(values: Sequence[Any]) -> tuple[TensorType, ...]:
    return tuple(value.type for value in values)


def _check_fit(name: str, graph: Any, operands: Sequence[TensorType]) -> None:
    if _types(graph.inputs) != tuple(operands):
        raise errors.ShapeError(f"{name} takes {', '.join(map(str, _types(graph.inputs)))}, "
                                f"not {', '.join(map(str, operands))}")


def _check_carry(graph: Any, carries: int) -> None:
    before, after = _types(graph.inputs[:carries]), _types(graph.outputs[:carries])
    if before != after:
        raise errors.ShapeError(f"body's carry {', '.join(map(str, before))} becomes {', '.join(map(str, after))}")


def _cond_type(pred: TensorType, *operands: TensorType, true: Any, false: Any) -> tuple[TensorType, ...]:
    if pred.shape != () or pred.dtype != bool:
        raise errors.DTypeError(f"pred must be one bool, not {pred}")
    _check_fit("true", true, operands)
    _check_fit("false", false, operands)
    if _types(true.outputs) != _types(false.outputs):
        raise errors.ShapeError("the branches return different types")
    return _types(true.outputs)


def _while_loop_type(*operands: TensorType, cond: Any, body: Any, carries: int) -> tuple[TensorType, ...]:
    _check_fit("cond", cond, operands)
    _check_fit("body", body, operands)
    _check_carry(body, carries)
    found = _types(cond.outputs)
    if len(found) != 1 or found[0].shape != () or found[0].dtype != bool:
        raise errors.DTypeError("cond must give one bool")
    return _types(body.outputs)


def _scan_type(*operands: TensorType, body: Any, carries: int, slices: int, length: int, reverse: bool,
               kept: bool) -> tuple[TensorType, ...]:
    rows = operands[carries:carries + slices]
    if any(x.shape[:1] != (length,) for x in rows):
        raise errors.ShapeError(f"the leading extents of {', '.join(map(str, rows))} are not {length}")
    _check_fit("body", body, (*operands[:carries], *(TensorType(x.dtype, x.shape[1:], x.device) for x in rows),
                              *operands[carries + slices:]))
    _check_carry(body, carries)
    ys = _types(body.outputs[carries:])
    return (*_types(body.outputs[:carries]), *(TensorType(y.dtype, (length, *y.shape), y.device) for y in ys))


# --- derivatives --------------------------------------------------------------------------------------------------


def _chosen(tensors: Sequence[Tensor], start: int = 0) -> list[int]:
    """The places, counted from ``start``, of the tensors that cotangents are asked for."""
    return [i for i, x in enumerate(tensors, start) if x.node is not None and x.dtype in DIFFERENTIABLE]


def _floating(values: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(values) if x.dtype in DIFFERENTIABLE]


def _as_walked(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors as constants, unless the walk is recorded for higher derivatives."""
    return list(tensors) if state.recording else [Tensor(x.array) for x in tensors]


def _pullback(graph: Any, given: Sequence[Tensor], chosen: Sequence[int], wanted: Sequence[int],
              cotangents: Sequence[Tensor]) -> Sequence[Tensor]:
    """The cotangents of the chosen inputs of a graph, of those of the wanted outputs."""
    def part(*changed: Tensor) -> list[Tensor]:
        everything = list(given)
        for i, x in zip(chosen, changed, strict=True):
            everything[i] = x
        outputs = graph(*everything)
        return [outputs[i] for i in wanted]

    _, pull = vjp(part, *(given[i] for i in chosen))
    return pull(list(cotangents))


def _cond_vjp(g: tuple[Tensor, ...], index: int, pred: Tensor, operands: tuple[Tensor, ...], true: Any,
              false: Any) -> Tensor | None:
    return jointly(g, index - 1, lambda: _cond_cotangents(g, pred, operands, true, false))


def _cond_cotangents(g: tuple[Tensor, ...], pred: Tensor, operands: tuple[Tensor, ...], true: Any,
                     false: Any) -> dict[int, Tensor]:
    chosen, wanted = _chosen(operands), _floating(true.outputs)

    def pull(graph: Any) -> Callable[..., Any]:
        return lambda given, cotangents: list(_pullback(graph, given, chosen, wanted, cotangents))

    found = PUBLIC["cond"](pred, pull(true), pull(false), _as_walked(operands), [g[i] for i in wanted])
    return dict(zip(chosen, found, strict=True))


def _while_loop_vjp(g: tuple[Tensor, ...], operands: tuple[Tensor, ...]) -> Tensor:
    raise errors.complaint(errors.GradientError, "while_loop", "a traced loop has no derivative backwards: how many "
                           "steps it takes is only known when it runs", None,
                           "use tl.scan with a fixed length and keep what is finished, or tl.where")


def _scan_vjp(g: tuple[Tensor, ...], y: tuple[Tensor, ...], index: int, operands: tuple[Tensor, ...], body: Any,
              carries: int, slices: int, length: int, reverse: bool, kept: bool) -> Tensor | None:
    return jointly(g, index, lambda: _scan_cotangents(g, y, operands, body, carries, slices, length, reverse, kept))


def _scan_cotangents(g: tuple[Tensor, ...], y: tuple[Tensor, ...], operands: tuple[Tensor, ...], body: Any,
                     carries: int, slices: int, length: int, reverse: bool, kept: bool) -> dict[int, Tensor]:
    """A scan backwards over the carries that entered each step; cotangents of what does not change add up."""
    end = carries + slices
    chosen_rows, chosen_consts = _chosen(operands[carries:end], carries), _chosen(operands[end:], end)
    through = _floating(operands[:carries])
    chosen = through + chosen_rows + chosen_consts
    visible = len(body.outputs) - kept * carries
    missing: frozenset[int] = getattr(g, "missing", frozenset())  # a derivative that is derived again used what is kept
    wanted = [i for i in _floating(body.outputs) if i < visible or i not in missing]
    given = _as_walked(operands)
    first, rows, consts = given[:carries], given[carries:end], given[end:]
    if kept and not state.recording:
        entered = list(y[visible:])
    else:
        _, entered = PUBLIC["scan"](lambda c, x: (body(*c, *x, *consts)[:carries], c), tuple(first), rows, length,
                                    reverse)

    def step(sums: Any, at: Any) -> Any:
        (later, totals), (carry, x, cotangents) = sums, at
        found = _pullback(body, [*carry, *x, *consts], chosen, wanted, [*later, *cotangents])
        own, of_rows = found[:len(through)], found[len(through):len(through) + len(chosen_rows)]
        shared = [total + part for total, part in zip(totals, found[len(own) + len(of_rows):], strict=True)]
        return (list(own), shared), list(of_rows)

    zeros = [PUBLIC["zeros"](operands[i].shape, dtype=operands[i].dtype, device=operands[i].device)
             for i in chosen_consts]
    of_ys = [g[i] for i in wanted if i >= carries]
    (last, totals), of_rows = PUBLIC["scan"](step, ([g[i] for i in through], zeros), (list(entered), rows, of_ys),
                                             length, not reverse)
    tracked = _chosen(operands)
    found = dict(zip([*through, *chosen_rows, *chosen_consts], [*last, *of_rows, *totals], strict=True))
    return {i: found[i] for i in tracked}


# --- ops ----------------------------------------------------------------------------------------------------------


@primitive("opaque", type=_cond_type, vjp={"operands": _cond_vjp}, batch=cond_rule)
def _cond(xp: Any, pred: Any, *operands: Any, true: Any, false: Any) -> Any:
    return tuple(y.array for y in (true if pred else false)(*map(Tensor, operands)))


@primitive("opaque", type=_while_loop_type, vjp={"operands": _while_loop_vjp}, batch=while_rule)
def _while_loop(xp: Any, *operands: Any, cond: Any, body: Any, carries: int) -> Any:
    carry = [Tensor(array) for array in operands[:carries]]
    consts = [Tensor(array) for array in operands[carries:]]
    while bool(cond(*carry, *consts)[0].array):
        carry = body(*carry, *consts)
    return tuple(x.array for x in carry)


@primitive("opaque", type=_scan_type, vjp={"operands": _scan_vjp}, batch=scan_rule)
def _scan(xp: Any, *operands: Any, body: Any, carries: int, slices: int, length: int, reverse: bool, kept: bool) -> Any:
    carry = [Tensor(array) for array in operands[:carries]]
    rows = operands[carries:carries + slices]
    consts = [Tensor(array) for array in operands[carries + slices:]]
    made = [xp.empty((length, *value.shape), value.dtype) for value in body.outputs[carries:]]
    for i in reversed(range(length)) if reverse else range(length):
        found = body(*carry, *(Tensor(x[i, ...]) for x in rows), *consts)
        carry = found[:carries]
        for all_steps, y in zip(made, found[carries:], strict=True):
            all_steps[i, ...] = y.array
    return (*(x.array for x in carry), *made)


def _runner(body: Callable[..., Any]) -> Callable[..., Any]:
    """Runs an op whose body applies ops in turn: those are neither traced nor recorded."""
    def run(*arrays: Any, **attributes: Any) -> Any:
        before = state.interpreter, state.met, state.control
        state.interpreter = state.met = state.control = None
        try:
            return run_with(False, body, one_device(arrays).xp, *arrays, **attributes)
        finally:
            state.interpreter, state.met, state.control = before
    return run


for _name in ("cond", "while_loop", "scan"):
    OPS[_name].run = _runner(OPS[_name].body)
