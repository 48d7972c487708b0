"""A queue: messages that wait, messages that are out with a client, and who wants them.

Rules:

- Messages leave in the order in which they came. One that comes back (rejected, or its channel
  is gone) takes its old place again and is marked as redelivered.
- Consumers take turns, passing over those that have no room.
- Every message counts in the broker's volume from :meth:`Queue.push` until it is settled, purged,
  expired or dropped, whether it waits or is out.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Protocol

from funcx_async.local.broker.protocol import Message, SoftError

NUMBERS = {"x-expires": 1, "x-message-ttl": 0}  # each with its least value
CHOICES = {"x-queue-type": ("classic",)}
# RabbitMQ would act on these. To take and ignore them would lose or reorder messages in silence.
ABSENT = (
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-single-active-consumer",
)
by_position = attrgetter("position")


class Watch:
    """Lets coroutines wait until something about the broker is true.

    Conditions are asked again once per turn of the loop in which something changed, so a burst
    of a thousand messages asks once.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._scheduled = False

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition()`` is true."""
        if condition():
            return
        future = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            self._waiting.remove(entry)

    def changed(self) -> None:
        """Check the conditions again: something changed."""
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        self._scheduled = False
        for condition, future in self._waiting:
            if future.done():
                continue
            try:
                met = condition()
            except Exception as error:  # the condition is its author's; so is what it raises
                future.set_exception(error)
            else:
                if met:
                    future.set_result(None)


class Volume:
    """The memory that all queues take together, against a limit.

    Attributes:
        used: bytes held now, waiting and unacknowledged messages alike.
        limit: past it publishers are held up, until a quarter of it is free again.
        over: whether publishers are held up now.
        on_room: called when they may go on.
        watch: notified of every change.
    """

    def __init__(self, limit: int, watch: Watch, on_room: Callable[[], None]) -> None:
        self.used = 0
        self.limit = limit
        self.over = False
        self.on_room = on_room
        self.watch = watch
        self._low = limit * 3 // 4

    @property
    def exhausted(self) -> bool:
        """Whether incomplete messages take as much again as the limit."""
        return self.used > 2 * self.limit

    def add(self, size: int) -> None:
        """Count a message that a queue took."""
        self.used += size
        if self.used > self.limit:
            self.over = True
        self.watch.changed()

    def remove(self, size: int) -> None:
        """Count a message that a queue let go for good."""
        self.used -= size
        if self.over and self.used <= self._low:
            self.over = False
            self.on_room()
        self.watch.changed()


def read_arguments(queue: str, arguments: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return after how many seconds a new queue expires, and its messages do.

    Raises:
        SoftError: 406, one has a value that it may not have, or is not served here.
    """
    for name, least in NUMBERS.items():
        value = arguments.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _invalid(queue, name, f"expected integer, got {type(value).__name__}")
        if value < least:
            raise _invalid(queue, name, f"{value} is less than {least}")
    for name, choices in CHOICES.items():
        if name in arguments and arguments[name] not in choices:
            raise _invalid(queue, name, f"this broker has only {' and '.join(choices)}")
    for name in ABSENT:
        if name in arguments:
            raise _invalid(queue, name, "this broker does not have it")
    return _seconds(arguments.get("x-expires")), _seconds(arguments.get("x-message-ttl"))


