"""The pages: their commands run as written, their programs give what they show, their links lead somewhere."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Commands that fetch or that the tests themselves are; they are read and not run.
NOT_RUN = ("git clone", "cd ", "python3 -m venv", "pip install", "source ", ". ", ".ci/run")


def blocks(page: str, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of some languages."""
    return [body for language, body in FENCE.findall((ROOT / page).read_text()) if language in languages]


COMMANDS = sorted({(page, line.partition("  #")[0].strip()) for page in PAGES for body in blocks(page, "sh", "bash")
                   for line in body.splitlines() if line.strip() and not line.startswith("#")})


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_run_as_written(page, command, tmp_path):
    """`make` is planned, not run: it would make another environment; `tensorlite` runs as it stands there."""
    words = shlex.split(command)
    if command.startswith(NOT_RUN):
        return
    if words[0] == "make":
        words = ["make", "--dry-run", "--directory", str(ROOT), *words[1:]]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python", "pycon")])
def test_programs_give_what_they_show(page, tmp_path, monkeypatch):
    """A page's programs run in order, as a reader would run them, each knowing the names of those before."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for body in blocks(page, "python", "pycon"):
        if ">>> " in body:
            test = doctest.DocTestParser().get_doctest(body, names, page, page, 0)
            assert runner.run(test, clear_globs=False).failed == 0
            names.update(test.globs)
        else:
            exec(compile(body, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text())
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_the_licence_is_there():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 the tensorlite authors\n")
