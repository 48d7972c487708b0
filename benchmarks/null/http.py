"""As little HTTP as the clients need: one coroutine for each connection, which stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
MOST_HEADERS = 1 << 16

Answer = Callable[[str, bytes], Awaitable[bytes]]
"""Takes the path and the body of a request, and gives the body of the answer."""


async def listen(answer: Answer) -> asyncio.Server:
    """Serve on any free port of the loopback interface."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _next(reader):
                body = await answer(*request)
                writer.write(HEAD % len(body) + body)
        finally:
            writer.close()

    return await asyncio.start_server(converse, "127.0.0.1", 0, limit=MOST_HEADERS)


async def _next(reader: asyncio.StreamReader) -> tuple[str, bytes] | None:
    """The next request; None if there is none any more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    request, *headers = head.decode("latin-1").split("\r\n")
    length = 0
    for line in headers:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    _, target, _ = request.split(" ")
    return urlsplit(target).path, await reader.readexactly(length)
