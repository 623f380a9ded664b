"""Optimizers whose step is one rule for all elements: many parameters are moved by one native call."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

from tensorlite.errors import ArgumentError, complaint
from tensorlite.ops.shape import astype
from tensorlite.optim.optimizer import Optimizer
from tensorlite.optim.options import Group
from tensorlite.optim.rule import Rule, replace
from tensorlite.optim.scalars import count
from tensorlite.state import state as thread
from tensorlite.tensor import Tensor


class ByRule(Optimizer):
    """The base of optimizers that give a ``rule`` of a group, and the ``numbers`` that it takes at a count of steps."""

    by_pairs = True
    joins: ClassVar[bool] = True  # whether parameters whose state has begun are moved by the rule alone

    def __init_subclass__(cls) -> None:
        if "update" in vars(cls) and "joins" not in vars(cls):
            cls.joins = False

    def rule(self, group: Group) -> Rule:
        """What a step makes of each element."""
        raise complaint(ArgumentError, type(self).__name__, "the optimizer has no rule method", None,
                        "define rule(self, group)")

    def kept(self, group: Group) -> tuple[str, ...]:
        """The names of what the rule takes from a parameter's state."""
        return ()

    def numbers(self, step: Any, group: Group) -> dict[str, Any]:
        """The numbers that the rule takes, given how many steps there were, if the state counts them."""
        return {}

    def update(self, p: Tensor, g: Tensor, state: dict[str, Any], group: Group) -> None:
        step = count(state) if "step" in state else None
        self.rule(group).apply({"p": p, "grad": g, **{key: state[key] for key in self.kept(group)}},
                               self.numbers(step, group))

    def _step_group(self, group: Group) -> None:
        if not self.joins or thread.interpreter is not None or thread.met is not None:
            super()._step_group(group)
            return
        kept, rows = self.kept(group), defaultdict[Any, list[tuple[Tensor, ...]]](list)
        copied: list[tuple[Tensor, Tensor]] = []
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            state = self.state[p]
            begun = all(key in state for key in kept) and (state or not self.master_weights)
            if not begun or g.shape != p.shape or p.dtype.kind == "c":
                self._step_one(p, g, group)
                continue
            if "master_param" in state:
                copied.append((p, state["master_param"]))
                p, g = state["master_param"], astype(g, state["master_param"].dtype)
            step = count(state) if "step" in state else None
            rows[step].append((p, g, *[state[key] for key in kept]))
        for step, together in rows.items():
            self.rule(group).apply_all(("p", "grad", *kept), together, self.numbers(step, group))
        for p, master in copied:
            replace(p, astype(master, p.dtype))
