"""A file for a pickle that ends as soon as the pickle is too long."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from funcx_async.errors import SerializationError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in the standard library since Python 3.12


class TooMuch(SerializationError):
    """A pickle is longer than its file may be; whoever asked for it says what that means.

    Attributes:
        size: how many bytes there were when it ended: there could have been more.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"it makes {size:,} bytes or more")
        self.size = size


class BoundedFile:
    """Takes so many bytes, and then raises :class:`TooMuch` at every write.

    Args:
        at_most: how many bytes it takes; None: any number.
    """

    __slots__ = ("_at_most", "_pieces", "_size")

    def __init__(self, at_most: int | None = None) -> None:
        self._at_most = sys.maxsize if at_most is None else at_most
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, content: Buffer) -> None:
        """Write bytes, unless there are too many by now."""
        piece = bytes(content)  # a pickler may use its buffer again
        self._size += len(piece)
        if self._size > self._at_most:
            raise TooMuch(self._size)
        self._pieces.append(piece)

    def getvalue(self) -> bytes:
        """Return all that was written."""
        return b"".join(self._pieces)
