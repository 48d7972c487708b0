"""Two AMQP clients behind one face, so that each test of a broker is written once.

A peer is a connection with aio-pika or pika; what it opens are lines (channels). Every call has a
time limit. Whatever closes a channel or a connection is raised as :class:`Closed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aio_pika
import aiormq
import pika
import pika.adapters.blocking_connection
import pika.exceptions
from pamqp import commands

LIMIT = 30.0  # seconds for any one call


class Closed(Exception):
    """The broker closed a channel or the connection.

    ``code`` is the reply code where the client library tells it, else 0.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class Refused(Exception):
    """The broker did not take a message: "returned" or "nack"."""


@dataclass(frozen=True)
class Delivery:
    tag: int
    body: bytes
    redelivered: bool
    exchange: str
    routing_key: str
    headers: dict[str, Any] = field(default_factory=dict)
    timestamp: int | None = None
    left: int = 0  # of basic.get: how many messages stay behind


class Line(Protocol):
    """A channel. Arguments are named as in the protocol."""

    async def declare(self, queue: str = "", **flags: Any) -> tuple[str, int, int]: ...
    async def delete(self, queue: str, **flags: Any) -> int: ...
    async def bind(self, queue: str, exchange: str, routing_key: str) -> None: ...
    async def declare_exchange(self, exchange: str, kind: str, **flags: Any) -> None: ...
    async def confirm(self) -> None: ...
    async def publish(
        self,
        routing_key: str,
        body: bytes,
        *,
        exchange: str = "",
        mandatory: bool = False,
        headers: dict[str, Any] | None = None,
        timestamp: int | None = None,
        expiration: str | None = None,
    ) -> None: ...
    async def qos(self, count: int, *, in_all: bool = False) -> None: ...
    async def consume(self, queue: str, tag: str, **flags: Any) -> None: ...
    async def cancel(self, tag: str) -> None: ...
    async def next(self, tag: str, limit: float = LIMIT) -> Delivery: ...
    async def cancelled(self) -> str: ...
    async def get(self, queue: str, *, no_ack: bool = False) -> Delivery | None: ...
    async def ack(self, tag: int, *, multiple: bool = False) -> None: ...
    async def nack(self, tag: int, *, multiple: bool = False, requeue: bool = True) -> None: ...
    async def reject(self, tag: int, *, requeue: bool = True) -> None: ...
    async def close(self) -> None: ...
    async def closed(self) -> Closed: ...


class Peer(Protocol):
    """A connection."""

    async def line(self) -> Line: ...
    async def close(self) -> None: ...
    async def closed(self) -> Closed: ...


Connect = Callable[[str], contextlib.AbstractAsyncContextManager[Peer]]


async def nothing(line: Line, tag: str, within: float) -> None:
    """Wait ``within`` seconds in which no delivery may come."""
    try:
        delivery = await line.next(tag, within)
    except TimeoutError:
        return
    raise AssertionError(f"an unexpected delivery: {delivery}")


# aio-pika, and the aiormq channel below it for what aio-pika does not pass on

CODES: dict[type[BaseException], int] = {
    aiormq.exceptions.ChannelAccessRefused: 403,
    aiormq.exceptions.ChannelNotFoundEntity: 404,
    aiormq.exceptions.ChannelLockedResource: 405,
    aiormq.exceptions.ChannelPreconditionFailed: 406,
    aiormq.exceptions.ConnectionFrameError: 501,
    aiormq.exceptions.ConnectionSyntaxError: 502,
    aiormq.exceptions.ConnectionCommandInvalid: 503,
    aiormq.exceptions.ConnectionChannelError: 504,
    aiormq.exceptions.ConnectionUnexpectedFrame: 505,
    aiormq.exceptions.ConnectionNotAllowed: 530,
    aiormq.exceptions.ConnectionNotImplemented: 540,
}


