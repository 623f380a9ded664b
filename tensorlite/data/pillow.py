"""Pillow, which is optional: what to install is said by who needs it."""

from __future__ import annotations

import sys
from typing import Any

from tensorlite.data.missing import MissingPackage
from tensorlite.errors import complaint


def pillow(op: str, module: str = "Image") -> Any:
    """A module of Pillow's; raises `MissingPackage` for ``op`` where it is not installed."""
    try:
        return getattr(__import__(f"PIL.{module}"), module)
    except ImportError:
        raise complaint(MissingPackage, op, "reads or changes images by Pillow, which is not installed",
                        fix="pip install pillow, or 'tensorlite[demo]'") from None


def is_picture(image: Any) -> bool:
    """Whether something is an image of Pillow's; without importing it."""
    loaded = sys.modules.get("PIL.Image")
    return loaded is not None and isinstance(image, loaded.Image)
