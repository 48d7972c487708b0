"""A channel's state: its consumers, and the deliveries that it has not acknowledged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from pamqp import base, commands

from funcx_async.local.broker.outbox import Outbox
from funcx_async.local.broker.protocol import (
    Message,
    SoftError,
    encode_content,
    encode_deliver,
    encode_method,
    short_string,
)
from funcx_async.local.broker.queues import Entry, Queue, Receiver
from funcx_async.local.broker.topology import Topology


@dataclass(frozen=True, slots=True)
class Session:
    """What a client and the broker agreed on at login.

    Attributes:
        user: who logged in.
        capabilities: what the client says that it understands.
        channel_max: how many channels it may open.
        frame_max: the largest frame either sends, in bytes.
        heartbeat: seconds; 0 is none.
    """

    user: str
    capabilities: frozenset[str]
    channel_max: int
    frame_max: int
    heartbeat: int


class Consumer:
    """One ``basic.consume``: a queue's messages flow through it into a channel."""

    def __init__(self, channel: Channel, queue: Queue, tag: str, *, no_ack: bool) -> None:
        self.queue = queue
        self.tag = tag
        self.unacked = 0
        self._channel = channel
        self._encoded_tag = short_string(tag)
        self._no_ack = no_ack
        self._prefetch = 0 if no_ack else channel.prefetch

    def has_room(self) -> bool:
        """Return whether no prefetch limit is reached, and the client reads what it is sent."""
        channel = self._channel
        if self._prefetch and self.unacked >= self._prefetch:
            return False
        if channel.prefetch_in_all and not self._no_ack and channel.is_full():
            return False
        return channel.outbox.admits()

    def deliver(self, entry: Entry) -> None:
        """Send a message to the client."""
        channel, message, redelivered = self._channel, entry.message, entry.redelivered
        if self._no_ack:
            tag = channel.next_tag()
            entry.queue.settle(entry)
        else:
            tag = channel.keep(entry, self)
        number = channel.number
        channel.outbox.write(
            encode_deliver(number, self._encoded_tag, tag, redelivered, message.address)
            + encode_content(number, message, channel.session.frame_max)
        )

    def cancelled(self) -> None:
        """Notify the client that the consumer was cancelled."""
        self._channel.consumers.pop(self.tag, None)
        if "consumer_cancel_notify" in self._channel.session.capabilities:
            self._channel.send(commands.Basic.Cancel(consumer_tag=self.tag, nowait=True))


@dataclass(slots=True)
class Incoming:
    """A message of which not all frames are here yet."""

    method: commands.Basic.Publish
    properties: bytes | None = None  # None until the content header is here
    ttl: float | None = None
    missing: int = 0
    held: int = 0  # bytes counted in the broker's volume
    pieces: list[bytes] = field(default_factory=list)


