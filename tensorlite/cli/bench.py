"""Measures tensorlite beside NumPy, and PyTorch where it is installed."""

from __future__ import annotations

import argparse
from importlib import import_module

#: The modules of `tensorlite.benchmarks` that have a ``main``; imported when asked for, PyTorch with them.
SUITES = ("eager", "kernels", "jit", "gpu")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options; those of a benchmark are its own, and `--help` after its name shows them."""
    parser.add_argument("suite", choices=SUITES, help="what to measure")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of the benchmark")


def run(options: argparse.Namespace) -> int:
    """Runs a benchmark with its own options."""
    return int(import_module(f"tensorlite.benchmarks.{options.suite}").main(options.options))
