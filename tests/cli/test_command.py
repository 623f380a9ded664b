"""The command line: its parts, its exit codes, and messages without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tensorlite as tl
from tensorlite.cli import bench, main
from tensorlite.errors import ArgumentError


def test_version_and_help(capsys):
    for argument, expected in (("--version", f"tensorlite {tl.__version__}\n"), ("--help", "demo")):
        with pytest.raises(SystemExit) as end:
            main([argument])
        assert end.value.code == 0
        assert expected in capsys.readouterr().out


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


def test_the_module_and_the_script_are_the_command():
    for command in ([sys.executable, "-m", "tensorlite"], [str(Path(sys.executable).with_name("tensorlite"))]):
        process = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
        assert process.stdout == f"tensorlite {tl.__version__}\n"


@pytest.mark.parametrize("name", bench.SUITES)
def test_each_benchmark_explains_its_options(name, capsys):
    with pytest.raises(SystemExit) as end:
        main(["bench", name, "--help"])
    assert end.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_options_of_a_benchmark_reach_it(monkeypatch):
    given = []
    monkeypatch.setattr("tensorlite.benchmarks.eager.main", lambda options: given.append(options) or 3)
    assert main(["bench", "eager", "--threads", "1", "2", "--quick"]) == 3
    assert given == [["--threads", "1", "2", "--quick"]]


@pytest.mark.parametrize(("error", "code", "text"), [
    (ArgumentError("what: is wrong"), 1, "tensorlite doctor: what: is wrong\n"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
], ids=["mistake", "interrupt"])
def test_what_ends_a_command_is_said_without_a_traceback(monkeypatch, capsys, error, code, text):
    def fail(options):
        raise error

    monkeypatch.setattr("tensorlite.cli.doctor.run", fail)
    assert main(["doctor"]) == code
    assert capsys.readouterr().err == text
