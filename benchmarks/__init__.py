"""Benchmarks, run by `tensorlite bench NAME`: each module has ``main(argv) -> exit code``.

A measurement runs its rivals side by side, alternating, in one process tree, and says what it ran on.
"""