class Channel:
    """An open channel.

    Attributes:
        owner: the connection, as the owner of exclusive queues.
        last_queue: the queue declared last, for which clients may write "".
        prefetch: how many deliveries a consumer started from now on may hold; 0 is no limit.
        prefetch_in_all: how many all consumers of the channel may hold together; 0 is no limit.
        incoming: the message being published, between its first frame and its last.
        confirming: whether the client asked for publisher confirms.
        published: how many publishes of a channel that confirms were taken.
    """

    def __init__(
        self, number: int, session: Session, outbox: Outbox, topology: Topology, owner: object
    ) -> None:
        self.number = number
        self.session = session
        self.outbox = outbox
        self.topology = topology
        self.owner = owner
        self.consumers: dict[str, Consumer] = {}
        self.last_queue = ""
        self.prefetch = 0
        self.prefetch_in_all = 0
        self.incoming: Incoming | None = None
        self.confirming = False
        self.published = 0
        self._confirmed = 0
        self._unacked: dict[int, Entry] = {}  # by delivery tag, which only ever grows
        self._held_by_consumers = 0
        self._last_tag = 0

    def send(self, method: base.Frame) -> None:
        """Send a method to the client."""
        self.outbox.write(encode_method(self.number, method))

    def send_content(self, start: bytes, message: Message) -> None:
        """Send a message after the method frame that announces it."""
        content = encode_content(self.number, message, self.session.frame_max)
        self.outbox.write(start + content)

    def queue(self, name: str) -> Queue:
        """Return the queue of this name; "" is the one declared last on this channel.

        Raises:
            SoftError: 404, there is none; 405, it is exclusive to another connection.
        """
        return self.topology.queue(self.queue_name(name), self.owner)

    def queue_name(self, name: str) -> str:
        """Return the name that "" stands for.

        Raises:
            SoftError: 404, no queue was declared on this channel.
        """
        if not (name or self.last_queue):
            raise SoftError(404, "no previously declared queue")
        return name or self.last_queue

    # deliveries

    def next_tag(self) -> int:
        """Number a delivery that needs no acknowledgement."""
        self._last_tag += 1
        return self._last_tag

    def keep(self, entry: Entry, consumer: Receiver | None = None) -> int:
        """Number a delivery and keep it until it is acknowledged."""
        tag = self.next_tag()
        self._unacked[tag] = entry
        if consumer is not None:
            entry.consumer = consumer
            consumer.unacked += 1
            self._held_by_consumers += 1
        return tag

    def is_full(self) -> bool:
        """Return whether the consumers together hold what they may."""
        return self._held_by_consumers >= self.prefetch_in_all

    def release(self, tag: int, *, multiple: bool) -> list[Entry]:
        """Release a delivery, or with ``multiple`` all up to it; tag 0 is then all.

        Raises:
            SoftError: 406, there is no such delivery.
        """
        everything = multiple and tag == 0
        if tag not in self._unacked and not everything:
            raise SoftError(406, f"unknown delivery tag {tag}")
        if everything:
            tags = list(self._unacked)
        elif multiple:
            tags = list(takewhile(lambda earlier: earlier <= tag, self._unacked))
        else:
            tags = [tag]
        return [self._release(tag) for tag in tags]

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """Settle deliveries that were released, and deliver into the room that they leave."""
        queues = set()
        for entry in entries:
            entry.queue.settle(entry)
            queues.add(entry.queue)
        self.pump(queues)

    def requeue(self, entries: Iterable[Entry]) -> None:
        """Requeue released deliveries."""
        by_queue: dict[Queue, list[Entry]] = {}
        for entry in entries:
            by_queue.setdefault(entry.queue, []).append(entry)
        for queue, returned in by_queue.items():
            queue.requeue(returned)
        self.pump(())

    def pump(self, queues: Iterable[Queue]) -> None:
        """Deliver from these queues, and where room is shared from all that are consumed here."""
        for queue in queues:
            queue.pump()
        if self.prefetch_in_all:
            self.pump_all()

    def pump_all(self) -> None:
        """Deliver from every queue that is consumed on this channel."""
        for consumer in list(self.consumers.values()):
            consumer.queue.pump()

    def close(self) -> None:
        """Release everything: consumers first, so that nothing is delivered to them again."""
        consumers = list(self.consumers.values())
        self.consumers.clear()
        for consumer in consumers:
            consumer.queue.remove_consumer(consumer)
        self.prefetch_in_all = 0
        self.drop_incoming()
        self.confirming = False
        self.requeue(self.release(0, multiple=True))

    def flush_confirms(self) -> None:
        """Confirm, in bulk, the publishes that are not confirmed yet."""
        several = self.published - self._confirmed > 1
        if self.confirming and self.published > self._confirmed:
            self._confirmed = self.published
            self.send(commands.Basic.Ack(self.published, multiple=several))

    def drop_incoming(self) -> None:
        """Forget the message being published, if there is one."""
        if self.incoming is not None:
            self.topology.volume.remove(self.incoming.held)
            self.incoming = None

    def _release(self, tag: int) -> Entry:
        entry = self._unacked.pop(tag)
        if entry.consumer is not None:
            entry.consumer.unacked -= 1
            entry.consumer = None
            self._held_by_consumers -= 1
        return entry
