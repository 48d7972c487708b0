"""The queues that agents are attached to, on the embedded broker or on a RabbitMQ.

What is to be done on a RabbitMQ is done in the order in which it was asked for, and each step
again until it succeeds: a step may be done twice, none is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice, takewhile
from operator import itemgetter
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.publisher import CONFIRMS_AT_ONCE, OUT_OF_REACH, RabbitConnection

logger = logging.getLogger(__name__)

EXCHANGE: Final = "amq.direct"
"""Agents publish through a named exchange; every RabbitMQ has this one."""
UNUSED_QUEUE_LIVES: Final = 14 * 24 * 3600
"""Seconds that a queue outlives its last use: as long as tasks live."""
PREFETCH: Final = 256
"""Results delivered before the first of them is acknowledged."""

Receive = Callable[[bytes], None]
Compose = Callable[[], aio_pika.Message | None]
Step = tuple[Callable[[AbstractChannel], Awaitable[None]], bool]
"""Something to do, and whether it need not wait for others of its kind."""


class RabbitLink(RabbitConnection):
    """Declares, consumes and publishes, and connects again when the connection is lost.

    Args:
        url: the RabbitMQ.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, "agents")
        self._steps: deque[Step] = deque()
        self._messages_live: dict[str, float | None] = {}
        self._receivers: dict[str, Receive] = {}
        self._consuming: dict[str, str] = {}

    def declare(self, queue: str, *, messages_live: float | None = None) -> None:
        """Make sure that a queue is there.

        Args:
            queue: its name, which is also the key that agents publish to it with.
            messages_live: after so many seconds a message in it is of no use.
        """
        self._messages_live[queue] = messages_live
        self._ask(partial(self._declare, queue=queue))

    def delete(self, queue: str) -> None:
        """Delete a queue, with its messages and its consumers."""
        self._receivers.pop(queue, None)

        async def delete(channel: AbstractChannel) -> None:
            """Stop consuming before: else the broker would cancel the consumer with the queue."""
            if (tag := self._consuming.pop(queue, None)) is not None:
                consumed = await channel.get_queue(queue, ensure=False)
                await consumed.cancel(tag)
            await channel.queue_delete(queue)

        self._ask(delete)

    def consume(self, queue: str, receive: Receive) -> None:
        """Pass each message of a queue to ``receive``, and acknowledge it afterwards."""
        self._receivers[queue] = receive
        self._ask(partial(self._consume, queue=queue))

    def publish(self, queue: str, compose: Compose, done: Callable[[], None] | None = None) -> None:
        """Publish a message to a queue, and call ``done`` when RabbitMQ has it.

        Args:
            queue: its name.
            compose: makes the message when its turn has come, or gives None if it is not needed.
            done: is called once it is confirmed.
        """

        async def publish(channel: AbstractChannel) -> None:
            """Publish the message, on a queue made again if somebody deleted it."""
            message = compose()
            if message is None:
                return
            try:
                await channel.default_exchange.publish(message, queue, mandatory=True)
            except aio_pika.exceptions.DeliveryError:
                await self._declare(channel, queue=queue)
                await channel.default_exchange.publish(message, queue, mandatory=True)
            if done is not None:
                done()

        self._ask(publish, together=True)

    async def done(self) -> None:
        """Return when all that was asked for so far is done."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def note(channel: AbstractChannel) -> None:
            if not future.done():
                future.set_result(None)

        self._ask(note)
        await future

    def _ask(
        self, do: Callable[[AbstractChannel], Awaitable[None]], *, together: bool = False
    ) -> None:
        self._steps.append((do, together))
        self._wake.set()

    async def _connect(self) -> None:
        self._consuming.clear()
        await super()._connect()
        await self._open_channel().set_qos(prefetch_count=PREFETCH)

    async def _work(self) -> None:
        for queue in self._receivers.keys() - self._consuming.keys():
            await self._consume(self._open_channel(), queue=queue)
        while self._steps:
            channel = self._open_channel()
            batch = list(islice(takewhile(itemgetter(1), self._steps), CONFIRMS_AT_ONCE))
            batch = batch or [self._steps[0]]
            outcomes = await asyncio.gather(
                *(do(channel) for do, _ in batch), return_exceptions=True
            )
            again = []
            for outcome in outcomes:
                step = self._steps.popleft()
                # aiormq cancels what waits for its confirm when the connection breaks.
                if isinstance(outcome, (*OUT_OF_REACH, asyncio.CancelledError)):
                    again.append(step)
                elif outcome is not None:
                    logger.error("A step for an agent failed for good", exc_info=outcome)
            self._steps.extendleft(reversed(again))
            if again:
                msg = f"{len(again)} steps were not confirmed"
                raise ConnectionError(msg)

    async def _consume(self, channel: AbstractChannel, *, queue: str) -> None:
        receive = self._receivers.get(queue)
        if receive is None or queue in self._consuming:
            return
        await self._declare(channel, queue=queue)

        async def received(message: AbstractIncomingMessage) -> None:
            """Hand a message over, and acknowledge it if it was taken."""
            try:
                receive(message.body)
            except Exception:
                # Without an acknowledgement it comes again with the next connection.
                logger.exception("A message on %s could not be taken", queue)
            else:
                with contextlib.suppress(*OUT_OF_REACH):
                    await message.ack()

        source = await channel.get_queue(queue, ensure=False)
        self._consuming[queue] = await source.consume(received)

    async def _declare(self, channel: AbstractChannel, *, queue: str) -> None:
        arguments: dict[str, Any] = {"x-expires": UNUSED_QUEUE_LIVES * 1000}
        messages_live = self._messages_live.get(queue)
        if messages_live is not None:
            arguments["x-message-ttl"] = int(messages_live * 1000)
        declared = await channel.declare_queue(queue, durable=True, arguments=arguments)
        await declared.bind(EXCHANGE, routing_key=queue)


class EmbeddedLink:
    """Declares, consumes and publishes on the embedded broker, at once.

    Args:
        broker: the broker, which runs.
    """

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._messages_live: dict[str, float | None] = {}
        self._consuming: set[str] = set()

    async def start(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def aclose(self) -> None:
        """Do nothing: the queues go with the broker."""

    async def done(self) -> None:
        """Return at once: everything is done when it is asked for."""

    def declare(self, queue: str, *, messages_live: float | None = None) -> None:
        """Make sure that a queue is there, as :meth:`RabbitLink.declare` does."""
        self._messages_live[queue] = messages_live
        self._declare(queue)

    def delete(self, queue: str) -> None:
        """Delete a queue, with its messages and its consumers."""
        self._consuming.discard(queue)
        self._broker.delete_queue(queue)

    def consume(self, queue: str, receive: Receive) -> None:
        """Pass each message of a queue to ``receive``, and acknowledge it afterwards."""
        self._declare(queue)
        if queue not in self._consuming:
            self._consuming.add(queue)
            self._broker.consume(queue, receive)

    def publish(self, queue: str, compose: Compose, done: Callable[[], None] | None = None) -> None:
        """Publish a message to a queue, as :meth:`RabbitLink.publish` does."""
        try:
            if (message := compose()) is None:
                return
            self._declare(queue)
            sent_at = message.timestamp
            self._broker.publish(
                queue,
                message.body,
                headers=message.headers or None,
                content_type=message.content_type,
                timestamp=None if sent_at is None else int(sent_at.timestamp()),
            )
            if done is not None:
                done()
        except Exception:
            logger.exception("A message for an agent could not be sent")

    def _declare(self, queue: str) -> None:
        self._broker.declare_queue(
            queue,
            expires=UNUSED_QUEUE_LIVES,
            message_ttl=self._messages_live.get(queue),
            exchange=EXCHANGE,
        )


Link = RabbitLink | EmbeddedLink
"""What an agent's queues are reached through."""
