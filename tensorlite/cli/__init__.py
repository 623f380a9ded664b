"""The command `tensorlite`: demo, doctor and bench."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

import tensorlite
from tensorlite.cli import bench, demo, doctor
from tensorlite.errors import TensorliteError

#: The exit code of a program that an interrupt ended.
INTERRUPTED = 130
COMMANDS = {"demo": demo, "doctor": doctor, "bench": bench}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code; a user's mistake becomes one message and no traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(arguments)
    options.command_line = shlex.join(["tensorlite", *arguments])
    try:
        return int(COMMANDS[options.command].run(options))
    except TensorliteError as error:
        print(f"tensorlite {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tensorlite", description="An imperative tensor library in Python.")
    parser.add_argument("--version", action="version", version=f"tensorlite {tensorlite.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    return parser
