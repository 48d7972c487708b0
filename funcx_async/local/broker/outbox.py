"""What goes out on one connection, gathered per turn of the loop and bounded.

Deliveries stop at :data:`ENOUGH` unsent bytes, so that a slow client's messages stay in their
queues, where others can have them. Replies cannot be held back; past :data:`TOO_MUCH` the
connection is not read any more, so that it asks for no further ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

ENOUGH = 256 * 1024
TOO_MUCH = 4 * 1024 * 1024


class Outbox:
    """Gathers writes and hands them to the transport once per turn of the loop.

    Attributes:
        sent: whether anything was handed on since somebody last set this to False.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        on_room: Callable[[], None],
    ) -> None:
        """Make an outbox; ``on_room`` is called after a refusal, when there is room again."""
        self.sent = False
        self._loop = loop
        self._transport = transport
        self._on_room = on_room
        self._parts: list[bytes] = []
        self._waiting = 0
        self._scheduled = False
        self._paused = False
        self._stalled = False
        self._refused = False
        transport.set_write_buffer_limits(high=ENOUGH)

    @property
    def unsent(self) -> int:
        """Bytes that the operating system has not taken yet."""
        return self._waiting + self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send ``data`` by the end of this turn of the loop."""
        self._parts.append(data)
        self._waiting += len(data)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def admits(self) -> bool:
        """Return whether a delivery may be written; if not, ``on_room`` is called later."""
        if self._paused or self._waiting >= ENOUGH:
            self._refused = True
            return False
        return True

    def admits_replies(self) -> bool:
        """Return whether to read from the client; if not, ``on_room`` is called later."""
        if self._waiting > ENOUGH and self.unsent > TOO_MUCH:
            self._refused = True
            return False
        return True

    def flush(self) -> None:
        """Hand on what was gathered, unless the transport has enough already."""
        self._scheduled = False
        if self._paused or self._stalled or self._transport.is_closing():
            return
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._waiting = 0
            self.sent = True
            self._transport.write(data)
        if self._refused and not self._paused:
            self._refused = False
            self._on_room()

    def close(self) -> None:
        """Send what is left, then close the transport."""
        self._transport.write(b"".join(self._parts))
        self._parts.clear()
        self._waiting = 0
        self._transport.close()

    def pause(self) -> None:
        """Stop writing: the transport's buffer is full."""
        self._paused = True

    def resume(self) -> None:
        """Write again: the transport's buffer has room."""
        self._paused = False
        self.flush()

    def stall(self, stalled: bool) -> None:
        """Send nothing for a while, as if the network had gone; or go on."""
        self._stalled = stalled
        if not stalled:
            self.flush()
