"""Derivatives stated for plain functions of containers, as users of JAX write them: `custom_vjp` and `custom_jvp`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

from tensorlite import errors
from tensorlite.backward import zeros
from tensorlite.custom import Context, Function
from tensorlite.modes import enable_grad, run_with
from tensorlite.tensor import Tensor
from tensorlite.transforms import vjp
from tensorlite.tree import flatten


class _Ruled:
    """What both share: the function, which of its arguments are no tensors to differentiate by, and the call."""

    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        functools.update_wrapper(cast(Callable[..., Any], self), function, updated=())
        self.function = function
        self.nondiff_argnums = tuple(nondiff_argnums)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(cast(Callable[..., Any], self), instance)

    def _arguments(self, arguments: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], list[Any], list[int]]:
        """All arguments by position, and those that are constant and those to differentiate by, with their places."""
        if kwargs:
            bound = inspect.signature(self.function).bind(*arguments, **kwargs)
            bound.apply_defaults()
            arguments = bound.args
        constant = {number % len(arguments) for number in self.nondiff_argnums} if arguments else set()
        places = [i for i in range(len(arguments)) if i not in constant]
        return [arguments[i] for i in sorted(constant)], [arguments[i] for i in places], places

    def _whole(self, constants: Sequence[Any], chosen: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """The arguments in their order."""
        rest, found = iter(constants), dict(zip(places, chosen, strict=True))
        return [found[i] if i in found else next(rest) for i in range(len(constants) + len(chosen))]

    def _missing(self, how: str) -> errors.TensorliteError:
        return errors.complaint(errors.GradientError, getattr(self, "__name__", type(self).__name__),
                                "its derivative was not stated", None, f"define it: {how}")


class custom_vjp(_Ruled):
    """A function whose cotangents are stated, as `jax.custom_vjp`.

    ``defvjp(forward, backward)``: ``forward`` takes the arguments and returns the value and what is to be kept, and
    ``backward(kept, cotangent)`` returns a tuple of cotangents, one for each argument, of its structure; None is zero.
    Arguments that ``nondiff_argnums`` names are constants, which ``backward`` takes first. What ``forward`` keeps and
    ``backward`` computes is recorded itself, for higher derivatives.

    >>> import tensorlite as tl
    >>> @tl.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (tl.clip(g, -1, 1),))
    >>> tl.grad(lambda x: (clipped(x) * 5).sum())(tl.tensor([1.0, 2.0]))
    tensor([1., 1.])
    """

    forward: Callable[..., Any] | None = None
    backward: Callable[..., Any] | None = None

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """States the derivative."""
        self.forward, self.backward = forward, backward

    def __call__(self, *arguments: Any, **kwargs: Any) -> Any:
        if self.forward is None or self.backward is None:
            raise self._missing(f"{self.function.__name__}.defvjp(forward, backward)")
        constants, chosen, places = self._arguments(arguments, kwargs)
        leaves, rebuild = flatten(tuple(chosen))
        call = _Call(lambda given: self.forward(*self._whole(constants, rebuild(iter(given)), places)), leaves)  # type: ignore[misc]
        call.cotangents = lambda kept, g: self._cotangents(constants, kept, g, chosen)
        return call.run()

    def _cotangents(self, constants: Sequence[Any], kept: Any, g: Any, chosen: Sequence[Any]) -> list[Any]:
        found = self.backward(*constants, kept, g)  # type: ignore[misc]
        if not isinstance(found, list | tuple) or len(found) != len(chosen):
            given = f"{len(found)} cotangents" if isinstance(found, list | tuple) else type(found).__name__
            raise errors.complaint(errors.GradientError, getattr(self, "__name__", "custom_vjp"),
                                   f"backward returned {given} for {len(chosen)} arguments", None,
                                   "return a tuple of one for each argument")
        return [leaf for part, x in zip(found, chosen, strict=True)
                for leaf in ([None] * len(flatten(x)[0]) if part is None else flatten(part)[0])]


class custom_jvp(_Ruled):
    """A function whose tangents are stated, as `jax.custom_jvp`; its cotangents follow by transposing them.

    ``defjvp`` takes ``rule(primals, tangents)``, which returns the value and its tangent, linear in the tangents;
    ``defjvps`` takes one ``rule(tangent, value, *primals)`` for each argument, None for one that does not count.
    Arguments that ``nondiff_argnums`` names are constants, which a rule of ``defjvp`` takes first.

    >>> import tensorlite as tl
    >>> @tl.custom_jvp
    ... def softly(x):
    ...     return tl.log1p(tl.exp(x))
    >>> @softly.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return softly(x), t / (1 + tl.exp(-x))
    >>> tl.grad(softly)(tl.tensor(0.0))
    tensor(0.5)
    """

    rule: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """States the derivative, and returns the rule."""
        self.rule = rule
        return rule

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """States the derivative by one rule for each argument."""
        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            value = self(*primals)
            parts = [each(t, value, *primals) for each, t in zip(rules, tangents, strict=True) if each is not None]
            return value, sum(parts[1:], parts[0]) if parts else zeros(value.shape, value.dtype)
        self.rule = rule

    def __call__(self, *arguments: Any, **kwargs: Any) -> Any:
        if self.rule is None:
            raise self._missing(f"@{self.function.__name__}.defjvp")
        constants, chosen, places = self._arguments(arguments, kwargs)
        leaves, rebuild = flatten(tuple(chosen))

        def forward(given: Sequence[Any]) -> tuple[Any, Any]:
            value = run_with(False, self.function, *self._whole(constants, rebuild(iter(given)), places))
            return value, tuple(given)

        def cotangents(primals: Sequence[Any], g: Any) -> list[Any]:
            def move(*tangents: Any) -> Any:
                moved = [_still(x) if t is None else t
                         for x, t in zip(primals, _spread(tangents, tracked, len(leaves)), strict=True)]
                return self.rule(*constants, rebuild(iter(primals)), rebuild(iter(moved)))[1]  # type: ignore[misc]

            tracked = [i for i, x in enumerate(leaves) if isinstance(x, Tensor) and x.node is not None]
            still = [zeros(leaves[i].shape, leaves[i].dtype) for i in tracked]
            return _spread(vjp(move, *still)[1](g), tracked, len(leaves))

        call = _Call(forward, leaves)
        call.cotangents = cotangents
        return call.run()


def _still(x: Any) -> Any:
    """The tangent of an argument that does not move; of what is no number, None."""
    if isinstance(x, Tensor):
        return zeros(x.shape, x.dtype)
    return 0.0 if isinstance(x, int | float | complex) else None


def _spread(values: Sequence[Any], places: Sequence[int], count: int) -> list[Any]:
    """Values in their places, None elsewhere."""
    found = dict(zip(places, values, strict=True))
    return [found.get(i) for i in range(count)]


class _Call:
    """One call: how to compute the value and what is kept, and how to get cotangents of the leaves of the arguments."""

    def __init__(self, forward: Callable[[Sequence[Any]], tuple[Any, Any]], leaves: Sequence[Any]) -> None:
        self.forward, self.leaves = forward, leaves
        self.cotangents: Callable[[Any, Any], list[Any]]
        self.rebuild: Callable[..., Any]

    def run(self) -> Any:
        made = _Stated.apply(self, *self.leaves)
        return self.rebuild(iter(made))


class _Stated(Function):
    """The node of a call."""

    @staticmethod
    @enable_grad()
    def forward(context: Context, call: _Call, *leaves: Any) -> Any:
        value, kept = call.forward(leaves)
        outputs, call.rebuild = flatten(value)
        residuals, context.rebuild = flatten(kept)  # type: ignore[attr-defined]
        context.constants = [None if isinstance(x, Tensor) else x for x in residuals]  # type: ignore[attr-defined]
        context.save_for_backward(*(x if isinstance(x, Tensor) else None for x in residuals))
        context.call, context.structure = call, call.rebuild  # type: ignore[attr-defined]
        return tuple(Tensor(y.array) if isinstance(y, Tensor) else y for y in outputs)

    @staticmethod
    def backward(context: Context, *cotangents: Tensor) -> Any:
        given: Any = context
        kept = given.rebuild(iter([x if constant is None else constant
                                   for x, constant in zip(context.saved_tensors, given.constants, strict=True)]))
        return (None, *given.call.cotangents(kept, given.structure(iter(cotangents))))
