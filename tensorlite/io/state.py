"""What to say when saved values and a model do not fit each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def describe_mismatch(missing: Iterable[str], unexpected: Iterable[str],
                      misshapen: Iterable[tuple[str, Sequence[int], Sequence[int]]]) -> str:
    """Names every key by which a state dict does not fit a model; empty if it fits.

    ``misshapen`` holds ``(key, the model's shape, the state dict's shape)``.

    >>> print(describe_mismatch(["fc.bias"], ["head.bias"], [("fc.weight", (10, 64), (10, 32))]))
    missing, the model has it and the state dict does not:
      fc.bias
    unexpected, the state dict has it and the model does not:
      head.bias
    misshapen:
      fc.weight: the model has [10, 64], the state dict has [10, 32]
    """
    sections = {
        "missing, the model has it and the state dict does not:": list(missing),
        "unexpected, the state dict has it and the model does not:": list(unexpected),
        "misshapen:": [f"{key}: the model has {list(expected)}, the state dict has {list(found)}"
                       for key, expected, found in misshapen],
    }
    return "\n".join("\n  ".join((title, *keys)) for title, keys in sections.items() if keys)
