"""Deliveries over AMQP, on the embedded broker and on RabbitMQ."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aio_pika
import pytest
import trustme
from yarl import URL

from funcx_async._core.acks import Ack
from funcx_async._results import amqp, amqp_parser, amqp_transport
from funcx_async._results.amqp import AmqpSource
from funcx_async._results.amqp_transport import DeliveryReader
from funcx_async._results.source import Deliveries, SourceLost
from funcx_async.local.broker import EmbeddedBroker
from funcx_async.models import Delivery, ResultQueueAddress
from tests import brokers
from tests.connect_proxy import place_of, tls_before
from tests.results.streams import message

TIMEOUT = 60
PREFIX = "funcx-async-test-"
HEARTBEAT = bytes.fromhex("08 0000 00000000 ce")
Opener = Callable[..., AmqpSource]


@dataclass
class Group:
    """A task group with a queue, and somebody who publishes to it."""

    id: str
    url: str = field(repr=False)  # it holds the password
    channel: aio_pika.abc.AbstractChannel
    asked: int = 0

    async def address(self) -> ResultQueueAddress:
        self.asked += 1
        return ResultQueueAddress(PREFIX, self.url)

    async def publish(self, *bodies: bytes, **properties: object) -> None:
        for body in bodies:
            message = aio_pika.Message(body, **properties)  # type: ignore[arg-type]
            await self.channel.default_exchange.publish(message, PREFIX + self.id)

    async def delete(self) -> None:
        await self.channel.queue_delete(PREFIX + self.id)


@pytest.fixture(params=brokers.with_rabbitmq("embedded"))
async def group(request: pytest.FixtureRequest) -> AsyncIterator[Group]:
    async with EmbeddedBroker() as broker:
        broker.add_user("somebody", "secret-password")
        url = broker.url("somebody", "secret-password")
        if request.param == "rabbitmq":
            url = brokers.require()
        connection = await aio_pika.connect(url)
        async with connection, connection.channel() as channel:
            group = Group(str(uuid.uuid4()), url, channel)
            await channel.declare_queue(PREFIX + group.id, durable=True)
            yield group
            await group.delete()


@pytest.fixture(params=[True, False], ids=["in bulk", "one by one"])
def source(request: pytest.FixtureRequest) -> Opener:
    """Both ways of reading keep one contract."""
    return partial(AmqpSource, in_bulk=request.param)


async def collect(deliveries: Deliveries, count: int) -> list[Delivery]:
    got: list[Delivery] = []
    async with asyncio.timeout(TIMEOUT):
        while len(got) < count:
            got += await deliveries.next_burst()
    return got


async def test_deliveries_come_in_order_with_rising_tags(group: Group, source: Opener):
    bodies = [str(number).encode() for number in range(300)]
    await group.publish(*bodies)
    async with source(group.address).open(group.id) as deliveries:
        got = await collect(deliveries, 300)
    assert [delivery.body for delivery in got] == bodies
    assert [delivery.tag for delivery in got] == list(range(1, 301))
    assert not any(delivery.redelivered for delivery in got)


async def test_timestamp_and_the_mark_of_high_assurance_are_read(group: Group, source: Opener):
    when = datetime(2026, 11, 23, tzinfo=UTC)
    await group.publish(b"a", timestamp=when, headers={"high_assurance": True})
    await group.publish(b"b", headers={"high_assurance": False, "other": 1})
    async with source(group.address).open(group.id) as deliveries:
        first, second = await collect(deliveries, 2)
    assert (first.timestamp, first.high_assurance) == (int(when.timestamp()), True)
    assert (second.timestamp, second.high_assurance) == (None, False)


async def test_a_large_result_arrives_whole(group: Group, source: Opener):
    body = bytes(range(256)) * 40_000
    await group.publish(body)
    async with source(group.address).open(group.id) as deliveries:
        assert (await collect(deliveries, 1))[0].body == body


async def test_what_is_not_acknowledged_is_delivered_again_marked_as_such(
    group: Group, source: Opener
):
    await group.publish(b"1", b"2", b"3", b"4")
    opener = source(group.address)
    async with opener.open(group.id) as deliveries:
        await collect(deliveries, 4)
        await deliveries.acknowledge([Ack(2, multiple=True), Ack(4, multiple=False)])
    async with opener.open(group.id) as deliveries:
        (again,) = await collect(deliveries, 1)
    assert (again.body, again.redelivered) == (b"3", True)


async def test_credentials_are_fetched_for_each_connection(group: Group, source: Opener):
    opener = source(group.address)
    for _ in range(3):
        async with opener.open(group.id):
            pass
    assert group.asked == 3


async def test_what_is_on_the_way_is_bounded(
    group: Group, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(amqp, "PREFETCH", 50)
    await group.publish(*[b"x"] * 70)
    async with source(group.address).open(group.id) as deliveries:
        got = await collect(deliveries, 50)
        assert len(got) == 50
        await deliveries.acknowledge([Ack(50, multiple=True)])
        assert len(await collect(deliveries, 20)) == 20


async def test_the_bytes_that_are_read_and_not_acknowledged_are_bounded(
    group: Group, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(amqp, "MAX_UNSETTLED_BYTES", 4_000_000)
    await group.publish(*[bytes(1_000_000)] * 40)
    got: list[Delivery] = []
    enough = asyncio.Event()

    async def collect_all(deliveries: Deliveries) -> None:
        while True:
            got.extend(await deliveries.next_burst())
            if len(got) > 4:
                enough.set()

    async with source(group.address).open(group.id) as deliveries:
        collecting = asyncio.create_task(collect_all(deliveries))
        await asyncio.wait_for(enough.wait(), TIMEOUT)
        for _ in range(200):  # all the time that it takes to read the rest
            await group.channel.declare_queue(PREFIX + group.id, durable=True)
        assert len(got) == 5
        collecting.cancel()
        await deliveries.acknowledge([Ack(3, multiple=False), Ack(2, multiple=True)])
        while len(got) < 40:
            got += await asyncio.wait_for(deliveries.next_burst(), TIMEOUT)
            await deliveries.acknowledge([Ack(got[-1].tag, multiple=True)])
    assert [delivery.tag for delivery in got] == list(range(1, 41))


async def test_small_results_are_bounded_by_their_number_alone(
    group: Group, source: Opener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(amqp, "MAX_UNSETTLED_BYTES", 1_000)
    await group.publish(*[bytes(1_000)] * 100)
    async with source(group.address).open(group.id) as deliveries:
        assert len(await collect(deliveries, 100)) == 100


async def test_a_queue_that_is_missing_is_a_loss_in_words(group: Group, source: Opener):
    with pytest.raises(SourceLost, match=r"(?i)no queue"):
        async with source(group.address).open("no such group"):
            pass


async def test_a_queue_that_is_deleted_is_a_loss(group: Group, source: Opener):
    async with source(group.address).open(group.id) as deliveries:
        waiting = asyncio.create_task(deliveries.next_burst())
        await group.delete()
        with pytest.raises(SourceLost, match="cancelled"):
            await asyncio.wait_for(waiting, TIMEOUT)
        with pytest.raises(SourceLost):
            await deliveries.acknowledge([Ack(1, multiple=True)])


async def test_a_wrong_password_is_a_loss_that_does_not_tell_the_password(
    group: Group, source: Opener
):
    async def wrong() -> ResultQueueAddress:
        url = group.url.partition("@")[2]
        return ResultQueueAddress(PREFIX, f"amqp://somebody:hush-hush@{url}")

    with pytest.raises(SourceLost) as caught:
        async with source(wrong).open(group.id):
            pass
    assert "hush-hush" not in str(caught.value)


async def test_nobody_listening_is_a_loss(group: Group, source: Opener):
    with pytest.raises(SourceLost, match=r"127\.0\.0\.1|localhost"):
        async with source(group.address, port=lambda: 9).open(group.id):
            pass


async def test_what_came_before_a_loss_is_still_given(group: Group, source: Opener):
    await group.publish(b"last words")
    async with source(group.address).open(group.id) as deliveries:
        first = await collect(deliveries, 1)
        await group.delete()
        with pytest.raises(SourceLost):
            await collect(deliveries, 1)
    assert first[0].body == b"last words"


async def test_message_that_is_too_large_is_passed_over(
    group: Group, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(amqp_parser, "MAX_MESSAGE_BYTES", 300_000)
    await group.publish(b"x" * 300_001, b"x" * 300_000, b"small")
    async with AmqpSource(group.address).open(group.id) as deliveries:
        got = await collect(deliveries, 3)
    assert [(len(each.body), each.too_large) for each in got] == [
        (0, True),
        (300_000, False),
        (5, False),
    ]


async def test_message_that_is_too_large_is_a_loss_where_aiormq_reads_it(
    group: Group, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(amqp_transport, "MAX_UNPARSED_BYTES", 1_000_000)
    opener = AmqpSource(group.address, in_bulk=False)
    for _ in range(20):
        await group.publish(b"x" * 100_000)
    async with opener.open(group.id) as deliveries:
        await collect(deliveries, 20)
        await deliveries.acknowledge([Ack(20, multiple=True)])
    await group.publish(b"x" * 2_000_000)
    async with opener.open(group.id) as deliveries:
        with pytest.raises(SourceLost, match="too large"):
            await collect(deliveries, 1)


Fault = Callable[[EmbeddedBroker, str], object]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda broker, queue: broker.disconnect(), id="disconnect"),
        pytest.param(lambda broker, queue: broker.close_channels(queue), id="close channel"),
        pytest.param(lambda broker, queue: broker.cancel_consumers(queue), id="cancel consumer"),
    ],
)
async def test_every_kind_of_loss_ends_the_wait(fault: Fault, source: Opener):
    async with EmbeddedBroker() as broker:
        broker.add_user("u", "p")
        broker.declare_queue(PREFIX + "g")

        async def address() -> ResultQueueAddress:
            return ResultQueueAddress(PREFIX, broker.url("u", "p"))

        async with source(address).open("g") as deliveries:
            waiting: Awaitable[object] = asyncio.create_task(deliveries.next_burst())
            await asyncio.sleep(0)
            fault(broker, PREFIX + "g")
            with pytest.raises(SourceLost):
                await asyncio.wait_for(waiting, TIMEOUT)


@pytest.mark.parametrize("fault", [True, False], ids=["while it breaks", "while all is well"])
async def test_whenever_it_is_cancelled_it_ends(fault: bool, source: Opener):
    """aiormq swallows a cancellation at some moments."""
    async with EmbeddedBroker() as broker:
        broker.add_user("u", "p")
        broker.declare_queue(PREFIX + "g")

        async def address() -> ResultQueueAddress:
            return ResultQueueAddress(PREFIX, broker.url("u", "p"))

        async def consume() -> None:
            async with source(address).open("g") as deliveries:
                while True:
                    await deliveries.next_burst()

        for moment in range(120):
            consuming = asyncio.create_task(consume())
            for _ in range(moment):
                await asyncio.sleep(0)
            if fault:
                broker.disconnect()
            consuming.cancel()
            done, _ = await asyncio.wait([consuming], timeout=TIMEOUT)
            assert done, f"it goes on after {moment} steps"
            assert consuming.cancelled() or isinstance(consuming.exception(), SourceLost)


# In bulk ------------------------------------------------------------------------------------------


async def test_this_aiormq_lets_deliveries_be_taken_in_bulk(group: Group):
    """If this fails, a new aiormq or aio-pika has changed underneath: all still works, slowly."""
    await group.publish(*[b"x"] * 100)
    async with AmqpSource(group.address).open(group.id) as deliveries:
        await collect(deliveries, 100)
    assert deliveries.in_bulk == 100


async def test_where_aiormq_does_not_deliveries_come_one_by_one(
    group: Group, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(amqp, "takes_transport", lambda: False)
    await group.publish(b"x")
    async with AmqpSource(group.address).open(group.id) as deliveries:
        assert (await collect(deliveries, 1))[0].body == b"x"
    assert deliveries.in_bulk == 0


async def test_through_tls_as_well(tmp_path: Path, source: Opener, monkeypatch: pytest.MonkeyPatch):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with EmbeddedBroker() as broker, tls_before(place_of(broker), context) as port:
        broker.add_user("u", "p")
        broker.declare_queue(PREFIX + "g")
        for number in range(50):
            broker.publish(PREFIX + "g", bytes([number]) * 10_000)

        async def address() -> ResultQueueAddress:
            return ResultQueueAddress(PREFIX, f"amqps://u:p@127.0.0.1:{port}/")

        async with source(address).open("g") as deliveries:
            got = await collect(deliveries, 50)
        assert [delivery.body for delivery in got] == [bytes([n]) * 10_000 for n in range(50)]


@pytest.mark.parametrize("query", ["no_verify_ssl=1", "cafile={0}", "cadata={0}", "capath={0}"])
async def test_service_cannot_switch_off_the_check_of_certificates(
    query: str, tmp_path: Path, source: Opener
):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    async with EmbeddedBroker() as broker, tls_before(place_of(broker), context) as port:
        broker.add_user("u", "p")
        broker.declare_queue(PREFIX + "g")

        async def address() -> ResultQueueAddress:
            options = query.format(tmp_path / "authority.pem")
            return ResultQueueAddress(PREFIX, f"amqps://u:p@127.0.0.1:{port}/?{options}")

        with pytest.raises(SourceLost, match="certificate"):
            async with source(address).open("g"):
                pass


async def test_amqps_is_never_spoken_without_tls():
    async with EmbeddedBroker() as broker:
        host, port = place_of(broker)
        transport = amqp_transport.DeliveryTransport(None)
        with pytest.raises(ssl.SSLError):
            await transport.create(URL(f"amqps://{host}:{port}/"))


async def test_service_behind_https_cannot_name_a_broker_without_tls(group: Group, source: Opener):
    opener = source(group.address, service_url="https://service.test")
    with pytest.raises(SourceLost, match="names a broker without TLS"):
        async with opener.open(group.id):
            pass
    async with source(group.address, service_url="https://localhost:8000").open(group.id):
        pass


@pytest.mark.parametrize("url", ["", "https://u:p@broker.org/", "amqps://", "amqp://h:99999/"])
async def test_address_that_is_no_broker_is_a_loss(url: str, source: Opener):
    async def address() -> ResultQueueAddress:
        return ResultQueueAddress(PREFIX, url)

    with pytest.raises(SourceLost, match="not understood"):
        async with source(address).open("g"):
            pass


async def test_a_broker_whose_stream_is_strange_is_read_one_by_one_from_then_on(
    group: Group, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "funcx_async")
    opener = AmqpSource(group.address)
    monkeypatch.setattr(amqp_parser, "MAX_FRAME_BYTES", 10)
    for text in (b"1", b"2"):
        await group.publish(text)
        async with opener.open(group.id) as deliveries:
            got = await collect(deliveries, 1)
            await deliveries.acknowledge([Ack(1, multiple=True)])
        assert (got[0].body, deliveries.in_bulk) == (text, 0)
        monkeypatch.undo()
    assert "one by one" in caplog.text


async def test_whoever_watches_for_signs_of_life_sees_one_now_and_then():
    times = iter([0.0, 0.5, 1.5, 1.5, 2.0])
    found: list[Delivery] = []
    reader = DeliveryReader(found.extend, lambda: next(times))
    for tag in range(1, 4):
        reader.feed_data(message(tag, b"x"))
    reader.feed_eof()
    assert [delivery.tag for delivery in found] == [1, 2, 3]
    assert await reader.read() == HEARTBEAT


async def test_a_connection_that_is_paused_is_not_taken_for_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(amqp_transport, "HEARTBEAT_INTERVAL", 0.001)
    reader = DeliveryReader(lambda deliveries: None, lambda: 0.0)
    reader.pause_reading()
    reader.pause_reading()
    assert await asyncio.wait_for(reader.readexactly(16), TIMEOUT) == 2 * HEARTBEAT
    reader.resume_reading()
    reader.resume_reading()
    reader.feed_eof()
    assert await reader.read() == b""


async def test_the_end_of_a_paused_connection_is_heard():
    loop = asyncio.get_running_loop()
    reader = DeliveryReader(lambda deliveries: None, loop.time)
    reader.pause_reading()
    reader.set_exception(ConnectionResetError("cut"))
    with pytest.raises(ConnectionResetError, match="cut"):
        await reader.read()


async def test_what_comes_though_it_is_paused_is_passed_on_later_where_nothing_is_taken_out():
    loop = asyncio.get_running_loop()
    reader = DeliveryReader(None, loop.time)
    reader.feed_data(b"one ")
    reader.pause_reading()
    reader.feed_data(b"two ")
    assert await reader.read(100) == b"one "
    reader.resume_reading()
    reader.feed_data(b"three")
    reader.feed_eof()
    assert await reader.read() == b"two three"


async def test_a_frame_that_is_cut_off_by_the_end_is_passed_on():
    found: list[Delivery] = []
    reader = DeliveryReader(found.extend, lambda: 0.0)
    reader.feed_data(message(1, b"x")[:-1])
    reader.feed_eof()
    assert not found
    assert len(await reader.read()) == 8