def check_equivalent(queue: str, received: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Check that a queue is declared again with the arguments that it has.

    Raises:
        SoftError: 406, they differ.
    """
    for name in (*NUMBERS, *CHOICES, *ABSENT):
        new, old = received.get(name), current.get(name)
        if new != old:
            raise SoftError(
                406,
                f"inequivalent arg '{name}' for queue '{queue}' in vhost '/': "
                f"received {_quoted(new)} but current is {_quoted(old)}",
            )


def _invalid(queue: str, name: str, reason: str) -> SoftError:
    return SoftError(406, f"invalid arg '{name}' for queue '{queue}' in vhost '/': {reason}")


def _quoted(value: object) -> str:
    return "none" if value is None else f"'{value}'"


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


class Receiver(Protocol):
    """What a queue asks of a consumer."""

    unacked: int

    def has_room(self) -> bool:
        """Return whether it takes a message now; if not, it pumps the queue later."""
        ...

    def deliver(self, entry: Entry) -> None:
        """Deliver a message."""
        ...

    def cancelled(self) -> None:
        """Stop: the queue no longer serves it."""
        ...


class Entry:
    """One message's stay in one queue.

    Attributes:
        position: its place in the queue's order.
        redelivered: whether it was out before.
        deadline: the loop's time at which it expires, or None.
        consumer: who holds it unacknowledged, if a consumer does.
    """

    __slots__ = ("consumer", "deadline", "message", "position", "queue", "redelivered")

    def __init__(self, queue: Queue, message: Message, position: int) -> None:
        self.queue = queue
        self.message = message
        self.position = position
        self.redelivered = False
        self.deadline: float | None = None
        self.consumer: Receiver | None = None


class Queue:
    """A queue and its consumers.

    Attributes:
        ready: what waits, in order.
        unacked: how many messages are out with clients.
        consumers: whose turn it is comes first.
        owner: the connection to which the queue is exclusive, or None.
        sole_consumer: whether its one consumer asked to have it alone.
    """

    def __init__(
        self,
        name: str,
        *,
        loop: asyncio.AbstractEventLoop,
        volume: Volume,
        on_unused: Callable[[Queue], object],
        durable: bool = False,
        auto_delete: bool = False,
        owner: object | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.durable = durable
        self.auto_delete = auto_delete
        self.owner = owner
        self.arguments = dict(arguments or {})
        self._expires, self._message_ttl = read_arguments(name, self.arguments)
        self.ready: deque[Entry] = deque()
        self.unacked = 0
        self.consumers: deque[Receiver] = deque()
        self.sole_consumer = False
        self._loop = loop
        self._volume = volume
        self._on_unused = on_unused
        self._next_position = 0
        self._deleted = False
        self._unused_timer: asyncio.TimerHandle | None = None
        self._ttl_timer: asyncio.TimerHandle | None = None
        self.touch()

    # messages

    def push(self, message: Message) -> None:
        """Add a message."""
        entry = Entry(self, message, self._next_position)
        self._next_position += 1
        self._volume.add(message.size)
        if not self.ready and (consumer := self._next_consumer()) is not None:
            self.unacked += 1
            consumer.deliver(entry)
            return
        self.ready.append(entry)
        if message.ttl is not None or self._message_ttl is not None:
            waits = [ttl for ttl in (message.ttl, self._message_ttl) if ttl is not None]
            entry.deadline = self._loop.time() + min(waits)
            self._drop_expired()

    def take(self) -> Entry | None:
        """Remove and return the oldest message, or None if none waits."""
        self._drop_expired()
        self._volume.watch.changed()
        if not self.ready:
            return None
        self.unacked += 1
        return self.ready.popleft()

    def pump(self) -> None:
        """Deliver what waits to consumers that have room."""
        if self.ready:
            self._drop_expired()
            self._volume.watch.changed()
        while self.ready and (consumer := self._next_consumer()) is not None:
            self.unacked += 1
            consumer.deliver(self.ready.popleft())

    def settle(self, entry: Entry) -> None:
        """Forget a message that was out: it is acknowledged or thrown away."""
        self.unacked -= 1
        self._volume.remove(entry.message.size)

    def requeue(self, entries: list[Entry]) -> None:
        """Put messages back in their old places."""
        if self._deleted:
            for entry in entries:
                self.settle(entry)
            return
        self._volume.watch.changed()
        self.unacked -= len(entries)
        for entry in entries:
            entry.redelivered = True
        entries.sort(key=by_position)
        if not self.ready or entries[-1].position < self.ready[0].position:
            self.ready.extendleft(reversed(entries))
        else:
            self.ready = deque(heapq.merge(entries, self.ready, key=by_position))
        self.pump()

    # consumers

    def add_consumer(self, consumer: Receiver, *, alone: bool = False) -> None:
        """Serve a consumer, from its next pump on."""
        self.consumers.append(consumer)
        self.sole_consumer = alone
        self.touch()

    def remove_consumer(self, consumer: Receiver) -> None:
        """Serve a consumer no longer; without its last one the queue may go away."""
        self.consumers.remove(consumer)
        if not self.consumers:
            self.sole_consumer = False
        self.touch()
        if self.auto_delete and not self.consumers:
            self._on_unused(self)

    def touch(self) -> None:
        """Restart the time to the queue's expiry."""
        self._volume.watch.changed()
        if self._unused_timer is not None:
            self._unused_timer.cancel()
            self._unused_timer = None
        if self._expires is not None and not self.consumers and not self._deleted:
            self._unused_timer = self._loop.call_later(self._expires, self._on_unused, self)

    def delete(self) -> int:
        """Throw everything away and tell the consumers; how many messages waited."""
        self._deleted = True
        self._volume.watch.changed()
        for timer in (self._unused_timer, self._ttl_timer):
            if timer is not None:
                timer.cancel()
        count = len(self.ready)
        while self.ready:
            self._drop_head()
        consumers, self.consumers = self.consumers, deque()
        for consumer in consumers:
            consumer.cancelled()
        return count

    def _next_consumer(self) -> Receiver | None:
        consumers = self.consumers
        for _ in range(len(consumers)):
            consumer = consumers[0]
            consumers.rotate(-1)
            if consumer.has_room():
                return consumer
        return None

    # limits

    def _drop_head(self) -> None:
        self._volume.remove(self.ready.popleft().message.size)

    def _drop_expired(self) -> None:
        """Drop messages that waited too long at the head, and come again for the next one.

        One that expires behind one that does not stays, as in RabbitMQ: it could not be
        delivered before the other anyway.
        """
        now = self._loop.time()
        while self.ready and (deadline := self.ready[0].deadline) is not None:
            if deadline > now:
                if self._ttl_timer is None:
                    self._ttl_timer = self._loop.call_at(deadline, self._ttl_is_over)
                return
            self._drop_head()

    def _ttl_is_over(self) -> None:
        self._ttl_timer = None
        self._drop_expired()
