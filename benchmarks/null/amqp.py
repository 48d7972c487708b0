"""As little AMQP as can publish and count: a handshake, and then prepared bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pamqp import commands, frame
from pamqp.base import Frame

FRAME_START = 7
"""Bytes before a frame's payload: its kind, channel and size."""
CHANNEL = 1
TIMESTAMP = b"\x00\x40"
"""The flags of a message that has no property but its timestamp."""


@dataclass
class Wire:
    """A connection with one open channel on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frame_max: int = 131_072

    async def ask(self, *methods: Frame, channel: int = CHANNEL) -> Frame:
        """Send methods and give the answer to the last.

        Raises:
            ConnectionError: if the broker refuses.
        """
        self.writer.write(b"".join(frame.marshal(each, channel) for each in methods))
        start = await self.reader.readexactly(FRAME_START)
        size = int.from_bytes(start[3:], "big")
        _, _, answer = frame.unmarshal(start + await self.reader.readexactly(size + 1))
        if isinstance(answer, commands.Connection.Close | commands.Channel.Close):
            raise ConnectionError(f"the broker refused: {answer.reply_code} {answer.reply_text}")
        if not isinstance(answer, Frame):
            raise ConnectionError(f"the broker sent a {answer.name} instead of an answer")
        return answer


async def connect(url: str) -> Wire:
    """Log in at ``url``, without heartbeats, and open a channel."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
    wire = Wire(*await asyncio.open_connection(parts.hostname, parts.port or 5672, limit=1 << 22))
    wire.writer.write(b"AMQP\x00\x00\x09\x01")
    await wire.ask(channel=0)  # the broker starts
    tune = await wire.ask(
        commands.Connection.StartOk({}, "PLAIN", f"\0{user}\0{password}", "en_US"), channel=0
    )
    if not isinstance(tune, commands.Connection.Tune):
        raise ConnectionError(f"the broker answered the login with {tune.name}")
    wire.frame_max = tune.frame_max or wire.frame_max
    await wire.ask(
        commands.Connection.TuneOk(tune.channel_max, wire.frame_max, 0),
        commands.Connection.Open(unquote(parts.path[1:]) or "/"),
        channel=0,
    )
    await wire.ask(commands.Channel.Open())
    return wire


def message(queue: str, content: bytes, *, timestamp: int, frame_max: int) -> bytes:
    """The frames that publish a message to a queue.

    Args:
        queue: where it goes.
        content: its body.
        timestamp: its only property, in seconds since 1970.
        frame_max: how large the broker lets a frame be.
    """
    size, when = len(content).to_bytes(8, "big"), timestamp.to_bytes(8, "big")
    room = frame_max - FRAME_START - 1
    return b"".join(
        [
            frame.marshal(commands.Basic.Publish(exchange="", routing_key=queue), CHANNEL),
            _frame(2, b"\x00\x3c\x00\x00" + size + TIMESTAMP + when),
            *(_frame(3, content[at : at + room]) for at in range(0, len(content), room)),
        ]
    )


def _frame(kind: int, payload: bytes) -> bytes:
    start = bytes([kind]) + CHANNEL.to_bytes(2, "big") + len(payload).to_bytes(4, "big")
    return start + payload + b"\xce"
