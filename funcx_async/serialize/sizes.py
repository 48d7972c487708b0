"""How large the parts of a value are when they are sent, and which of them are the largest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from funcx_async.errors import SerializationError
from funcx_async.serialize import pickled
from funcx_async.serialize.payloads import TooMuch, decoded_size, encoded_size

_SHOWN = 3
_MOST_OF_IT = 0.8
_DEEPEST = 20
_MOST_LOOKED_INTO = 1_000
_MOST_ENCODED = 1_000_000
"""Characters of a text that are encoded, to learn the size of all of it."""
_SMALL = 100_000
"""Bytes up to which a value is simply pickled, to learn its size."""
_MOST_PICKLED = 8_000_000
"""Bytes that one part is pickled for, to learn its size: more are too large for any task."""

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
    """Return a number of bytes for people: ``812 B``, ``5.0 kB``, ``13.3 MB``."""
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


def too_large(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    limit: int,
    size: Size,
    *,
    encoded: bool = False,
) -> SerializationError:
    """Return the error that says how large the arguments are, and which parts of them are.

    Args:
        args: the positional arguments.
        kwargs: the keyword arguments.
        limit: how many characters the service takes.
        size: gives the size of a part, before it is encoded.
        encoded: whether the parts are then written as base64.
    """
    whole = sum(part.size for part in sizes_of_arguments(args, kwargs, size))
    largest = largest_arguments(args, kwargs, size)
    parts = ", ".join(map(str, largest))
    if not encoded:
        told = f"make {in_words(whole)}"
        allowed = f"{limit:,} bytes"
    else:
        most = decoded_size(limit)
        # An estimate that stopped early says how much there is at least.
        about = f"about {in_words(whole)}"
        if whole <= most:
            about = f"more than {in_words(most)}"
            parts = ", ".join(f"{part.path} ({part.kind})" for part in largest)
        told = f"make {about} ({in_words(encoded_size(max(whole, most)))} when encoded)"
        allowed = f"{limit:,} bytes when encoded, which is {in_words(most)} of data"
    return SerializationError(
        f"The arguments {told}, and the service takes at most {allowed}, for one task. "
        f"The largest: {parts}. Keep large objects elsewhere and send their names."
    )


def estimated_size(value: Any) -> int:
    """Return about how many bytes a value makes when it is pickled, in milliseconds.

    Long containers are judged by a sample. Of what is not built in, pickling stops at the size
    that is too large anyway, so there can be more.

    Raises:
        Exception: whatever pickling a part of it raises.
    """
    if isinstance(value, bytes | bytearray):
        return len(value)
    if isinstance(value, str):
        begin = value[:_MOST_ENCODED]
        size = len(begin.encode("utf-8", "surrogatepass"))
        return size if begin == value else size * len(value) // len(begin)
    if isinstance(value, list | tuple | set | frozenset | dict) and len(value) > _MOST_LOOKED_INTO:
        return _size_by_sample(value)
    buffer = _size_of_buffer(value)
    if buffer is not None:
        return buffer
    try:
        return len(pickled.dump(value, at_most=_SMALL))
    except TooMuch:
        pass  # some item makes most of it, or it has none
    items = {id(item): item for _, item in _items("", value)}
    return sum(map(estimated_size, items.values())) if items else _size_of_pickle(value)


def _size_by_sample(
    container: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any] | dict[Any, Any],
) -> int:
    if isinstance(container, list | tuple):
        sample = list(container[:: len(container) // _MOST_LOOKED_INTO])
    else:
        items = container.items() if isinstance(container, dict) else container
        sample = list(islice(items, _MOST_LOOKED_INTO))
    try:
        size = len(pickled.dump(sample, at_most=_MOST_PICKLED))
    except TooMuch:
        size = sum(map(estimated_size, sample))
    return size * len(container) // len(sample)


def _size_of_buffer(value: Any) -> int | None:
    """Return the size of an array of numbers, of NumPy or the standard library."""
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError):
        return None
    return None if "O" in view.format else view.nbytes


def _size_of_pickle(value: Any) -> int:
    try:
        return len(pickled.dump(value, at_most=_MOST_PICKLED))
    except TooMuch as stopped:
        return stopped.size


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
