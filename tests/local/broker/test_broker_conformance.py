"""What every broker does with every client: the embedded one and RabbitMQ, aio-pika and pika."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.local.broker.peers import Closed, Connect, Line, Peer, Refused, nothing

Name = Callable[[], str]


@pytest.fixture
async def peer(broker_url: str, connect: Connect, name: Name) -> AsyncIterator[Peer]:
    async with connect(broker_url) as peer:
        yield peer


@pytest.fixture
async def other(broker_url: str, connect: Connect, name: Name) -> AsyncIterator[Peer]:
    async with connect(broker_url) as peer:
        yield peer


@pytest.fixture
async def line(peer: Peer) -> Line:
    return await peer.line()


async def filled(line: Line, queue: str, count: int) -> None:
    """A new queue with the messages 0, 1, 2 ... in it."""
    await line.declare(queue)
    await line.confirm()
    for i in range(count):
        await line.publish(queue, b"%d" % i)


async def bodies(line: Line, tag: str, count: int) -> list[bytes]:
    return [(await line.next(tag)).body for _ in range(count)]


async def left(line: Line, queue: str) -> list[tuple[bytes, bool]]:
    """What is in a queue, and whether it was out before; the queue is empty afterwards."""
    found = []
    while (delivery := await line.get(queue, no_ack=True)) is not None:
        found.append((delivery.body, delivery.redelivered))
    return found


class TestLogin:
    async def test_a_wrong_password_is_refused(self, broker_url: str, connect: Connect) -> None:
        parts = urlsplit(broker_url)
        address = parts.netloc.rpartition("@")[2]
        wrong = urlunsplit(parts._replace(netloc=f"{parts.username}:wrong@{address}"))
        with pytest.raises(Closed, match="ACCESS_REFUSED"):
            async with connect(wrong):
                pass

    async def test_an_unknown_user_is_refused(self, broker_url: str, connect: Connect) -> None:
        parts = urlsplit(broker_url)
        address = parts.netloc.rpartition("@")[2]
        wrong = urlunsplit(parts._replace(netloc=f"nobody-at-all:secret@{address}"))
        with pytest.raises(Closed, match="ACCESS_REFUSED"):
            async with connect(wrong):
                pass

    async def test_there_is_no_other_virtual_host(self, broker_url: str, connect: Connect) -> None:
        elsewhere = urlunsplit(urlsplit(broker_url)._replace(path="/funcx-async-nowhere"))
        with pytest.raises(Closed):  # aiormq does not say why
            async with connect(elsewhere):
                pass


class TestQueues:
    async def test_declaring_again_changes_nothing(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 2)
        assert await line.declare(queue) == (queue, 2, 0)

    async def test_passive_finds_what_is_there(self, line: Line, name: Name) -> None:
        queue = name()
        await line.declare(queue, durable=True, arguments={"x-expires": 60_000})
        assert await line.declare(queue, passive=True) == (queue, 0, 0)

    async def test_passive_without_a_queue_is_an_error(self, line: Line, name: Name) -> None:
        with pytest.raises(Closed, match="NOT_FOUND - no queue") as raised:
            await line.declare(name(), passive=True)
        assert raised.value.code == 404

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"durable": True}, id="durable"),
            pytest.param({"auto_delete": True}, id="auto-delete"),
            pytest.param({"arguments": {"x-expires": 50_000}}, id="another-expiry"),
            pytest.param({"arguments": {}}, id="no-expiry"),
        ],
    )
    async def test_declaring_it_otherwise_is_an_error(
        self, line: Line, name: Name, change: dict[str, object]
    ) -> None:
        queue, arguments = name(), {"x-expires": 60_000}
        await line.declare(queue, arguments=arguments)
        with pytest.raises(Closed, match="PRECONDITION_FAILED - inequivalent arg") as raised:
            await line.declare(queue, **({"arguments": arguments} | change))
        assert raised.value.code == 406

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param({"x-expires": 0}, id="expiry-of-nothing"),
            pytest.param({"x-expires": "soon"}, id="expiry-in-words"),
            pytest.param({"x-message-ttl": -1}, id="negative-ttl"),
        ],
    )
    async def test_senseless_arguments_are_refused(
        self, line: Line, name: Name, arguments: dict[str, object]
    ) -> None:
        with pytest.raises(Closed, match="PRECONDITION_FAILED - invalid arg") as raised:
            await line.declare(name(), arguments=arguments)
        assert raised.value.code == 406

    async def test_names_of_the_brokers_own_are_refused(self, line: Line) -> None:
        with pytest.raises(Closed, match=r"ACCESS_REFUSED - queue name 'amq\.mine'") as raised:
            await line.declare("amq.mine")
        assert raised.value.code == 403

    async def test_a_queue_without_a_name_gets_one(self, line: Line) -> None:
        first, _, _ = await line.declare("", exclusive=True)
        second, _, _ = await line.declare("", exclusive=True)
        assert first.startswith("amq.gen-")
        assert first != second

    async def test_a_name_may_have_blanks_and_signs(self, line: Line, name: Name) -> None:
        queue = "a/b, c #1 " + name()
        await line.declare(queue, exclusive=True)
        await line.publish(queue, b"x")
        delivery = await line.get(queue)
        assert delivery is not None
        assert delivery.routing_key == queue

    async def test_deleting_says_how_many_waited(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 3)
        assert await line.delete(queue) == 3

    async def test_deleting_what_is_not_there_is_no_error(self, line: Line, name: Name) -> None:
        assert await line.delete(name()) == 0

    async def test_a_queue_with_messages_survives_if_empty(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 1)
        with pytest.raises(Closed, match="not empty") as raised:
            await line.delete(queue, if_empty=True)
        assert raised.value.code == 406

    async def test_a_queue_with_consumers_survives_if_unused(self, line: Line, name: Name) -> None:
        queue = name()
        await line.declare(queue)
        await line.consume(queue, "c")
        with pytest.raises(Closed, match="in use") as raised:
            await line.delete(queue, if_unused=True)
        assert raised.value.code == 406

    async def test_an_exclusive_queue_is_for_its_connection_alone(
        self, line: Line, other: Peer, name: Name
    ) -> None:
        queue = name()
        await line.declare(queue, exclusive=True)
        for attempt in (
            lambda line: line.declare(queue, exclusive=True),
            lambda line: line.declare(queue, passive=True),
            lambda line: line.consume(queue, "c"),
            lambda line: line.get(queue),
            lambda line: line.delete(queue),
        ):
            with pytest.raises(Closed, match="RESOURCE_LOCKED") as raised:
                await attempt(await other.line())
            assert raised.value.code == 405

    async def test_an_exclusive_queue_goes_with_its_connection(
        self, broker_url: str, connect: Connect, line: Line, name: Name
    ) -> None:
        queue = name()
        async with connect(broker_url) as owner:
            await (await owner.line()).declare(queue, exclusive=True)
        # Not passively: RabbitMQ may still be at it, and this waits for it to be done.
        assert await line.delete(queue) == 0
        assert await line.declare(queue) == (queue, 0, 0)

    async def test_an_auto_delete_queue_goes_with_its_last_consumer(
        self, line: Line, peer: Peer, name: Name
    ) -> None:
        queue, consumer = name(), await peer.line()
        await line.declare(queue, auto_delete=True)
        await consumer.consume(queue, "c")
        await consumer.close()
        with pytest.raises(Closed, match="NOT_FOUND"):
            await line.declare(queue, passive=True)

    async def test_a_queue_goes_when_nobody_used_it_for_its_expiry(
        self, line: Line, name: Name
    ) -> None:
        queue, clock = name(), name()
        await line.declare(clock)
        await line.consume(clock, "clock")
        await line.declare(queue, arguments={"x-expires": 50})
        await nothing(line, "clock", within=0.5)
        with pytest.raises(Closed, match="NOT_FOUND"):
            await line.declare(queue, passive=True)

    async def test_a_queue_with_a_consumer_does_not_expire(self, line: Line, name: Name) -> None:
        queue = name()
        await line.declare(queue, arguments={"x-expires": 50})
        await line.consume(queue, "c")
        await nothing(line, "c", within=0.5)
        assert await line.declare(queue, passive=True) == (queue, 0, 1)

    async def test_messages_go_when_they_waited_too_long(self, line: Line, name: Name) -> None:
        queue, clock = name(), name()
        await line.declare(clock)
        await line.consume(clock, "clock")
        await line.declare(queue, arguments={"x-message-ttl": 200})
        await line.publish(queue, b"the queue's limit")
        await line.publish(queue, b"its own limit", expiration="50")
        await nothing(line, "clock", within=0.6)
        assert await line.declare(queue, passive=True) == (queue, 0, 0)
        assert await line.get(queue) is None


class TestExchanges:
    async def test_a_message_comes_once_by_its_key(self, line: Line, name: Name) -> None:
        queue, key = name(), name()
        await line.declare(queue)
        for _ in range(2):
            await line.bind(queue, "amq.direct", key)
        await line.confirm()
        await line.publish(key, b"x", exchange="amq.direct")
        await line.publish(f"{key}.more", b"y", exchange="amq.direct")
        delivery = await line.get(queue)
        assert delivery is not None
        assert (delivery.exchange, delivery.routing_key, delivery.left) == ("amq.direct", key, 0)

    async def test_a_queue_that_is_gone_is_bound_no_more(self, line: Line, name: Name) -> None:
        queue, key = name(), name()
        await line.declare(queue)
        await line.bind(queue, "amq.direct", key)
        await line.delete(queue)
        await line.declare(queue)
        await line.confirm()
        await line.publish(key, b"x", exchange="amq.direct")
        assert await left(line, queue) == []

    async def test_a_message_to_no_exchange_closes_the_channel(
        self, line: Line, name: Name
    ) -> None:
        await line.confirm()
        with pytest.raises(Closed, match="NOT_FOUND - no exchange") as raised:
            await line.publish("k", b"x", exchange=name())
        assert raised.value.code == 404

    async def test_passive_finds_an_exchange_that_is_there(self, peer: Peer, name: Name) -> None:
        await (await peer.line()).declare_exchange("amq.direct", "direct", passive=True)
        with pytest.raises(Closed, match="NOT_FOUND - no exchange") as raised:
            await (await peer.line()).declare_exchange(name(), "direct", passive=True)
        assert raised.value.code == 404

    async def test_the_default_exchange_takes_no_bindings(self, line: Line, name: Name) -> None:
        queue = name()
        await line.declare(queue)
        with pytest.raises(Closed, match="default exchange") as raised:
            await line.bind(queue, "", "k")
        assert raised.value.code == 403


class TestPublishing:
    @pytest.mark.parametrize(
        "size",
        [
            pytest.param(0, id="empty"),
            pytest.param(1, id="one-byte"),
            pytest.param(131_063, id="a-byte-less-than-a-frame"),
            pytest.param(131_064, id="just-a-frame"),
            pytest.param(131_065, id="a-byte-more-than-a-frame"),
            pytest.param(10_000_000, id="ten-megabytes"),
        ],
    )
    async def test_a_body_arrives_as_it_was_sent(self, line: Line, name: Name, size: int) -> None:
        queue, body = name(), bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
        await line.declare(queue)
        await line.confirm()
        await line.publish(queue, body[:size])
        await line.consume(queue, "c")
        delivery = await line.next("c")
        assert delivery.body == body[:size]

    async def test_properties_arrive_as_they_were_sent(self, line: Line, name: Name) -> None:
        queue = name()
        headers = {"flag": True, "number": 7, "text": "grün", "none": None, "list": [1, "a"]}
        await line.declare(queue)
        await line.confirm()
        await line.publish(queue, b"x", headers=headers, timestamp=1_700_000_000)
        delivery = await line.get(queue)
        assert delivery is not None
        assert delivery.headers == headers
        assert delivery.timestamp == 1_700_000_000

    async def test_a_message_that_nobody_gets_comes_back_if_mandatory(
        self, line: Line, name: Name
    ) -> None:
        await line.confirm()
        with pytest.raises(Refused, match="returned"):
            await line.publish(name(), b"x", mandatory=True)
        await line.publish(name(), b"taken and dropped")

    async def test_a_mandatory_message_that_arrives_does_not_come_back(
        self, line: Line, name: Name
    ) -> None:
        queue = name()
        await line.declare(queue)
        await line.confirm()
        await line.publish(queue, b"x", mandatory=True)
        assert await left(line, queue) == [(b"x", False)]

    async def test_an_expiration_is_a_number(self, line: Line, name: Name) -> None:
        queue = name()
        await line.declare(queue)
        await line.confirm()
        with pytest.raises(Closed, match="invalid expiration 'soon'") as raised:
            await line.publish(queue, b"x", expiration="soon")
        assert raised.value.code == 406

    async def test_channels_do_not_mix(self, peer: Peer, name: Name) -> None:
        lines, queue = [await peer.line() for _ in range(5)], name()
        await lines[0].declare(queue)
        for i, line in enumerate(lines):
            await line.publish(queue, b"%d" % i * 300_000)
        await lines[0].consume(queue, "c")
        arrived = await bodies(lines[0], "c", 5)
        assert sorted(arrived) == [b"%d" % i * 300_000 for i in range(5)]


class TestConsuming:
    async def test_messages_arrive_in_order(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 50)
        await line.consume(queue, "c")
        assert await bodies(line, "c", 50) == [b"%d" % i for i in range(50)]

    async def test_prefetch_holds_for_each_consumer(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 5)
        await line.qos(2)
        await line.consume(queue, "a")
        assert await bodies(line, "a", 2) == [b"0", b"1"]
        await nothing(line, "a", within=0.2)
        await line.consume(queue, "b")
        assert await bodies(line, "b", 2) == [b"2", b"3"]
        await nothing(line, "b", within=0.2)
        await line.ack(1)
        assert await bodies(line, "a", 1) == [b"4"]

    async def test_prefetch_may_hold_for_the_channel(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 5)
        await line.qos(3, in_all=True)
        await line.consume(queue, "a")
        assert await bodies(line, "a", 3) == [b"0", b"1", b"2"]
        await line.consume(queue, "b")
        await nothing(line, "a", within=0.2)
        await nothing(line, "b", within=0.2)
        await line.ack(2, multiple=True)
        arrived = await bodies(line, "a", 1) + await bodies(line, "b", 1)
        assert sorted(arrived) == [b"3", b"4"]

    async def test_prefetch_is_nothing_to_one_who_does_not_ack(
        self, line: Line, name: Name
    ) -> None:
        queue = name()
        await filled(line, queue, 5)
        await line.qos(1)
        await line.consume(queue, "c", no_ack=True)
        assert len(await bodies(line, "c", 5)) == 5
        assert (await line.declare(queue, passive=True))[1] == 0

    async def test_consumers_take_turns(self, line: Line, name: Name) -> None:
        queue = name()
        await line.declare(queue)
        await line.consume(queue, "a")
        await line.consume(queue, "b")
        await line.confirm()
        publisher = line
        for i in range(6):
            await publisher.publish(queue, b"%d" % i)
        assert len(await bodies(line, "a", 3)) == len(await bodies(line, "b", 3)) == 3

    async def test_what_is_acked_is_gone(self, line: Line, peer: Peer, name: Name) -> None:
        queue, consumer = name(), await peer.line()
        await filled(line, queue, 6)
        await consumer.consume(queue, "c")
        await bodies(consumer, "c", 6)
        await consumer.ack(3, multiple=True)
        await consumer.ack(5)
        await consumer.close()
        assert await left(line, queue) == [(b"3", True), (b"5", True)]

    async def test_tag_zero_is_everything(self, line: Line, peer: Peer, name: Name) -> None:
        queue, consumer = name(), await peer.line()
        await filled(line, queue, 3)
        await consumer.consume(queue, "c")
        await bodies(consumer, "c", 3)
        await consumer.ack(0, multiple=True)
        await consumer.ack(0, multiple=True)  # of nothing: no error
        await consumer.close()
        assert await left(line, queue) == []

    @pytest.mark.parametrize("how", ["ack", "nack", "reject"])
    async def test_a_tag_that_is_not_out_closes_the_channel(self, line: Line, how: str) -> None:
        await getattr(line, how)(9)
        closed = await line.closed()
        assert (closed.code, "unknown delivery tag 9" in closed.text) == (406, True)

    async def test_a_tag_cannot_be_acked_twice(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 2)
        assert await line.get(queue)
        await line.ack(1)
        await line.ack(1)
        assert "unknown delivery tag 1" in (await line.closed()).text

    async def test_rejected_messages_take_their_old_place(
        self, line: Line, peer: Peer, name: Name
    ) -> None:
        queue, consumer = name(), await peer.line()
        await filled(line, queue, 6)
        await consumer.qos(4)
        await consumer.consume(queue, "c")
        await bodies(consumer, "c", 4)
        await consumer.cancel("c")
        await consumer.nack(3)
        await consumer.reject(1)
        await consumer.nack(4, multiple=True)
        await consumer.close()
        assert await left(line, queue) == [
            (b"0", True),
            (b"1", True),
            (b"2", True),
            (b"3", True),
            (b"4", False),
            (b"5", False),
        ]

    @pytest.mark.parametrize("how", ["nack", "reject"])
    async def test_rejected_for_good_is_gone(self, line: Line, name: Name, how: str) -> None:
        queue = name()
        await filled(line, queue, 2)
        delivery = await line.get(queue)
        assert delivery is not None
        await getattr(line, how)(delivery.tag, requeue=False)
        assert await left(line, queue) == [(b"1", False)]

    async def test_a_rejected_message_comes_again_at_once(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 1)
        await line.consume(queue, "c")
        first = await line.next("c")
        await line.nack(first.tag)
        second = await line.next("c")
        assert (first.redelivered, second.redelivered) == (False, True)
        assert second.tag == first.tag + 1

    async def test_what_a_channel_held_comes_back_in_order_when_it_closes(
        self, line: Line, peer: Peer, name: Name
    ) -> None:
        queue, consumer = name(), await peer.line()
        await filled(line, queue, 3)
        await consumer.qos(2)
        await consumer.consume(queue, "c")
        await bodies(consumer, "c", 2)
        await consumer.close()
        assert await left(line, queue) == [(b"0", True), (b"1", True), (b"2", False)]

    async def test_what_a_connection_held_goes_to_the_next(
        self, broker_url: str, connect: Connect, line: Line, name: Name
    ) -> None:
        queue = name()
        await filled(line, queue, 3)
        async with connect(broker_url) as first:
            consumer = await first.line()
            await consumer.consume(queue, "c")
            await bodies(consumer, "c", 3)
        await line.consume(queue, "d")
        again = [await line.next("d") for _ in range(3)]
        assert [(each.body, each.redelivered) for each in again] == [
            (b"0", True),
            (b"1", True),
            (b"2", True),
        ]

    async def test_a_cancelled_consumer_keeps_what_it_holds(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 3)
        await line.qos(1)
        await line.consume(queue, "c")
        held = await line.next("c")
        await line.cancel("c")
        assert await line.declare(queue, passive=True) == (queue, 2, 0)
        await line.ack(held.tag)
        assert len(await left(line, queue)) == 2

    async def test_a_consumer_may_have_a_queue_alone(
        self, line: Line, other: Peer, name: Name
    ) -> None:
        queue = name()
        await line.declare(queue)
        await line.consume(queue, "c", exclusive=True)
        with pytest.raises(Closed, match="in exclusive use") as raised:
            await (await other.line()).consume(queue, "d")
        assert raised.value.code == 403
        await line.cancel("c")
        await (await other.line()).consume(queue, "d")
        with pytest.raises(Closed, match="in exclusive use"):
            await line.consume(queue, "e", exclusive=True)

    async def test_to_consume_from_no_queue_is_an_error(self, line: Line, name: Name) -> None:
        with pytest.raises(Closed, match="NOT_FOUND - no queue") as raised:
            await line.consume(name(), "c")
        assert raised.value.code == 404

    async def test_a_consumer_learns_that_its_queue_is_gone(
        self, line: Line, other: Peer, name: Name
    ) -> None:
        queue = name()
        await filled(line, queue, 1)
        await line.consume(queue, "c")
        held = await line.next("c")
        await (await other.line()).delete(queue)
        assert await line.cancelled() == "c"
        await line.ack(held.tag)  # of a message that went with its queue: no error
        assert await line.declare(queue) == (queue, 0, 0)

    async def test_getting_says_what_is_left(self, line: Line, name: Name) -> None:
        queue = name()
        await filled(line, queue, 2)
        first, second = await line.get(queue), await line.get(queue)
        assert first is not None
        assert second is not None
        assert (first.left, second.left) == (1, 0)
        assert await line.get(queue) is None

    async def test_a_channel_error_leaves_other_channels_alone(
        self, line: Line, peer: Peer, name: Name
    ) -> None:
        queue = name()
        with pytest.raises(Closed):
            await line.declare(name(), passive=True)
        fresh = await peer.line()
        await fresh.declare(queue)
        await fresh.publish(queue, b"x")
        assert (await fresh.get(queue)) is not None
