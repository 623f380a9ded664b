"""Texts that a test holds in files of their own; `TENSORLITE_UPDATE_GOLDENS=1 pytest ...` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "jit" / "goldens"


def check_golden(name: str, text: str) -> None:
    """Asserts that a text is the one in the file of that name, or makes it so where that is asked for."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get("TENSORLITE_UPDATE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    expected = path.read_text() if path.exists() else ""
    assert text == expected, f"{path.name} says otherwise; TENSORLITE_UPDATE_GOLDENS=1 writes it anew"
