"""Tensors in files: safetensors, written atomically, read with every check, and no pickle."""

from tensorlite.io.checkpoint import load, save
from tensorlite.io.files import FormatError
from tensorlite.io.safetensors import read_metadata
from tensorlite.io.state import describe_mismatch

__all__ = ["FormatError", "describe_mismatch", "load", "read_metadata", "save"]
