"""A separate RabbitMQ node: other ports, other directories, gone when it is done with."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PLACES: Final = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server")
"""The server itself first: the second is Debian's, which works as another user."""

START_TIMEOUT: Final = 120.0
"""Seconds that a node may take to start, on a machine that is busy."""


class Node:
    """A RabbitMQ that listens on the loopback interface alone.

    Args:
        directory: for its files; the caller removes it afterwards.

    Attributes:
        url: where it is, with the user that every new node has.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port, self._distribution_port = free_port(), free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/"

    async def start(self) -> None:
        """Start it, or start it again with what it had on disk.

        Raises:
            SystemExit: there is no RabbitMQ on this machine, or it does not start.
        """
        (self._directory / "plugins").write_text("[].\n")
        log = (self._directory / "output").open("ab")
        with log:
            self._process = await asyncio.create_subprocess_exec(
                program(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while not await self._answers():  # noqa: ASYNC110 - it does not tell
                    await asyncio.sleep(0.25)
        except TimeoutError:
            raise SystemExit(f"RabbitMQ does not start, says {log.name}") from None

    async def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.kill()

    async def _answers(self) -> bool:
        if self._process is not None and self._process.returncode is not None:
            raise SystemExit(f"RabbitMQ ends as it starts, says {self._directory / 'output'}")
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(b"AMQP\x00\x00\x09\x01")
            greeting = await asyncio.wait_for(reader.read(1), 5)
            writer.transport.abort()
        except (OSError, TimeoutError):
            return False
        return bool(greeting)

    def _environment(self) -> dict[str, str]:
        place = self._directory
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_NODENAME": f"chaos-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": str(place / "none"),
            "RABBITMQ_CONFIG_FILE": str(place / "none"),
            "RABBITMQ_MNESIA_BASE": str(place / "mnesia"),
            "RABBITMQ_LOG_BASE": str(place / "log"),
            "RABBITMQ_PID_FILE": str(place / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
        }


def program() -> str:
    """Where the server is.

    Raises:
        SystemExit: it is not installed.
    """
    found = next((place for place in PLACES if os.access(place, os.X_OK)), None)
    found = found or shutil.which("rabbitmq-server")
    if found is None:
        raise SystemExit(
            "There is no rabbitmq-server on this machine, and the chaos needs a node of its own "
            "to be killed: install it, on Debian by `apt-get install rabbitmq-server`."
        )
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
