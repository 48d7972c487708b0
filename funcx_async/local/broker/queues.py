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

from funcx_async.local.broker.arguments import QueueOptions, read_arguments
from funcx_async.local.broker.messages import Message
from funcx_async.local.broker.volume import Volume


class Receiver(Protocol):
    """What a queue asks of a consumer."""

    unacked: int

    def has_room(self) -> bool:
        """Whether it takes a message now; if not, it asks for the queue's pump later."""
        ...

    def deliver(self, entry: Entry) -> None:
        """Take the message."""
        ...

    def cancelled(self) -> None:
        """Learn that the queue no longer serves it."""
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


by_position = attrgetter("position")


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
        self.options: QueueOptions = read_arguments(name, self.arguments)
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

    def push(self, message: Message) -> bool:
        """Take a message in; False if the queue is full and refuses newcomers."""
        options = self.options
        if options.rejects and len(self.ready) >= (options.max_length or 0):
            return False
        entry = Entry(self, message, self._next_position)
        self._next_position += 1
        self._volume.add(message.size)
        if not self.ready and (consumer := self._next_consumer()) is not None:
            self.unacked += 1
            consumer.deliver(entry)
            return True
        self.ready.append(entry)
        if message.ttl is not None or options.message_ttl is not None:
            waits = [ttl for ttl in (message.ttl, options.message_ttl) if ttl is not None]
            entry.deadline = self._loop.time() + min(waits)
            self._drop_expired()
        self._drop_surplus()
        return True

    def take(self) -> Entry | None:
        """Take the oldest message out, or None if none waits."""
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
        """Take back messages that were out, each into its old place."""
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
        self._drop_surplus()
        self.pump()

    def purge(self) -> int:
        """Throw away what waits; how many that were."""
        count = len(self.ready)
        while self.ready:
            self._drop_head()
        return count

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
        """Note that the queue is in use: the time to its expiry starts anew."""
        self._volume.watch.changed()
        if self._unused_timer is not None:
            self._unused_timer.cancel()
            self._unused_timer = None
        if self.options.expires is not None and not self.consumers and not self._deleted:
            self._unused_timer = self._loop.call_later(self.options.expires, self._on_unused, self)

    def delete(self) -> int:
        """Throw everything away and tell the consumers; how many messages waited."""
        self._deleted = True
        self._volume.watch.changed()
        for timer in (self._unused_timer, self._ttl_timer):
            if timer is not None:
                timer.cancel()
        count = self.purge()
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

    def _drop_surplus(self) -> None:
        limit = self.options.max_length
        if limit is not None and not self.options.rejects:
            while len(self.ready) > limit:
                self._drop_head()

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
