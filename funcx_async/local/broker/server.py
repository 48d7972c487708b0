"""What listens for clients: its life, its users, and what can go wrong with its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import quote

from funcx_async.local.broker.connection import Connection
from funcx_async.local.broker.errors import HardError
from funcx_async.local.broker.login import Offer, Users
from funcx_async.local.broker.premises import Premises
from funcx_async.local.broker.topology import Topology
from funcx_async.local.broker.volume import Volume, Watch

FRAME_MAX = 131_072
CHANNEL_MAX = 2047
MAX_BODY = 128 * 1024 * 1024


class Server:
    """What clients connect to; the arguments are those of :class:`EmbeddedBroker`, which it is for.

    All methods are called on the event loop's thread.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        heartbeat: int = 60,
        max_queued_bytes: int = 256 * 1024 * 1024,
        handshake_timeout: float = 10,
        close_timeout: float = 3,
    ) -> None:
        self._host = host
        self._port = port
        self._offer = Offer(CHANNEL_MAX, FRAME_MAX, heartbeat)
        self._max_queued_bytes = max_queued_bytes
        self._handshake_timeout = handshake_timeout
        self._close_timeout = close_timeout
        self._users = Users()
        self._watch = Watch()
        self._server: asyncio.Server | None = None
        self._open: Premises[Connection] | None = None
        self._stalled = False

    # life

    async def start(self) -> None:
        """Listen. A broker that was closed may start again; it then takes the same port.

        Raises:
            OSError: the port is taken.
            RuntimeError: it runs already.
        """
        if self._server is not None:
            raise RuntimeError("this broker runs already; aclose() it first, or make another")
        loop = asyncio.get_running_loop()
        connections: set[Connection] = set()
        volume = Volume(self._max_queued_bytes, self._watch, partial(_unblock, connections))
        self._open = premises = Premises(
            loop,
            self._users,
            self._offer,
            Topology(loop, volume),
            volume,
            self._watch,
            self._handshake_timeout,
            self._close_timeout,
            MAX_BODY,
            connections,
        )
        try:
            self._server = await loop.create_server(
                lambda: Connection(premises, stalled=self._stalled), self._host, self._port
            )
        except OSError:
            self._open = None
            raise
        self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Close all connections (320, CONNECTION_FORCED), delete all queues, listen no more."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.resume()
        self.disconnect(abort=False)
        premises = self._premises
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._close_timeout):
                    await self.until(lambda: not premises.connections)
        finally:
            self.disconnect()  # those that did not agree, or all if this was cancelled
            premises.topology.delete_all()
            self._open = None
        await self.until(lambda: not premises.connections)
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition()`` is true. It is asked whenever something changes here.

        Example:
            ``await broker.until(lambda: broker.queue_counts("results").consumers == 1)``
        """
        await self._watch.until(condition)

    # where, and who

    @property
    def port(self) -> int:
        """The port on which it listens; the one asked for while it does not."""
        return self._port

    def add_user(self, user: str, password: str) -> None:
        """Let a user in, or give one another password. Open connections are not touched."""
        self._users.add(user, password)

    def remove_user(self, user: str) -> None:
        """Let a user in no more. Open connections live on."""
        self._users.remove(user)

    def url(self, user: str, password: str) -> str:
        """The URL with which this user connects; it holds the password, so never log it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"amqp://{login}@{host}:{self._port}/%2F"

    @property
    def connections(self) -> int:
        """How many connections are open, those that have not logged in yet included."""
        return len(self._open.connections) if self._open is not None else 0

    @property
    def unsent_bytes(self) -> int:
        """What is written to connections and not yet taken by the operating system."""
        if self._open is None:
            return 0
        return sum(connection.unsent for connection in self._open.connections)

    # faults on purpose

    def disconnect(self, *, abort: bool = True) -> int:
        """Cut all connections; how many.

        Args:
            abort: by a reset; else politely, by CONNECTION_FORCED.
        """
        connections = list(self._premises.connections)
        for connection in connections:
            if abort:
                connection.abort()
            else:
                connection.close(HardError(320, "broker forced connection closure"))
        return len(connections)

    def refuse_logins(self, times: int) -> None:
        """Refuse the next ``times`` logins, whatever their passwords."""
        self._users.refuse(times)

    @property
    def logins_to_refuse(self) -> int:
        """How many logins will be refused, whatever their passwords."""
        return self._users.to_refuse

    @property
    def stalled(self) -> bool:
        """Whether nothing is read and written, by :meth:`stall`."""
        return self._stalled

    def stall(self) -> None:
        """Read and write nothing on any connection, old or new, as if the network had gone."""
        self._set_stalled(True)

    def resume(self) -> None:
        """Undo :meth:`stall`."""
        self._set_stalled(False)

    # the rest

    @property
    def _premises(self) -> Premises[Connection]:
        if self._open is None:
            raise RuntimeError("the broker is not running; await start() first")
        return self._open

    def _set_stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        for connection in list(self._premises.connections):
            connection.stall(stalled)


def _unblock(connections: set[Connection]) -> None:
    for connection in list(connections):
        connection.unblock()
