"""Graphs: traced from plain Python, printed, parsed, verified, evaluated and rewritten by passes."""
