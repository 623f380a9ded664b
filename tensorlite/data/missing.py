"""What is said where something is not there: a package, or the files of a dataset."""

from __future__ import annotations

from tensorlite.errors import TensorliteError


class MissingPackage(TensorliteError, ImportError):
    """An optional package that is not installed."""


class DatasetMissing(TensorliteError, FileNotFoundError):
    """A dataset whose files are not where they were looked for."""
