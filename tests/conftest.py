"""What every test shares: a cache folder of its own, and hypothesis without chance."""

from __future__ import annotations

import os
import tempfile

import hypothesis

hypothesis.settings.register_profile("tensorlite", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("tensorlite")


def pytest_configure(config):
    """Gives the whole run, its workers and its child processes one cache folder, empty at first."""
    if "TENSORLITE_CACHE_DIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="tensorlite-tests-")
        os.environ["TENSORLITE_CACHE_DIR"] = folder.name
        config.add_cleanup(folder.cleanup)
