"""Op: one declaration, from which eager runs, derivatives, methods, stubs, docs and tests are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tensorlite.kernels import scalar as s
from tensorlite.tensor_type import GROUPS

KINDS = ("elementwise", "movement", "reduce", "contract", "index", "create", "fused", "opaque", "effect")

#: Every declared op by name: what generated tests, stubs and docs read.
OPS: dict[str, Op] = {}


@dataclass(frozen=True, slots=True)
class Integers:
    """A sample input: random integers of ``[low, high)``."""

    shape: tuple[int, ...]
    low: int
    high: int
    dtype: str = "int64"

    def draw(self, random: np.random.Generator, *leading: int) -> np.ndarray:
        """Such integers; ``leading`` extents come before those of the shape."""
        return np.asarray(random.integers(self.low, self.high, (*leading, *self.shape))).astype(self.dtype)


class Regular(tuple[int, ...]):
    """A sample input: matrices of this shape that are far from singular, diagonals 2, 4, 6, ... and little beside.

    So their eigenvalues and singular values are apart, and their Hermitian parts positive definite.
    """

    def draw(self, random: np.random.Generator, dtype: np.dtype) -> np.ndarray:
        """Such matrices of a dtype."""
        rows, columns = self[-2:]
        beside: Any = random.uniform(-0.3, 0.3, self)
        if dtype.kind == "c":
            beside = beside + 1j * random.uniform(-0.3, 0.3, self)
        return np.asarray(beside + 2 * np.eye(rows, columns) * np.arange(1, columns + 1)).astype(dtype)


@dataclass(frozen=True, init=False)
class Sample:
    """One call that generated tests make: shapes (or `Integers`) of the inputs, then attributes."""

    inputs: tuple[tuple[int, ...] | Integers, ...]
    attributes: Mapping[str, Any]

    def __init__(self, *inputs: tuple[int, ...] | Integers, **attributes: Any) -> None:
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "attributes", attributes)


@dataclass(eq=False)
class Op:
    """A primitive operation on arrays.

    `body` computes it with the array module it is given. `type_rule` maps input types to the output's type, or
    raises what is wrong. `rules` gives, by input, the derivative: a function in Tensor ops whose parameter names
    say what the tape must save (``g`` the cotangent, ``y`` the output, else inputs and attributes by name). The last
    input of a `variadic` op stands for any number of like ones. `meaning`, where there is one, spells the op in other
    ops, on tensors with elements: what a compiler fuses; it gives None for inputs of which the op itself says as much,
    or has a better kernel. `batch` says how the op maps over a batch where that does not follow from its kind and
    attributes (`batch.rule_for`). ``native_size`` says from how many elements on kernels are worth a call where that is
    not as for most ops. ``autocast`` says what it takes in mixed precision: "narrow" the 16-bit dtype, "wide" float32,
    None what it is given. ``runner`` makes, of the op, the function `run` that computes it on arrays.
    """

    name: str
    kind: str
    body: Callable[..., Any]
    inputs: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    variadic: bool = False
    type_rule: Callable[..., Any] | None = None
    rules: dict[str, Callable[..., Any]] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    meaning: Callable[..., Any] | None = None
    batch: Callable[..., Any] | None = None
    native_size: int | None = None
    autocast: str | None = None
    runner: Callable[[Any], Callable[..., Any]] = field(default=None, repr=False)  # type: ignore[assignment]
    plans: dict[Any, Any] = field(init=False, repr=False, default_factory=dict)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @cached_property
    def run(self) -> Callable[..., Any]:
        """Computes the op on arrays; made when it is first wanted, for most programs use few of all ops."""
        return self.runner(self)

    def input_name(self, index: int) -> str:
        """The name of an input; those past the last declared one are more of a variadic one."""
        return self.inputs[min(index, len(self.inputs) - 1)]

    @property
    def is_differentiable(self) -> bool:
        """Whether any input has a derivative."""
        return bool(self.rules)


@dataclass(eq=False, repr=False)
class Elementwise(Op):
    """An op that is one scalar function of its broadcast inputs.

    `accepts` names a group of dtypes; `conditions` are the inputs that are bool whatever the others are; `domain`
    says where tests draw each input from; `stated` holds derivatives that are better than the chain rule's.
    """

    function: s.Function = None  # type: ignore[assignment]
    accepts: str = "numeric"
    conditions: frozenset[str] = frozenset()
    domain: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    stated: Mapping[str, Callable[..., s.Expr]] = field(default_factory=dict)
    differentiable: bool = True
    results: dict[np.dtype, np.dtype] = field(init=False, repr=False, default_factory=dict)

    @property
    def is_differentiable(self) -> bool:
        """Whether any input has a derivative."""
        return self.differentiable

    @cached_property
    def promotes(self) -> bool:
        """Whether integers are taken too, as the default float."""
        return self.accepts in ("floating", "real floating")

    @cached_property
    def dtypes(self) -> frozenset[np.dtype]:
        """The dtypes that it computes in."""
        return GROUPS[self.accepts]

    def result_dtype(self, dtype: np.dtype) -> np.dtype:
        """The dtype that inputs of ``dtype`` give."""
        found = self.results.get(dtype)
        if found is None:
            env = {name: np.dtype(bool) if name in self.conditions else dtype for name in self.inputs}
            found = self.results[dtype] = s.infer(self.function.body, env)
        return found
