"""The rounds of Philox4x32-10 as statements of loops, for counters in lanes.

Words are kept in 64 bits, so that a multiplication gives both halves of its product.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorlite.kernels import loops
from tensorlite.kernels import scalar as s
from tensorlite.kernels.loops import Assign, Let, Local, Statement
from tensorlite.kernels.philox import LOW, MULTIPLIERS, ROUNDS, WEYL


def words(name: str, counter: Sequence[s.Expr], key: Sequence[s.Expr]) -> tuple[list[Statement], list[s.Expr]]:
    """Return what turns a counter's words into random ones, and these; all are uint64 below 2**32."""
    mixed = [s.Var(f"{name}{k}") for k in range(4)]
    keys = [s.Var(f"{name}_key{k}") for k in range(2)]
    head = [Local(word.name, value) for word, value in zip([*mixed, *keys], [*counter, *key], strict=True)]
    return [*head, loops.serial(f"{name}_round", ROUNDS, *_round(name, mixed, keys))], [*mixed]


def _round(name: str, words: Sequence[s.Var], keys: Sequence[s.Var]) -> list[Statement]:
    first, second = (s.Var(f"{name}_product{k}") for k in range(2))
    news = ((second >> 32) ^ words[1] ^ keys[0], second & LOW, (first >> 32) ^ words[3] ^ keys[1], first & LOW)
    return [
        Let(first.name, words[0] * MULTIPLIERS[0]),
        Let(second.name, words[2] * MULTIPLIERS[1]),
        *(Let(f"{name}_next{k}", new) for k, new in enumerate(news)),
        *(Assign(word.name, s.Var(f"{name}_next{k}")) for k, word in enumerate(words)),
        *(Assign(key.name, (key + step) & LOW) for key, step in zip(keys, WEYL, strict=True)),
    ]
