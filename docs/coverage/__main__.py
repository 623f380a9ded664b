"""Writes `docs/coverage.md` anew."""

from __future__ import annotations

from pathlib import Path

from docs.coverage.page import tables, text

(Path(__file__).parents[1] / "coverage.md").write_text(text(tables()))
