"""What every test shares: a cache folder, hypothesis without chance, verified loops, and interrupts that arrive."""

from __future__ import annotations

import os
import signal
import tempfile

import hypothesis

hypothesis.settings.register_profile("tensorlite", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("tensorlite")


def pytest_configure(config):
    """Gives the whole run, its workers and its child processes one cache folder, empty at first.

    A shell starts what runs in the background with interrupts ignored, and so would be the tests' child processes.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "TENSORLITE_CACHE_DIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="tensorlite-tests-")
        os.environ["TENSORLITE_CACHE_DIR"] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_collection_finish(session):
    """Has every kernel's loops verified that a test compiles; imported now, as collecting tests imports it too."""
    from tensorlite.kernels.generated import launch

    launch.VERIFIES = True
