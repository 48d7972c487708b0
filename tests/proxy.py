"""A TCP proxy between tests and what they talk to, on which everything goes wrong that can.

It is exact: a fault strikes at once, or at a byte that is counted, never after a time. A test
waits for what happened by ``seen``.

Example::

    async with Proxy(service.url) as proxy:
        client = FuncXClient(proxy.before(service.url), auth=service.token)
        proxy.downward.reset(after=20)  # in the middle of the next answer's status line
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit, urlunsplit

from funcx_async.local.injection import AwaitableCounter

LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""Close a socket with RST, whatever it still has to send."""


@dataclass
class Strike:
    """What happens to a connection once so many more bytes have passed."""

    rest: int
    what: Callable[[Link], None]


class Flow:
    """The bytes in one direction, of all connections.

    Attributes:
        piece: so many bytes pass in one turn of the event loop; None is all there are.
        stalled: whether nothing is read any more.
        swallowing: whether what is read is thrown away.
        passed: how many bytes have passed so far.
    """

    def __init__(self, advance_all: Callable[[], None]) -> None:
        self._advance_all = advance_all
        self._strikes: deque[Strike] = deque()
        self.piece: int | None = None
        self.stalled = False
        self.swallowing = False
        self.passed = 0

    def stall(self) -> None:
        """Pass nothing on until ``restore``: it waits where it is, and in the end its sender."""
        self.stalled = True

    def swallow(self) -> None:
        """Take everything, pass nothing on, and say nothing: half-open connections.

        A connection that has lost bytes passes nothing any more, not even its end; those that are
        made after ``restore`` are sound.
        """
        self.swallowing = True

    def slow(self, piece: int = 1) -> None:
        """Pass on so many bytes in one turn of the event loop."""
        self.piece = piece

    def cut(self, after: int = 0) -> None:
        """Close a connection in good order when the byte comes that follows so many more."""
        self._strikes.append(Strike(after, Link.cut))

    def reset(self, after: int = 0) -> None:
        """Reset a connection when the byte comes that follows so many more."""
        self._strikes.append(Strike(after, Link.reset))

    def restore(self) -> None:
        """End every fault of this direction, and forget what has not struck yet."""
        self.stalled = self.swallowing = False
        self.piece = None
        self._strikes.clear()
        self._advance_all()

    def admit(self, waiting: int) -> tuple[int, Callable[[Link], None] | None]:
        """Say how many of the bytes that wait may pass now, and what strikes behind them."""
        allowed = waiting if self.piece is None else min(waiting, self.piece)
        strike = None
        if self._strikes and self._strikes[0].rest < allowed:
            due = self._strikes.popleft()
            allowed, strike = due.rest, due.what
        elif self._strikes:
            self._strikes[0].rest -= allowed
        self.passed += allowed
        return allowed, strike


