"""How large the parts of a value are when they are sent, and which of them are the largest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from funcx_async.errors import SerializationError

_SHOWN = 3
_MOST_OF_IT = 0.8
_DEEPEST = 20
_MOST_LOOKED_INTO = 1_000

Size = Callable[[Any], int]
"""Gives the characters that a value makes by itself; may raise what serializing it raises."""


class Sized(NamedTuple):
    """A part of what is sent.

    Attributes:
        path: where it is, such as ``args[0]['grid']``.
        size: characters that it makes by itself.
        kind: its type's name.
    """

    path: str
    size: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path} ({self.kind}, {in_words(self.size)})"


def in_words(size: int) -> str:
    """A number of characters for people: ``812 B``, ``5.0 kB``, ``13.3 MB``."""
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1e3:.1f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"


def sizes_of_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], size: Size) -> list[Sized]:
    """The sizes of the arguments of one task, in their order."""
    return [_sized(path, value, size) for path, value in _arguments(args, kwargs)]


def largest_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], size: Size) -> list[Sized]:
    """The largest arguments, or the parts that make most of them, the largest first."""
    found = []
    for path, value in _arguments(args, kwargs):
        found.append(_heart_of(_sized(path, value, size), value, size))
    return sorted(found, key=lambda part: -part.size)[:_SHOWN]


def too_large(size: int, limit: int, largest: Sequence[Sized]) -> SerializationError:
    """The error that says so, and which parts it is."""
    parts = ", ".join(map(str, largest))
    return SerializationError(
        f"The arguments make {size:,} bytes, and the service takes at most {limit:,} for one "
        f"task. The largest: {parts}. Keep large objects elsewhere and send their names."
    )


def _arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"args[{index}]", value) for index, value in enumerate(args))
    yield from ((f"kwargs[{name!r}]", value) for name, value in kwargs.items())


def _sized(path: str, value: Any, size: Size) -> Sized:
    return Sized(path, size(value), type(value).__qualname__)


def _heart_of(part: Sized, value: Any, size: Size) -> Sized:
    """Go down as long as one part of the value makes most of it."""
    for _ in range(_DEEPEST):
        inner = [(_sized(path, item, size), item) for path, item in _items(part.path, value)]
        largest, item = max(inner, key=lambda each: each[0].size, default=(None, None))
        if largest is None or largest.size < _MOST_OF_IT * part.size:
            break
        part, value = largest, item
    return part


def _items(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list | tuple) and len(value) > _MOST_LOOKED_INTO:
        return
    if type(value) is dict:
        yield from ((f"{path}[{key!r:.40}]", item) for key, item in value.items())
    elif type(value) in (list, tuple):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
    else:
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is dict and not isinstance(value, type):
            yield from ((f"{path}.{name}", item) for name, item in attributes.items())
