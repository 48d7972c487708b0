"""Payloads: pickles as base64 text, bounded in size, and read in steps where they are large.

A C function that runs long holds up every other thread, including the thread of an event loop, even
if it is called in a thread of its own. So large payloads are read in pieces, with a pause between
any two. Without the pause, a loop that returns from a system call would wait for the interpreter's
lock for 5 ms, as long as Python lets a thread keep it, and it makes several such calls in a turn.
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from typing import TYPE_CHECKING, Final

from funcx_async.errors import SerializationError

try:
    import pybase64 as base64
except ImportError:  # a Python without a wheel, and workers that have the package alone
    import base64  # type: ignore[no-redef]  # the same functions, slower

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in the standard library since Python 3.12


LINE: Final = 57
"""Bytes in a full line of text."""


def encode(content: bytes) -> str:
    r"""Write bytes as base64 in lines of 76 characters, each ended by a newline.

    Example:
        >>> encode(b"abc")
        'YWJj\n'
    """
    return base64.encodebytes(content).decode("ascii")


def decode(text: str) -> bytes:
    r"""Read base64; characters that are not of its alphabet, newlines among them, are skipped.

    Raises:
        ValueError: The padding is wrong, or the text is not ASCII.

    Example:
        >>> decode("YWJj\n")
        b'abc'
    """
    return base64.b64decode(text)


def encoded_size(size: int) -> int:
    """Return how many characters so many bytes make.

    Example:
        >>> encoded_size(3) == len(encode(b"abc"))
        True
    """
    return 4 * -(-size // 3) + -(-size // LINE)


def decoded_size(size: int) -> int:
    """Return how many bytes fit in so many characters.

    Example:
        >>> decoded_size(10_000_000)
        7402596
    """
    lines, rest = divmod(size, 77)  # characters of a full line, its newline included
    return LINE * lines + max(0, rest - 1) // 4 * 3


# Large payloads

LARGE: Final = 256 * 1024
"""Characters, or bytes, that take about a millisecond to read: less is not worth a thread."""

STEP: Final = 4_096 * 77
"""Characters of base64 in one piece: whole lines, as they usually are, and whole groups of four."""

GIL_PAUSE_SECONDS: Final = 0.0002
"""Seconds between two pieces: long enough for a thread that waits to wake up and go on."""


def decode_large(text: str, *, step: int = STEP) -> bytes:
    """Read base64, as :func:`decode` does.

    Args:
        text: the base64.
        step: how many characters are read at once; a multiple of four.

    Raises:
        ValueError: it is not base64, or not ASCII.
    """
    pieces: list[bytes] = []
    for begin in range(0, len(text), step):
        piece = text[begin : begin + step]
        try:
            pieces.append(decode(piece))
        except ValueError:
            return decode(text)
        # Not so many if something else is in between: a piece may then begin inside of a group.
        last = begin + step >= len(text)
        if not last and 4 * len(pieces[-1]) != 3 * (len(piece) - piece.count("\n")):
            return decode(text)
        yield_gil()
    return b"".join(pieces)


class SteppedFile:
    """A file of bytes for an unpickler, which comes back here for each step.

    Args:
        content: what is in the file.
    """

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes."""
        return self._file.read(size)

    def readline(self) -> bytes:
        """Return the bytes up to the next end of a line."""
        return self._file.readline()

    def readinto(self, buffer: bytearray) -> int:
        """Fill ``buffer``, and return the number of bytes."""
        room, filled = memoryview(buffer), 0
        while read := self._file.readinto(room[:STEP]):
            filled += read
            room = room[read:]
            if len(room):
                yield_gil()
        return filled

    def peek(self, size: int) -> bytes:
        """Return the next bytes without consuming them."""
        position = self._file.tell()
        found = self._file.read(size)
        self._file.seek(position)
        return found


def yield_gil() -> None:
    """Let other threads run, unless this is the thread of an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        time.sleep(GIL_PAUSE_SECONDS)


# Bounded pickles


class TooMuch(SerializationError):
    """A pickle is longer than its file may be; the caller decides what that means.

    Attributes:
        size: how many bytes there were when it ended: there could have been more.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"it makes {size:,} bytes or more")
        self.size = size


class BoundedFile:
    """Accepts a number of bytes, and then raises :class:`TooMuch` at every write.

    Args:
        at_most: how many bytes it takes; None: any number.
    """

    __slots__ = ("_at_most", "_pieces", "_size")

    def __init__(self, at_most: int | None = None) -> None:
        self._at_most = sys.maxsize if at_most is None else at_most
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, content: Buffer) -> None:
        """Write bytes, unless the limit is exceeded."""
        piece = bytes(content)  # a pickler may use its buffer again
        self._size += len(piece)
        if self._size > self._at_most:
            raise TooMuch(self._size)
        self._pieces.append(piece)

    def getvalue(self) -> bytes:
        """Return all that was written."""
        return b"".join(self._pieces)
