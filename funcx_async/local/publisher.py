"""Results out: the result queues, on the embedded broker or on a RabbitMQ."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from itertools import islice
from typing import Final, Protocol

import aio_pika

from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.outcomes import Notice
from funcx_async.local.rabbit import AT_ONCE, OUT_OF_REACH, RabbitConnection
from funcx_async.local.refusals import Refusal

logger = logging.getLogger(__name__)

QUEUE_PREFIX: Final = "funcx.results."
QUEUE_EXPIRES: Final = 30 * 60.0
"""A queue that nobody consumes goes away after so many seconds."""
USER_LIVES: Final = 10 * 60.0
"""Seconds that the credentials of one request are good for new connections."""
USERS_AT_MOST: Final = 1000
WAITING_BYTES: Final = 256 * 1024 * 1024
"""With more than so many bytes of messages waiting, it is crowded."""


class Publisher(Protocol):
    """Where results go."""

    async def start(self) -> None:
        """Get ready to publish."""

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
        """The AMQP URL for a client, password included."""
        ...


def queue_of(group_id: str) -> str:
    """The name of a group's queue."""
    return QUEUE_PREFIX + group_id


class EmbeddedPublisher:
    """Publishes on the embedded broker; every client gets a user of its own."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._users: deque[str] = deque()
        self._timers: set[asyncio.TimerHandle] = set()

    async def start(self) -> None:
        """Start the broker."""
        await self._broker.start()

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
        return self._broker.queued_bytes > WAITING_BYTES

    async def room(self) -> None:
        """Return when it is no longer crowded."""
        await self._broker.until(lambda: not self.crowded)

    def connection_url(self) -> str:
        """A URL with a user made for it."""
        user, password = f"user-{secrets.token_hex(8)}", secrets.token_urlsafe(24)
        self._broker.add_user(user, password)
        self._users.append(user)

        def expire() -> None:
            """Let the user in no more; connections that it has open live on."""
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
        return self._waiting_bytes > WAITING_BYTES

    async def room(self) -> None:
        """Return when it is no longer crowded."""
        while self.crowded:
            self._progress.clear()
            await self._progress.wait()

    def connection_url(self) -> str:
        """The URL that the service was given."""
        return self._url

    async def _work(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting, AT_ONCE))
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
