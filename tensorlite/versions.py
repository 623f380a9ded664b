"""How often something changed that a compiled function may have read as it was traced: options, modules' attributes.

Whoever changes such a thing calls `changed`; whoever relies on them compares `latest` with what it was, and looks
closer only where it differs.
"""

from __future__ import annotations

import itertools

_numbers = itertools.count(1)
latest = 0


def changed() -> None:
    """Tells compiled functions to look again at what they read."""
    global latest
    latest = next(_numbers)
