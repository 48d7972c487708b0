"""Reading large payloads in steps, between which other threads get their turn.

A C function that takes long holds up every other thread, an event loop's as well, though it be
called in a thread of its own. So it is given its work in pieces, with a rest between any two.
Without the rest a loop that comes out of a system call would wait for the interpreter's lock for as
long as Python lets a thread keep it, 5 ms, and it makes several such calls in a turn.
"""

from __future__ import annotations

import asyncio
import io
import time
from typing import Final

from funcx_async.serialize import base64_text

LARGE: Final = 256 * 1024
"""Characters, or bytes, that take about a millisecond to read: less is not worth a thread."""

STEP: Final = 4_096 * 77
"""Characters of base64 in one piece: whole lines, as they usually are, and whole groups of four."""

REST: Final = 0.0002
"""Seconds between two pieces: long enough for a thread that waits to wake up and go on."""


def decode(text: str, *, step: int = STEP) -> bytes:
    """Read base64, as :func:`funcx_async.serialize.base64_text.decode` does.

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
            pieces.append(base64_text.decode(piece))
        except ValueError:
            return base64_text.decode(text)
        # Not so many if something else is in between: a piece may then begin inside of a group.
        last = begin + step >= len(text)
        if not last and 4 * len(pieces[-1]) != 3 * (len(piece) - piece.count("\n")):
            return base64_text.decode(text)
        take_a_rest()
    return b"".join(pieces)


class Steps:
    """A file of bytes for an unpickler, which comes back here for each step.

    Args:
        content: what is in the file.
    """

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        """Give the next ``size`` bytes."""
        return self._file.read(size)

    def readline(self) -> bytes:
        """Give what is up to the next end of a line."""
        return self._file.readline()

    def readinto(self, buffer: bytearray) -> int:
        """Fill ``buffer``, and give how many bytes there were for it."""
        room, filled = memoryview(buffer), 0
        while read := self._file.readinto(room[:STEP]):
            filled += read
            room = room[read:]
            if len(room):
                take_a_rest()
        return filled

    def peek(self, size: int) -> bytes:
        """Give the next bytes without passing over them."""
        position = self._file.tell()
        found = self._file.read(size)
        self._file.seek(position)
        return found


def take_a_rest() -> None:
    """Let other threads go on; on a loop's own thread nothing would be the better for it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        time.sleep(REST)
