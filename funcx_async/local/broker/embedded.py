"""The embedded broker's public face: what the program that it is in does with its queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from funcx_async.local.broker.errors import SoftError
from funcx_async.local.broker.messages import Message, encode_address, encode_properties
from funcx_async.local.broker.queues import Queue
from funcx_async.local.broker.server import Server


class QueueCounts(NamedTuple):
    """What a queue has: messages that wait, messages that are out with clients, and consumers."""

    ready: int
    unacknowledged: int
    consumers: int


class EmbeddedBroker(Server):
    """An AMQP 0-9-1 broker inside this process, for development, tests and air-gapped use.

    It behaves like RabbitMQ as far as it goes: default, direct, fanout and topic exchanges, queues
    with expiry, message TTL and a length limit, prefetch, acknowledgements, redelivery in order,
    publisher confirms, heartbeats. It keeps nothing on disk, and all queues go when it closes.

    All methods are called on the event loop's thread, between :meth:`start` and :meth:`aclose`.

    Args:
        host: where to listen. Keep to the loopback: the wire is not encrypted.
        port: where to listen; 0 is any free port.
        heartbeat: what clients are offered, in whole seconds; 0 is none.
        max_queued_bytes: how much all queues together hold, unacknowledged messages included,
            before connections that publish are no longer read, as RabbitMQ does it when memory
            is low. :meth:`publish` still takes everything; its callers await :meth:`room`.
        handshake_timeout: seconds that a client has to log in.
        close_timeout: seconds that clients have to agree when the broker closes them.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with EmbeddedBroker() as broker:
        ...         broker.add_user("alice", "secret")
        ...         broker.declare_queue("results")
        ...         broker.publish("results", b"42")
        ...         print(broker.queue_length("results"))
        >>> asyncio.run(main())
        1
    """

    def __repr__(self) -> str:
        if self._open is None:
            return "<EmbeddedBroker closed>"
        queues = len(self._open.topology.queues)
        return (
            f"<EmbeddedBroker {self._host}:{self._port}, "
            f"{self.connections} connections, {queues} queues, {self.queued_bytes} bytes>"
        )

    def declare_queue(self, name: str, *, expires: float | None = None) -> None:
        """Make a durable queue; nothing happens if there is one like it.

        Args:
            name: up to 255 bytes of UTF-8, not beginning with ``amq.``.
            expires: seconds without consumers and declarations after which it goes away.

        Raises:
            ValueError: the name or the expiry cannot be, or the queue is there and differs.
        """
        if not 0 < len(name.encode()) <= 255:
            raise ValueError(f"a queue's name has 1 to 255 bytes, not {len(name.encode())}")
        arguments = {} if expires is None else {"x-expires": round(expires * 1000)}
        try:
            self._premises.topology.declare_queue(name, durable=True, arguments=arguments)
        except SoftError as error:
            raise ValueError(error.text) from None

    def delete_queue(self, name: str) -> int:
        """Delete a queue, if it is there, and cancel its consumers; how many messages waited."""
        return self._premises.topology.delete_queue(name)

    def has_queue(self, name: str) -> bool:
        """Whether there is such a queue."""
        return name in self._premises.topology.queues

    def queue_length(self, name: str) -> int:
        """How many messages wait in a queue, those that are out with clients not counted.

        Raises:
            LookupError: there is no such queue.
        """
        return len(self._queue(name).ready)

    def queue_counts(self, name: str) -> QueueCounts:
        """Messages waiting, messages out, and consumers of a queue.

        Raises:
            LookupError: there is no such queue.
        """
        queue = self._queue(name)
        return QueueCounts(len(queue.ready), queue.unacked, len(queue.consumers))

    def publish(
        self,
        queue: str,
        body: bytes,
        *,
        timestamp: int | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> bool:
        """Put a message into a queue, at once and without a socket.

        Args:
            queue: the queue's name.
            body: the message.
            timestamp: the property of this name, in Unix seconds.
            headers: the property of this name.

        Returns:
            False if there is no such queue; the message is dropped then, as a broker does.

        Raises:
            TypeError: AMQP has no type for a value in ``headers``.
        """
        found = self._premises.topology.queues.get(queue)
        if found is None:
            return False
        properties = encode_properties(timestamp, headers)
        found.push(Message(encode_address("", queue), properties, body, None))
        return True

    async def room(self) -> None:
        """Wait until the queues hold less than their limit; returns at once if they do."""
        volume = self._premises.volume
        await self.until(lambda: not volume.over)

    @property
    def queued_bytes(self) -> int:
        """About how much memory the queues take, unacknowledged messages included."""
        return self._open.volume.used if self._open is not None else 0

    # faults on purpose

    def close_channels(self, queue: str | None = None, *, code: int = 406) -> int:
        """Close all channels, or those that consume from ``queue``; how many."""
        closed = 0
        for connection in list(self._premises.connections):
            if connection.channels is None:
                continue
            for channel in list(connection.channels.open.values()):
                consumed = {consumer.queue.name for consumer in channel.consumers.values()}
                if queue is None or queue in consumed:
                    connection.channels.close(channel, SoftError(code, "closed on purpose"))
                    closed += 1
        return closed

    def cancel_consumers(self, queue: str) -> int:
        """Cancel a queue's consumers as if it were deleted, but keep it; how many.

        Raises:
            LookupError: there is no such queue.
        """
        consumers = list(self._queue(queue).consumers)
        for consumer in consumers:
            self._queue(queue).remove_consumer(consumer)
            consumer.cancelled()
        return len(consumers)

    # the rest

    def _queue(self, name: str) -> Queue:
        queue = self._premises.topology.queues.get(name)
        if queue is None:
            raise LookupError(f"there is no queue {name!r}; declare_queue() makes one")
        return queue
