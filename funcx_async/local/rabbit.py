"""A connection of the service's own to a RabbitMQ, made again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from typing import Final
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection

from funcx_async._net.cancellation import is_cancelled

logger = logging.getLogger(__name__)

OUT_OF_REACH: Final = (
    OSError,
    aio_pika.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
)
"""What aio-pika raises when the RabbitMQ is not there, or leaves."""
AT_ONCE: Final = 256
"""Messages published before their confirms are awaited."""
RECONNECT_DELAY: Final = 0.5
"""Seconds between two attempts to reach the RabbitMQ."""
CLOSE_TIMEOUT: Final = 5.0
"""Seconds to say good-bye to it."""


class RabbitConnection(ABC):
    """A channel with publisher confirms, and a task that works on it whenever it is woken.

    Args:
        url: the RabbitMQ.
        name: what the work is, in the task's name and in the log.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._wake = asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _work(self) -> None:
        """Do what is to be done; raise one of ``OUT_OF_REACH`` to be called again later."""

    async def start(self) -> None:
        """Connect.

        Raises:
            ConnectionError: the RabbitMQ cannot be reached, or refuses the login.
        """
        try:
            await self._connect()
        except OUT_OF_REACH as error:
            raise unreachable(self._url, error) from None  # the cause may name the password
        self._task = asyncio.create_task(self._run(), name=f"funcx:{self._name}")

    async def aclose(self) -> None:
        """Disconnect; what is not done yet is left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            with contextlib.suppress(*OUT_OF_REACH):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._connection.close()

    async def _connect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection = await aio_pika.connect(self._url, timeout=10)
        self._connection.close_callbacks.add(lambda *_: self._wake.set())
        self._channel = await self._connection.channel(
            publisher_confirms=True, on_return_raises=True
        )
        self._channel.close_callbacks.add(lambda *_: self._wake.set())

    async def _run(self) -> None:
        while not is_cancelled():
            try:
                if self._channel is None or self._channel.is_closed:
                    await self._connect()
                await self._work()
            except OUT_OF_REACH as error:
                if not is_cancelled():
                    logger.warning(
                        "The RabbitMQ (%s) is out of reach: %s", self._name, type(error).__name__
                    )
                    await asyncio.sleep(RECONNECT_DELAY)
            else:
                if not is_cancelled():
                    await self._wake.wait()
                    self._wake.clear()

    def _open_channel(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            msg = "the channel to the RabbitMQ is closed"
            raise ConnectionError(msg)
        return self._channel


def unreachable(url: str, error: Exception) -> ConnectionError:
    """What to raise where the RabbitMQ cannot be reached; without the password."""
    where = urlsplit(url)
    msg = (
        f"no connection to the RabbitMQ at {where.hostname}:{where.port or 5672} "
        f"({type(error).__name__}); check amqp_url, or leave it out to use the embedded broker"
    )
    return ConnectionError(msg)
