"""Another module of the application."""

from __future__ import annotations

FACTOR = 10
UNUSED = object()


def scale(x: int) -> int:
    return x * FACTOR


class Tool:
    def __init__(self, size: int) -> None:
        self.size = scale(size)