def closed_by(error: BaseException | None) -> Closed:
    if error is None:
        return Closed(0, "")
    code = CODES.get(type(error), 0)
    if not code and error.args and isinstance(error.args[0], int):
        return Closed(error.args[0], str(error.args[-1]))
    return Closed(code, " ".join(str(arg) for arg in error.args))


@contextmanager
def aiormq_errors() -> Iterator[None]:
    try:
        yield
    except aiormq.exceptions.PublishError as error:
        raise Refused("returned") from error
    except aiormq.exceptions.DeliveryError as error:
        raise Refused("nack") from error
    except (aiormq.exceptions.AMQPError, aiormq.exceptions.ChannelInvalidStateError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, aiormq.AMQPError) else error
        raise closed_by(cause) from error


class AioPikaLine:
    def __init__(self, channel: Any, plain: Any) -> None:
        self._channel = channel  # with publisher confirms
        self._plain = plain  # without
        self._deliveries: dict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._cancelled: asyncio.Queue[str] = asyncio.Queue()
        for one in (channel, plain):
            one.on_consumer_cancel_callbacks.add(
                lambda frame: self._cancelled.put_nowait(frame.consumer_tag)
            )
        self._confirms = False

    @property
    def _now(self) -> Any:
        return self._channel if self._confirms else self._plain

    async def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        with aiormq_errors():
            async with asyncio.timeout(LIMIT):
                return await getattr(self._now, name)(*args, **kwargs)

    async def declare(self, queue: str = "", **flags: Any) -> tuple[str, int, int]:
        answer = await self._call("queue_declare", queue, **flags)
        return answer.queue, answer.message_count, answer.consumer_count

    async def delete(self, queue: str, **flags: Any) -> int:
        return int((await self._call("queue_delete", queue, **flags)).message_count)

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        await self._call("queue_bind", queue, exchange, routing_key)

    async def declare_exchange(self, exchange: str, kind: str, **flags: Any) -> None:
        await self._call("exchange_declare", exchange, exchange_type=kind, **flags)

    async def confirm(self) -> None:
        self._confirms = True

    async def publish(
        self,
        routing_key: str,
        body: bytes,
        *,
        exchange: str = "",
        mandatory: bool = False,
        headers: dict[str, Any] | None = None,
        timestamp: int | None = None,
        expiration: str | None = None,
    ) -> None:
        message = aio_pika.Message(body, headers=headers, timestamp=timestamp, message_id="1")
        properties = message.properties
        properties.expiration = expiration
        await self._call(
            "basic_publish",
            body,
            exchange=exchange,
            routing_key=routing_key,
            mandatory=mandatory,
            properties=properties,
        )

    async def qos(self, count: int, *, in_all: bool = False) -> None:
        await self._call("basic_qos", prefetch_count=count, global_=in_all)

    async def consume(self, queue: str, tag: str, **flags: Any) -> None:
        deliveries = self._deliveries[tag]

        async def on_message(message: Any) -> None:
            deliveries.put_nowait(self._delivery(message))

        await self._call("basic_consume", queue, on_message, consumer_tag=tag, **flags)

    async def cancel(self, tag: str) -> None:
        await self._call("basic_cancel", tag)

    async def next(self, tag: str, limit: float = LIMIT) -> Delivery:
        async with asyncio.timeout(limit):
            delivery: Delivery = await self._deliveries[tag].get()
            return delivery

    async def cancelled(self) -> str:
        async with asyncio.timeout(LIMIT):
            return await self._cancelled.get()

    async def get(self, queue: str, *, no_ack: bool = False) -> Delivery | None:
        message = await self._call("basic_get", queue, no_ack=no_ack)
        if isinstance(message.delivery, commands.Basic.GetEmpty):
            return None
        return self._delivery(message)

    async def ack(self, tag: int, *, multiple: bool = False) -> None:
        await self._call("basic_ack", tag, multiple=multiple)

    async def nack(self, tag: int, *, multiple: bool = False, requeue: bool = True) -> None:
        await self._call("basic_nack", tag, multiple=multiple, requeue=requeue)

    async def reject(self, tag: int, *, requeue: bool = True) -> None:
        await self._call("basic_reject", tag, requeue=requeue)

    async def close(self) -> None:
        await self._now.close()

    async def closed(self) -> Closed:
        return await aiormq_end(self._now)

    def _delivery(self, message: Any) -> Delivery:
        method, properties = message.delivery, message.header.properties
        return Delivery(
            tag=method.delivery_tag,
            body=message.body,
            redelivered=method.redelivered,
            exchange=method.exchange,
            routing_key=method.routing_key,
            headers=properties.headers or {},
            timestamp=None
            if properties.timestamp is None
            else int(properties.timestamp.timestamp()),
            left=getattr(method, "message_count", 0),
        )


