"""Functions for tests to submit."""

from __future__ import annotations

from typing import Any


def add(a: int, b: int = 1) -> int:
    return a + b


def fail(message: str) -> None:
    raise ValueError(message)


def collect(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def size_of(text: str) -> int:
    return len(text)


async def later(value: int) -> int:
    return value
