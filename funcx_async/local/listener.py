"""Accepting connections, for the REST service and for the embedded broker.

asyncio's own server logs one traceback for each place in its backlog, every second, while the
process has no file descriptor left. This one waits, says so once a minute, and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

logger = logging.getLogger(__name__)

BACKLOG: Final = 128
"""Connections that the operating system keeps waiting."""
RETRY_ACCEPT_S: Final = 0.5
"""Seconds to wait for a file descriptor."""
WARN_EVERY_S: Final = 60.0
"""Seconds between two warnings that connections have to wait or are refused."""
MOST_CONNECTIONS: Final = 8192


def connection_limit() -> int:
    """Return how many connections a server may have: a third of the process's descriptors."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    try:
        import resource
    except ImportError:  # of a system that has no such limits
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft < 0 else max(16, min(MOST_CONNECTIONS, soft // 3))


class Listener:
    """Listens on the addresses of one host.

    Args:
        host: the name or address to listen on.
        port: the port; 0 takes a free one.
        admit: makes the protocol of a new connection; None refuses the connection.
    """

    def __init__(
        self, host: str, port: int, admit: Callable[[], asyncio.BaseProtocol | None]
    ) -> None:
        self.port = port
        self._host = host
        self._admit = admit
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._warned = float("-inf")

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The host has no address, or the port is taken.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._sockets.append(self._bind(family, address[0]))
        except BaseException:
            self._close_sockets()
            raise
        self._tasks = [
            loop.create_task(self._accept(each), name="funcx:accept") for each in self._sockets
        ]

    async def aclose(self) -> None:
        """Stop listening. Connections stay open."""
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            self._close_sockets()

    def _bind(self, family: int, host: str | int) -> socket.socket:
        # asyncio switches Nagle's algorithm off, 40 ms an answer, only where the protocol is named.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setblocking(False)
            listening.bind((host, self.port))
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            msg = f"cannot listen on {host} port {self.port}: {str(error.strerror).lower()}"
            raise OSError(error.errno, msg) from None
        except BaseException:
            listening.close()
            raise
        self.port = listening.getsockname()[1]
        return listening

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except ConnectionError:  # the client has left already
                continue
            except OSError as error:
                self._warn(f"no connection can be accepted: {os.strerror(error.errno or 0)}")
                await asyncio.sleep(RETRY_ACCEPT_S)
                continue
            protocol = self._admit()
            if protocol is None:
                accepted.close()
                self._warn("there are too many connections; new ones are refused")
                continue
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(partial(_same, protocol), accepted)

    def _warn(self, what: str) -> None:
        now = time.monotonic()
        if now - self._warned >= WARN_EVERY_S:
            self._warned = now
            logger.warning("On %s port %d %s", self._host, self.port, what)


def _same(protocol: asyncio.BaseProtocol) -> asyncio.BaseProtocol:
    return protocol