async def aiormq_end(thing: Any) -> Closed:
    async with asyncio.timeout(LIMIT):
        try:
            await thing.closing
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return closed_by(error)
    return Closed(0, "")


class AioPikaPeer:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def line(self) -> Line:
        lines = []
        for confirms in (True, False):
            channel = await self._connection.channel(
                publisher_confirms=confirms, on_return_raises=confirms
            )
            lines.append(await channel.get_underlay_channel())
        return AioPikaLine(*lines)

    async def close(self) -> None:
        await self._connection.close()

    async def closed(self) -> Closed:
        return await aiormq_end(self._connection.transport.connection)


@asynccontextmanager
async def connect_aio_pika(url: str) -> AsyncIterator[Peer]:
    with aiormq_errors():
        connection = await aio_pika.connect(url, timeout=LIMIT)
    try:
        yield AioPikaPeer(connection)
    finally:
        await connection.close()


# pika, whose connection lives in a thread of its own


@contextmanager
def pika_errors() -> Iterator[None]:
    try:
        yield
    except pika.exceptions.UnroutableError as error:
        raise Refused("returned") from error
    except pika.exceptions.NackError as error:
        raise Refused("nack") from error
    except (pika.exceptions.ChannelClosed, pika.exceptions.ConnectionClosed) as error:
        raise Closed(error.reply_code, error.reply_text) from error
    except pika.exceptions.AMQPError as error:
        raise Closed(0, repr(error)) from error


