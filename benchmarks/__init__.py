"""Measurements beside rivals: ``tensorlite bench eager``, and ``python -m tensorlite.benchmarks.gpu`` on a GPU."""
