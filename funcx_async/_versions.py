"""The version of this package, and comparing versions of others by their numbers."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Final

__version__: Final = version("funcx-async")


def numbers(text: str | None) -> tuple[int, ...]:
    """Return the numbers that a version begins with; empty for what is not a version.

    Example:
        >>> numbers("4.19.0rc1"), numbers("unknown")
        ((4, 19, 0), ())
    """
    found = re.match(r"\d{1,9}(\.\d{1,9})*", text or "")
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def is_older(version: str, minimum: str) -> bool:
    """Return whether ``version`` is below ``minimum``; a candidate counts as its release.

    Example:
        >>> is_older("4.9", "4.19.0"), is_older("4.19", "4.19.0"), is_older("4.19.0", "4.19.0rc1")
        (True, False, False)
    """
    ours, theirs = list(numbers(version)), list(numbers(minimum))
    length = max(len(ours), len(theirs))
    pad = [0] * length
    return (ours + pad)[:length] < (theirs + pad)[:length]