class PikaThread:
    """The one thread that may touch a pika connection."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pika")

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def call() -> Any:
            with pika_errors():
                return function(*args, **kwargs)

        async with asyncio.timeout(LIMIT * 2):
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def stop(self) -> None:
        self._pool.shutdown(wait=True)


class PikaLine:
    def __init__(self, thread: PikaThread, connection: Any, channel: Any) -> None:
        self._thread = thread
        self._connection = connection
        self._channel = channel
        self._deliveries: dict[str, deque[Delivery]] = defaultdict(deque)
        self._cancelled: deque[str] = deque()
        channel.add_on_cancel_callback(
            lambda frame: self._cancelled.append(frame.method.consumer_tag)
        )

    def _until(self, condition: Callable[[], object], limit: float) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() >= deadline:
                raise TimeoutError
            self._connection.process_data_events(time_limit=max(deadline - time.monotonic(), 0.01))

    async def declare(self, queue: str = "", **flags: Any) -> tuple[str, int, int]:
        answer = await self._thread.run(self._channel.queue_declare, queue, **flags)
        return answer.method.queue, answer.method.message_count, answer.method.consumer_count

    async def delete(self, queue: str, **flags: Any) -> int:
        answer = await self._thread.run(self._channel.queue_delete, queue, **flags)
        return int(answer.method.message_count)

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        await self._thread.run(self._channel.queue_bind, queue, exchange, routing_key)

    async def declare_exchange(self, exchange: str, kind: str, **flags: Any) -> None:
        await self._thread.run(self._channel.exchange_declare, exchange, kind, **flags)

    async def confirm(self) -> None:
        await self._thread.run(self._channel.confirm_delivery)

    async def publish(
        self,
        routing_key: str,
        body: bytes,
        *,
        exchange: str = "",
        mandatory: bool = False,
        headers: dict[str, Any] | None = None,
        timestamp: int | None = None,
        expiration: str | None = None,
    ) -> None:
        properties = pika.BasicProperties(
            headers=headers, timestamp=timestamp, expiration=expiration
        )
        await self._thread.run(
            self._channel.basic_publish, exchange, routing_key, body, properties, mandatory
        )

    async def qos(self, count: int, *, in_all: bool = False) -> None:
        await self._thread.run(self._channel.basic_qos, prefetch_count=count, global_qos=in_all)

    async def consume(self, queue: str, tag: str, **flags: Any) -> None:
        def on_message(_: Any, method: Any, properties: Any, body: bytes) -> None:
            self._deliveries[tag].append(self._delivery(method, properties, body))

        flags["auto_ack"] = flags.pop("no_ack", False)
        await self._thread.run(
            self._channel.basic_consume, queue, on_message, consumer_tag=tag, **flags
        )

    async def cancel(self, tag: str) -> None:
        await self._thread.run(self._channel.basic_cancel, tag)

    async def next(self, tag: str, limit: float = LIMIT) -> Delivery:
        deliveries = self._deliveries[tag]
        await self._thread.run(self._until, lambda: deliveries, limit)
        return deliveries.popleft()

    async def cancelled(self) -> str:
        await self._thread.run(self._until, lambda: self._cancelled, LIMIT)
        return self._cancelled.popleft()

    async def get(self, queue: str, *, no_ack: bool = False) -> Delivery | None:
        method, properties, body = await self._thread.run(self._channel.basic_get, queue, no_ack)
        if method is None:
            return None
        return self._delivery(method, properties, body)

    async def ack(self, tag: int, *, multiple: bool = False) -> None:
        await self._thread.run(self._channel.basic_ack, tag, multiple)

    async def nack(self, tag: int, *, multiple: bool = False, requeue: bool = True) -> None:
        await self._thread.run(self._channel.basic_nack, tag, multiple, requeue)

    async def reject(self, tag: int, *, requeue: bool = True) -> None:
        await self._thread.run(self._channel.basic_reject, tag, requeue)

    async def close(self) -> None:
        await self._thread.run(self._channel.close)

    async def closed(self) -> Closed:
        # A pika channel tells why it was closed to whoever waits for an answer on it.
        try:
            await self._thread.run(self._channel.basic_qos)
        except Closed as error:
            return error
        return Closed(0, "")

    def _delivery(self, method: Any, properties: Any, body: bytes) -> Delivery:
        return Delivery(
            tag=method.delivery_tag,
            body=body,
            redelivered=method.redelivered,
            exchange=method.exchange,
            routing_key=method.routing_key,
            headers=properties.headers or {},
            timestamp=properties.timestamp,
            left=getattr(method, "message_count", 0),
        )


class PikaPeer:
    def __init__(self, thread: PikaThread, connection: Any) -> None:
        self._thread = thread
        self._connection = connection

    async def line(self) -> Line:
        channel = await self._thread.run(self._connection.channel)
        return PikaLine(self._thread, self._connection, channel)

    async def close(self) -> None:
        await self._thread.run(self._connection.close)

    async def closed(self) -> Closed:
        try:
            await self._thread.run(self._connection.process_data_events, LIMIT)
        except Closed as error:
            return error
        return Closed(0, "")


@asynccontextmanager
async def connect_pika(url: str) -> AsyncIterator[Peer]:
    thread = PikaThread()
    try:
        connection = await thread.run(pika.BlockingConnection, pika.URLParameters(url))
        try:
            yield PikaPeer(thread, connection)
        finally:
            if connection.is_open:
                with contextlib.suppress(Closed):
                    await thread.run(connection.close)
    finally:
        thread.stop()


CLIENTS: dict[str, Connect] = {"aio-pika": connect_aio_pika, "pika": connect_pika}
