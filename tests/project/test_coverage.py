"""`docs/coverage.md` says what is here: it is what `make coverage` writes."""

from __future__ import annotations

import re

import pytest
from sources import ROOT

coverage = pytest.importorskip("docs.coverage.page", reason="it compares with PyTorch", exc_type=ImportError)

PAGE = (ROOT / "docs/coverage.md").read_text()
VERSION, = re.findall(r"from PyTorch (\S+)", PAGE)

if coverage.version() != VERSION:
    pytest.skip(f"the page is about PyTorch {VERSION}", allow_module_level=True)


@pytest.fixture(scope="module")
def tables():
    return coverage.tables()


def test_the_page_is_what_would_be_written_now(tables):
    assert PAGE.splitlines() == coverage.text(tables).splitlines()


def test_every_reason_is_given_somewhere(tables):
    given = {line.remark for lines in tables.values() for line in lines if not line.is_here}
    assert {said for _, said in coverage.REASONS} - given == set()


def test_the_standard_is_complete(tables):
    assert [line for title, lines in tables.items() if title.startswith("array API") for line in lines
            if not line.is_here] == []
