"""Values made of exact built-in types alone: the C pickler writes them as dill does, but faster."""

from __future__ import annotations

import pickle
from typing import Any, NoReturn

from funcx_async.serialize.bounded import BoundedFile
from funcx_async.serialize.by_value import PROTOCOL


def dump_plain(value: object, at_most: int | None = None) -> bytes | None:
    r"""Pickle a value if it is made of exact built-in types alone, all the way down.

    The types are None, bool, int, float, str, bytes, tuple, list, dict, set and frozenset, not
    their subclasses. The bytes are those of dill, except where a list or dict has a multiple of
    1,000 items or one more, or a set a multiple of 1,000: there the two picklers end the last
    batch of items with different opcodes of the same meaning.

    Args:
        value: Any object; it may contain itself.
        at_most: Stop after so many bytes.

    Returns:
        The pickle, or None if something in the value is not plain.

    Raises:
        TooMuch: It makes more bytes.

    Example:
        >>> dump_plain((1, None)), dump_plain((1, 2j))
        (b'\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00K\x01N\x86\x94.', None)
    """
    file = BoundedFile(at_most)
    try:
        _PlainPickler(file, PROTOCOL).dump(value)
    except _NotPlainError:
        return None
    return file.getvalue()


class _NotPlainError(Exception):
    pass


class _PlainPickler(pickle.Pickler):
    """The C pickler, which writes exact built-in types by itself and asks about all others."""

    def reducer_override(self, value: Any) -> NoReturn:
        raise _NotPlainError
