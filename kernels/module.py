"""Modules: a kernel's LLVM text, and beside it the texts of the parts that it may share with other kernels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

PART = "part_"
"""What the names of parts begin with."""


@dataclass(frozen=True, slots=True)
class Module:
    """The text of a module, and those of the functions that it calls, by their names: a part comes after its own."""

    text: str
    parts: Mapping[str, str] = field(default_factory=dict)


def part_name(*facts: str) -> str:
    """Return the name of a part, of which the facts say everything: equal parts have equal names."""
    return PART + hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
