"""The embedded broker: its life, its users, and what its program does with the queues."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from funcx_async.local.broker.connection import BrokerContext, Connection
from funcx_async.local.broker.login import Users
from funcx_async.local.broker.protocol import (
    HardError,
    Message,
    SoftError,
    encode_address,
    encode_properties,
)
from funcx_async.local.broker.queues import Entry, Queue, Volume, Watch
from funcx_async.local.broker.topology import Topology
from funcx_async.local.listener import Listener, connection_limit

logger = logging.getLogger("funcx_async.local.broker")

RETRY_AFTER_S = 1.0
MAX_BODY = 128 * 1024 * 1024


class QueueCounts(NamedTuple):
    """What a queue has: messages that wait, messages that are out with clients, and consumers."""

    ready: int
    unacknowledged: int
    consumers: int


class InProcessConsumer:
    """A consumer without a connection: what the program itself takes from a queue."""

    def __init__(
        self, receive: Callable[[bytes], None], queue: Queue, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.unacked = 0
        self._receive = receive
        self._queue = queue
        self._loop = loop
        self._failed: Entry | None = None
        self._retry: asyncio.TimerHandle | None = None

    def has_room(self) -> bool:
        """Return whether no message waits to be retried."""
        return self._failed is None

    def deliver(self, entry: Entry) -> None:
        """Hand a message on, and settle it."""
        try:
            self._receive(entry.message.body)
        except Exception:
            logger.exception("A message on %s could not be taken", self._queue.name)
            self._failed = entry
            self._retry = self._loop.call_later(RETRY_AFTER_S, self._try_again, entry)
        else:
            self._queue.settle(entry)

    def cancelled(self) -> None:
        """Drop a message that waits to be retried: its queue is gone."""
        if self._retry is not None and self._failed is not None:
            self._retry.cancel()
            self._queue.settle(self._failed)

    def _try_again(self, entry: Entry) -> None:
        self._failed = None
        self._queue.requeue([entry])


class EmbeddedBroker:
    """An AMQP 0-9-1 broker inside this process, for development, tests and air-gapped use.

    It behaves like RabbitMQ as far as clients and endpoint agents need it: the default exchange
    and ``amq.direct``, queues with expiry and message TTL, prefetch, acknowledgements, redelivery
    in order, publisher confirms, heartbeats. It keeps nothing on disk, and all queues go when it
    closes.

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
        self._heartbeat = heartbeat
        self._max_queued_bytes = max_queued_bytes
        self._handshake_timeout = handshake_timeout
        self._close_timeout = close_timeout
        self._users = Users()
        self._watch = Watch()
        self._most_connections = connection_limit()
        self._listener: Listener | None = None
        self._open: BrokerContext | None = None
        self._stalled = False

    def __repr__(self) -> str:
        if self._open is None:
            return "<EmbeddedBroker closed>"
        queues = len(self._open.topology.queues)
        return (
            f"<EmbeddedBroker {self._host}:{self._port}, "
            f"{self.connections} connections, {queues} queues, {self.queued_bytes} bytes>"
        )

    # life

    async def start(self) -> None:
        """Listen. A broker that was closed may start again; it then takes the same port.

        Raises:
            OSError: the port is taken.
            RuntimeError: it runs already.
        """
        if self._listener is not None:
            raise RuntimeError("this broker runs already; aclose() it first, or make another")
        loop = asyncio.get_running_loop()
        connections: set[Connection] = set()
        volume = Volume(self._max_queued_bytes, self._watch, partial(_unblock, connections))
        self._open = BrokerContext(
            loop,
            self._users,
            self._heartbeat,
            Topology(loop, volume),
            volume,
            self._watch,
            self._handshake_timeout,
            self._close_timeout,
            MAX_BODY,
            connections,
        )
        listener = Listener(self._host, self._port, self._admit)
        try:
            await listener.start()
        except OSError:
            self._open = None
            raise
        self._listener = listener
        self._port = listener.port

    async def aclose(self) -> None:
        """Close all connections (320, CONNECTION_FORCED), delete all queues, listen no more."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        self.resume()
        self.disconnect(abort=False)
        context = self._context
        try:
            await listener.aclose()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._close_timeout):
                    await self.until(lambda: not context.connections)
        finally:
            self.disconnect()  # those that did not agree, or all if this was cancelled
            context.topology.delete_all()
            self._open = None
        await self.until(lambda: not context.connections)

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
        """Add a user, or change a password. Open connections stay."""
        self._users.add(user, password)

    def remove_user(self, user: str) -> None:
        """Remove a user. Open connections stay."""
        self._users.remove(user)

    def url(self, user: str, password: str) -> str:
        """Return the URL with which this user connects; it holds the password, so never log it."""
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

    # what is in it

    def declare_queue(
        self,
        name: str,
        *,
        expires: float | None = None,
        message_ttl: float | None = None,
        exchange: str | None = None,
    ) -> None:
        """Make a durable queue; nothing happens if there is one like it.

        Args:
            name: up to 255 bytes of UTF-8, not beginning with ``amq.``.
            expires: seconds without consumers and declarations after which it goes away.
            message_ttl: seconds after which a message that waits in it is dropped.
            exchange: an exchange to bind it to, by its name.

        Raises:
            ValueError: the name or the expiry cannot be, or the queue is there and differs.
        """
        if not 0 < len(name.encode()) <= 255:
            raise ValueError(f"a queue's name has 1 to 255 bytes, not {len(name.encode())}")
        limits = {"x-expires": expires, "x-message-ttl": message_ttl}
        arguments = {
            key: round(seconds * 1000) for key, seconds in limits.items() if seconds is not None
        }
        try:
            self._context.topology.declare_queue(name, durable=True, arguments=arguments)
            if exchange is not None:
                self._context.topology.bind(name, exchange, name)
        except SoftError as error:
            raise ValueError(error.text) from None

    def delete_queue(self, name: str) -> int:
        """Delete a queue, if it is there, and cancel its consumers; how many messages waited."""
        return self._context.topology.delete_queue(name)

    def has_queue(self, name: str) -> bool:
        """Return whether there is such a queue."""
        return name in self._context.topology.queues

    def queue_length(self, name: str) -> int:
        """Return how many messages wait in a queue, without the unacknowledged ones.

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
        content_type: str | None = None,
    ) -> bool:
        """Publish a message to a queue, at once and without a socket.

        Args:
            queue: the queue's name.
            body: the message.
            timestamp: the property of this name, in Unix seconds.
            headers: the property of this name.
            content_type: the property of this name.

        Returns:
            False if there is no such queue; the message is dropped then, as a broker does.

        Raises:
            TypeError: AMQP has no type for a value in ``headers``.
        """
        found = self._context.topology.queues.get(queue)
        if found is None:
            return False
        properties = encode_properties(timestamp, headers, content_type)
        found.push(Message(encode_address("", queue), properties, body, None))
        return True

    def consume(self, queue: str, receive: Callable[[bytes], None]) -> None:
        """Pass each message of a queue to ``receive``, and acknowledge it afterwards.

        A message for which ``receive`` raises is given to it again a second later.

        Raises:
            LookupError: there is no such queue.
        """
        found = self._queue(queue)
        found.add_consumer(InProcessConsumer(receive, found, self._context.loop))
        found.pump()

    async def room(self) -> None:
        """Wait until the queues hold less than their limit; returns at once if they do."""
        volume = self._context.volume
        await self.until(lambda: not volume.over)

    @property
    def queued_bytes(self) -> int:
        """About how much memory the queues take, unacknowledged messages included."""
        return self._open.volume.used if self._open is not None else 0

    # injected faults

    def disconnect(self, *, abort: bool = True) -> int:
        """Cut all connections; how many.

        Args:
            abort: by a reset; else politely, by CONNECTION_FORCED.
        """
        connections = list(self._context.connections)
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

    def close_channels(self, queue: str | None = None, *, code: int = 406) -> int:
        """Close all channels, or those that consume from ``queue``; how many."""
        closed = 0
        for connection in list(self._context.connections):
            if connection.channels is None:
                continue
            for channel in list(connection.channels.open.values()):
                consumed = {consumer.queue.name for consumer in channel.consumers.values()}
                if queue is None or queue in consumed:
                    connection.channels.close(
                        channel, SoftError(code, "closed by an injected fault")
                    )
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

    @property
    def _context(self) -> BrokerContext:
        if self._open is None:
            raise RuntimeError("the broker is not running; await start() first")
        return self._open

    def _admit(self) -> Connection | None:
        """Return the protocol of a new connection, or None if there are too many."""
        connections = self._context.connections
        if len(connections) >= self._most_connections:
            strangers = (each for each in connections if each.channels is None)
            if (stranger := next(strangers, None)) is None:
                return None
            stranger.abort()
        return Connection(self._context, stalled=self._stalled)

    def _set_stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        for connection in list(self._context.connections):
            connection.stall(stalled)

    def _queue(self, name: str) -> Queue:
        queue = self._context.topology.queues.get(name)
        if queue is None:
            raise LookupError(f"there is no queue {name!r}; declare_queue() makes one")
        return queue


def _unblock(connections: set[Connection]) -> None:
    for connection in list(connections):
        connection.unblock()
