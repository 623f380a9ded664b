"""Measures tensorlite beside NumPy, and PyTorch where it is installed."""

from __future__ import annotations

import argparse
from importlib import import_module
from pkgutil import iter_modules

from tensorlite import benchmarks


def suites() -> list[str]:
    """The names of the benchmarks: the modules of `tensorlite.benchmarks` that have a ``main``."""
    return sorted(module.name for module in iter_modules(benchmarks.__path__) if not module.name.startswith("_"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options; those of a benchmark are its own, and `--help` after its name shows them."""
    parser.add_argument("suite", choices=suites(), help="what to measure")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of the benchmark")


def run(options: argparse.Namespace) -> int:
    """Runs a benchmark with its own options."""
    return int(import_module(f"{benchmarks.__name__}.{options.suite}").main(options.options))
