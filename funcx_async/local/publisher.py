"""Results out: the result queues, on the embedded broker or on a RabbitMQ."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from abc import ABC, abstractmethod
from collections import deque
from itertools import islice
from typing import Final, Protocol
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection

from funcx_async._net.cancellation import is_cancelled
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.outcomes import Notice
from funcx_async.local.web.answers import Refusal

logger = logging.getLogger(__name__)
OUT_OF_REACH: Final = (
    OSError,
    aio_pika.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
)
"""What aio-pika raises when the RabbitMQ is not there, or leaves."""
CONFIRMS_AT_ONCE: Final = 256
"""Messages published before their confirms are awaited."""
RECONNECT_DELAY: Final = 0.5
"""Seconds between two attempts to reach the RabbitMQ."""
CLOSE_TIMEOUT: Final = 5.0
"""Seconds to close the connection to it."""
QUEUE_PREFIX: Final = "funcx.results."
QUEUE_EXPIRES: Final = 30 * 60.0
"""A queue that nobody consumes goes away after so many seconds."""
USER_LIVES: Final = 10 * 60.0
"""Seconds that the credentials of one request are good for new connections."""
USERS_AT_MOST: Final = 1000
CROWDED_BYTES: Final = 256 * 1024 * 1024
"""With more than so many bytes of messages waiting, it is crowded."""


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
    """Return the error to raise where RabbitMQ cannot be reached, without the password."""
    where = urlsplit(url)
    msg = (
        f"no connection to the RabbitMQ at {where.hostname}:{where.port or 5672} "
        f"({type(error).__name__}); check amqp_url, or leave it out to use the embedded broker"
    )
    return ConnectionError(msg)


class Publisher(Protocol):
    """Where results go."""

    async def aclose(self) -> None:
        """Close; what is not published is lost."""

    async def declare(self, group_id: str) -> None:
        """Make sure that the group's queue is there.

        Raises:
            Refusal: the broker cannot be reached.
        """

    async def delete(self, group_id: str) -> None:
        """Delete the group's queue."""

    def publish(self, notice: Notice) -> None:
        """Publish a message; to a queue that is not there it goes nowhere."""

    @property
    def crowded(self) -> bool:
        """Whether more waits for consumers than should."""
        ...

    async def room(self) -> None:
        """Return when it is no longer crowded."""

    def connection_url(self) -> str:
        """Return the AMQP URL for a client, password included."""
        ...


def queue_of(group_id: str) -> str:
    """Return the name of a group's queue."""
    return QUEUE_PREFIX + group_id


class EmbeddedPublisher:
    """Publishes on the embedded broker, which runs; every client gets a user of its own."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._users: deque[str] = deque()
        self._timers: set[asyncio.TimerHandle] = set()

    async def aclose(self) -> None:
        """Close the broker."""
        for timer in self._timers:
            timer.cancel()
        await self._broker.aclose()

    async def declare(self, group_id: str) -> None:
        """Make sure that the group's queue is there."""
        self._broker.declare_queue(queue_of(group_id), expires=QUEUE_EXPIRES)

    async def delete(self, group_id: str) -> None:
        """Delete the group's queue."""
        self._broker.delete_queue(queue_of(group_id))

    def publish(self, notice: Notice) -> None:
        """Publish a message."""
        self._broker.publish(
            queue_of(notice.group_id),
            notice.body,
            timestamp=notice.timestamp,
            headers=notice.headers or None,
        )

    @property
    def crowded(self) -> bool:
        """Whether the queues hold more than they should."""
        return self._broker.queued_bytes > CROWDED_BYTES

    async def room(self) -> None:
        """Return when it is no longer crowded."""
        await self._broker.until(lambda: not self.crowded)

    def connection_url(self) -> str:
        """Return a URL with a user made for it."""
        user, password = f"user-{secrets.token_hex(8)}", secrets.token_urlsafe(24)
        self._broker.add_user(user, password)
        self._users.append(user)

        def expire() -> None:
            """Remove the user; connections that it has open stay."""
            self._timers.discard(timer)
            if user in self._users:
                self._users.remove(user)
                self._broker.remove_user(user)

        timer = asyncio.get_running_loop().call_later(USER_LIVES, expire)
        self._timers.add(timer)
        while len(self._users) > USERS_AT_MOST:
            self._broker.remove_user(self._users.popleft())
        return self._broker.url(user, password)


class RabbitPublisher(RabbitConnection):
    """Publishes on a RabbitMQ, with confirms; what is not confirmed is published again."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "publisher")
        self._waiting: deque[Notice] = deque()
        self._waiting_bytes = 0
        self._progress = asyncio.Event()

    async def declare(self, group_id: str) -> None:
        """Make sure that the group's queue is there."""
        try:
            await self._open_channel().declare_queue(
                queue_of(group_id),
                durable=True,
                arguments={"x-expires": int(QUEUE_EXPIRES * 1000)},
            )
        except OUT_OF_REACH as error:
            msg = f"the RabbitMQ does not answer ({type(error).__name__}); nothing was taken"
            raise Refusal("SERVICE_UNAVAILABLE", msg) from error

    async def delete(self, group_id: str) -> None:
        """Delete the group's queue."""
        await self._open_channel().queue_delete(queue_of(group_id))

    def publish(self, notice: Notice) -> None:
        """Publish a message, as soon as the connection allows."""
        self._waiting.append(notice)
        self._waiting_bytes += len(notice.body)
        self._wake.set()

    @property
    def crowded(self) -> bool:
        """Whether more waits for the RabbitMQ than should."""
        return self._waiting_bytes > CROWDED_BYTES

    async def room(self) -> None:
        """Return when it is no longer crowded."""
        while self.crowded:
            self._progress.clear()
            await self._progress.wait()

    def connection_url(self) -> str:
        """Return the URL that the service was given."""
        return self._url

    async def _work(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting, CONFIRMS_AT_ONCE))
            outcomes = await asyncio.gather(*map(self._publish_one, batch), return_exceptions=True)
            for outcome in outcomes:
                # aiormq cancels what waits for its confirm when the connection breaks.
                if outcome is not None:
                    msg = "a message was not confirmed"
                    raise ConnectionError(msg) from outcome
            for notice in batch:
                self._waiting.popleft()
                self._waiting_bytes -= len(notice.body)
            self._progress.set()

    async def _publish_one(self, notice: Notice) -> None:
        message = aio_pika.Message(
            notice.body, timestamp=notice.timestamp, headers=dict(notice.headers)
        )
        exchange = self._open_channel().default_exchange
        await exchange.publish(message, queue_of(notice.group_id), mandatory=False)
