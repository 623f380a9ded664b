"""Measurements beside rivals: ``tensorlite bench eager`` runs `eager`, ``python -m tensorlite.benchmarks.gpu`` the GPU's."""
