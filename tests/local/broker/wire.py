"""A client that says what it is told to, right or wrong, frame by frame."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pamqp import base, body, commands, frame, header, heartbeat
from pamqp.common import FieldTable

LIMIT = 30.0
GREETING = b"AMQP\x00\x00\x09\x01"
CAPABILITIES = {"authentication_failure_close": True, "consumer_cancel_notify": True}

Thing = base.Frame | header.ContentHeader | body.ContentBody | heartbeat.Heartbeat


@dataclass(frozen=True)
class Ended:
    """The connection is over; ``rest`` is what came before that and is not a frame."""

    rest: bytes


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.tune = commands.Connection.Tune()

    def send(self, *things: Thing | bytes, channel: int = 1) -> None:
        for thing in things:
            self.writer.write(encoded(thing, channel))

    async def receive(self, limit: float = LIMIT) -> Thing | Ended:
        """The next frame that is not a heartbeat."""
        while True:
            thing = await self.receive_any(limit)
            if not isinstance(thing, heartbeat.Heartbeat):
                return thing

    async def receive_any(self, limit: float = LIMIT) -> Thing | Ended:
        async with asyncio.timeout(limit):
            try:
                start = await self.reader.readexactly(7)
                size = struct.unpack(">BHI", start)[2]
                _, _, thing = frame.unmarshal(start + await self.reader.readexactly(size + 1))
            except asyncio.IncompleteReadError as error:
                return Ended(error.partial)
            except ConnectionError:
                return Ended(b"")
        assert isinstance(thing, Thing)
        return thing

    async def ask(self, *things: Thing | bytes, channel: int = 1) -> Thing | Ended:
        self.send(*things, channel=channel)
        return await self.receive()

    async def ended(self, limit: float = LIMIT) -> None:
        """Wait for the end, whatever comes before it."""
        while not isinstance(await self.receive(limit), Ended):
            pass

    async def login(
        self,
        user: str,
        password: str,
        *,
        mechanism: str = "PLAIN",
        vhost: str = "/",
        heartbeat: int = 0,
        frame_max: int | None = None,
        capabilities: dict[str, bool] | None = None,
    ) -> Thing | Ended:
        """Log in; what the broker last said, open-ok if it went well."""
        if mechanism == "AMQPLAIN":
            response = "".join(
                f"{chr(len(key))}{key}S\0\0\0{chr(len(value))}{value}"
                for key, value in (("LOGIN", user), ("PASSWORD", password))
            )
        else:
            response = f"\0{user}\0{password}"
        properties: FieldTable = {"capabilities": {**CAPABILITIES, **(capabilities or {})}}
        start = commands.Connection.StartOk(properties, mechanism, response, "en_US")
        self.send(GREETING)
        await self.receive()
        answer = await self.ask(start, channel=0)
        if not isinstance(answer, commands.Connection.Tune):
            return answer
        self.tune = answer
        tune = commands.Connection.TuneOk(
            answer.channel_max, frame_max or answer.frame_max, heartbeat
        )
        return await self.ask(tune, commands.Connection.Open(vhost), channel=0)

    async def open(self, url: str, *, heartbeat: int = 0) -> None:
        """Log in and open channel 1."""
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        answer = await self.login(user, password, heartbeat=heartbeat)
        assert isinstance(answer, commands.Connection.OpenOk), answer
        assert isinstance(await self.ask(commands.Channel.Open()), commands.Channel.OpenOk)


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    """A connection on which nothing was said yet."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def opened(url: str, *, heartbeat: int = 0) -> AsyncIterator[Wire]:
    """A connection with channel 1 open on it."""
    async with wire(url) as line:
        await line.open(url, heartbeat=heartbeat)
        yield line


def message(
    queue: str | None, content: bytes, *, exchange: str = "", size: int | None = None
) -> list[Thing]:
    """The frames that publish a message, its body in one."""
    return [
        commands.Basic.Publish(exchange=exchange, routing_key=queue or ""),
        header.ContentHeader(body_size=len(content) if size is None else size),
        body.ContentBody(content),
    ]


def encoded(thing: Thing | bytes, channel: int) -> bytes:
    return thing if isinstance(thing, bytes) else frame.marshal(thing, channel)


def raw_frame(kind: int, channel: int, payload: bytes, end: bytes = b"\xce") -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + end