class End(asyncio.Protocol):
    """One of the two sockets of a connection through the proxy.

    Args:
        link: the connection.
        flow: the direction of what is received here.

    Attributes:
        other: the socket at the other side.
        closed: whether this one is closed, or could not be opened.
    """

    other: End

    def __init__(self, link: Link, flow: Flow) -> None:
        self._link = link
        self._flow = flow
        self._waiting = bytearray()
        self._ended = False
        self._deaf = False
        self._next_turn: asyncio.Handle | None = None
        self._transport: asyncio.Transport | None = None
        self.closed = False

    @property
    def opened(self) -> bool:
        """Whether something can be sent from here by now."""
        return self._transport is not None

    @property
    def done(self) -> bool:
        """Whether nothing will come from here any more."""
        return self.closed or (self._ended and not self._waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.other.closed:
            self._transport.abort()
        self.other.advance()

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        self.advance()

    def eof_received(self) -> bool:
        self._ended = True
        self.advance()
        return True  # the other direction goes on

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self._deaf:
            self._link.lost(broken=exc is not None)
        self._link.left()

    def pause_writing(self) -> None:
        self.other.read(wanted=False)

    def resume_writing(self) -> None:
        self.other.advance()

    def read(self, *, wanted: bool) -> None:
        """Read what comes, or leave it where it is."""
        if self._transport is None or self._transport.is_closing() or self._ended:
            return
        if wanted and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not wanted and self._transport.is_reading():
            self._transport.pause_reading()

    def advance(self) -> None:
        """Pass on what may pass."""
        self._deaf = self._deaf or (self._flow.swallowing and bool(self._waiting or self._ended))
        if self._deaf or self._link.is_cut:
            self._waiting.clear()
            self.read(wanted=True)
        elif self._flow.stalled or not self.other.opened:
            self.read(wanted=False)
        else:
            self.read(wanted=True)
            self._pass_on()
        if self.done and self.other.done:
            self._link.close()

    def _pass_on(self) -> None:
        if self._waiting and self._next_turn is None:
            allowed, strike = self._flow.admit(len(self._waiting))
            self.other.write(bytes(self._waiting[:allowed]))
            del self._waiting[:allowed]
            if strike is not None:
                self._link.strike(strike)
            elif self._waiting:
                self._next_turn = asyncio.get_running_loop().call_soon(self._turn)
        if self.done:
            self.other.end()

    def _turn(self) -> None:
        self._next_turn = None
        self.advance()

    def write(self, piece: bytes) -> None:
        """Send to who is at this end."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(piece)

    def end(self) -> None:
        """Send nothing more after what was sent."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close in good order."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close with RST."""
        if self._transport is None or self.closed:
            return
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self._transport.abort()


class Link:
    """One connection through the proxy: its client's end and its server's.

    Attributes:
        is_cut: whether it was closed in good order; what still comes is thrown away.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.is_cut = False
        self.client = End(self, proxy.upward)
        self.server = End(self, proxy.downward)
        self.client.other, self.server.other = self.server, self.client

    def advance(self) -> None:
        """Pass on in both directions what may pass."""
        self.client.advance()
        self.server.advance()

    def strike(self, what: Callable[[Link], None]) -> None:
        """Have a fault happen."""
        what(self)
        self._proxy.tally.add("struck")

    def cut(self) -> None:
        """Close in good order: both ends are told so, and nothing passes any more."""
        self.is_cut = True
        self.client.end()
        self.server.end()
        self.advance()

    def reset(self) -> None:
        """Reset the connection at both ends."""
        self.client.reset()
        self.server.reset()

    def close(self) -> None:
        """Close both ends."""
        self.client.close()
        self.server.close()

    def lost(self, *, broken: bool) -> None:
        """Do at the other end what was done at one."""
        if broken:
            self.reset()
        else:
            self.close()

    def left(self) -> None:
        """Take note that one end is closed."""
        if self.client.closed and self.server.closed:
            self._proxy.forget(self)


class Proxy:
    """Listens on the loopback interface, and passes on what comes.

    Args:
        target: the URL of the server, with a port.

    Attributes:
        upward: what clients send.
        downward: what the server sends.
        tally: counts ``connected``, ``closed`` and ``struck``.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        if parts.hostname is None or parts.port is None:
            raise ValueError("a proxy needs the host and the port that it is to pass on to")
        self._target = parts.hostname, parts.port
        self._links: set[Link] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self.port = 0
        self.upward = Flow(self._advance_all)
        self.downward = Flow(self._advance_all)
        self.tally = AwaitableCounter(["connected", "closed", "struck"])

    @property
    def open_connections(self) -> int:
        """How many connections go through it."""
        return len(self._links)

    def before(self, url: str) -> str:
        """Give the URL of the same thing, reached through the proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        self.reset()
        while self._links:
            self._empty.clear()
            await self._empty.wait()

    async def seen(self, what: str, times: int = 1) -> None:
        """Return when the tally has counted so many."""
        await self.tally.reached(what, times)

    # What goes wrong ----------------------------------------------------------------------------

    def refuse(self) -> None:
        """Refuse new connections; those that are there go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def come_back(self) -> None:
        """Take connections again, at the same port."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Close every connection in good order."""
        for link in list(self._links):
            link.strike(Link.cut)

    def reset(self) -> None:
        """Reset every connection."""
        for link in list(self._links):
            link.strike(Link.reset)

    def swallow(self) -> None:
        """Let every connection be half-open: nothing passes in either direction."""
        self.upward.swallow()
        self.downward.swallow()

    def stall(self) -> None:
        """Pass nothing on, in either direction, until ``restore``."""
        self.upward.stall()
        self.downward.stall()

    def restore(self) -> None:
        """End the faults of both directions."""
        self.upward.restore()
        self.downward.restore()

    # How it is done -----------------------------------------------------------------------------

    def _advance_all(self) -> None:
        for link in list(self._links):
            link.advance()

    def _accept(self) -> End:
        link = Link(self)
        self._links.add(link)
        self.tally.add("connected")
        connecting = asyncio.get_running_loop().create_task(self._connect(link))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        return link.client

    async def _connect(self, link: Link) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: link.server, *self._target)
        except OSError:
            link.server.closed = True
            link.reset()
            link.left()

    def forget(self, link: Link) -> None:
        """Take note that a connection is closed at both ends."""
        if link in self._links:
            self._links.remove(link)
            self.tally.add("closed")
        if not self._links:
            self._empty.set()
