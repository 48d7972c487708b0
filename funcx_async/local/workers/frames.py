"""What goes through the pipes between the service and a worker process.

A frame is a head and a body. The head says how long the body is and what kind of frame it is.
This module is imported by every worker as it starts, so it needs nothing but ``struct``.
"""

from __future__ import annotations

import struct
from typing import Final

HEAD: Final = struct.Struct(">IB")
"""Length of the body in bytes, and the kind."""

RUN: Final = 1
"""To the worker: a JSON line ``[task id, result serializers]``, then the task buffer."""
RECALL: Final = 2
"""To the worker: give back what has not begun."""
READY: Final = 3
"""To the service: imports are done, tasks may come; the body has the versions as JSON."""
DONE: Final = 4
"""To the service: an outcome, then the result message."""
RETURNED: Final = 5
"""To the service: the ids of the tasks given back, one after the other."""

LENGTH_LIMIT: Final = 256 * 1024 * 1024
ID_LENGTH: Final = 36
OUTCOME: Final = struct.Struct(">d?")
"""How long the first task in the pipe ran, in seconds, and whether it failed."""

ENCODING_ERRORS: Final = "surrogatepass"
"""Text may hold half a surrogate pair; the pipe is not the place to object."""


def frame(kind: int, body: bytes = b"") -> bytes:
    """Return one frame as it goes on the wire."""
    return HEAD.pack(len(body), kind) + body


def cut(received: bytearray) -> tuple[list[tuple[int, bytes]], bool]:
    """Remove the complete frames from the front of ``received``.

    Returns:
        The frames as ``(kind, body)``, and whether what is behind them may be a frame too.
    """
    complete = []
    sound = True
    start = 0
    while sound and len(received) - start >= HEAD.size:
        length, kind = HEAD.unpack_from(received, start)
        sound = RUN <= kind <= RETURNED and length <= LENGTH_LIMIT
        end = start + HEAD.size + length
        if not sound or len(received) < end:
            break
        complete.append((kind, bytes(memoryview(received)[start + HEAD.size : end])))
        start = end
    del received[:start]
    return complete, sound


def ids(body: bytes) -> set[str]:
    """Return the task ids of a RETURNED frame."""
    text = body.decode("ascii", "replace")
    return {text[start : start + ID_LENGTH] for start in range(0, len(text), ID_LENGTH)}
