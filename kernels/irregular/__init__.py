"""Irregular loops (sorting, choosing, searching, suppressing) as plain Python, which Numba compiles once a machine."""
