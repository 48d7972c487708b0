"""The embedded broker's public face: use in process, limits, faults on purpose, its life."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable

import aio_pika
import pytest
from pamqp import body, commands

from funcx_async.local.broker import EmbeddedBroker, QueueCounts
from tests.local.broker.peers import Closed, Connect, connect_aio_pika
from tests.local.broker.wire import Ended, Wire, message, opened, wire

USER, PASSWORD = "alice", "wonder/land @1"


@pytest.fixture
def url(embedded: EmbeddedBroker) -> str:
    return embedded.url(USER, PASSWORD)


async def soon(broker: EmbeddedBroker, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        await broker.until(condition)


async def consuming(line: Wire, queue: str) -> None:
    answer = await line.ask(commands.Basic.Consume(queue=queue, consumer_tag="c"))
    assert isinstance(answer, commands.Basic.ConsumeOk)


class TestInProcess:
    async def test_what_is_published_here_arrives_there(
        self, embedded: EmbeddedBroker, url: str, connect: Connect
    ) -> None:
        embedded.declare_queue("results", expires=60)
        assert embedded.publish(
            "results", b"42", timestamp=1_700_000_000, headers={"high_assurance": True}
        )
        async with connect(url) as peer:
            line = await peer.line()
            await line.consume("results", "c")
            delivery = await line.next("c")
            await line.ack(delivery.tag)
            await soon(embedded, lambda: embedded.queue_counts("results") == QueueCounts(0, 0, 1))
        assert delivery.body == b"42"
        assert delivery.timestamp == 1_700_000_000
        assert delivery.headers == {"high_assurance": True}
        assert (delivery.exchange, delivery.routing_key) == ("", "results")

    async def test_messages_without_properties_have_none(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        embedded.declare_queue("results")
        embedded.publish("results", b"")
        async with connect_aio_pika(url) as peer:
            delivery = await (await peer.line()).get("results")
        assert delivery is not None
        assert (delivery.timestamp, delivery.headers, delivery.body) == (None, {}, b"")

    async def test_publishing_to_no_queue_is_told(self, embedded: EmbeddedBroker) -> None:
        assert embedded.publish("nowhere", b"x") is False
        assert embedded.queued_bytes == 0

    async def test_a_header_without_an_amqp_type_is_refused(self, embedded: EmbeddedBroker) -> None:
        embedded.declare_queue("q")
        with pytest.raises(TypeError):
            embedded.publish("q", b"x", headers={"what": object()})
        assert embedded.queue_length("q") == 0

    async def test_counts_follow_a_message(self, embedded: EmbeddedBroker, url: str) -> None:
        embedded.declare_queue("q")
        embedded.publish("q", b"x")
        assert embedded.queue_counts("q") == QueueCounts(ready=1, unacknowledged=0, consumers=0)
        async with opened(url) as line:
            await line.ask(commands.Basic.Get(queue="q"))
            assert embedded.queue_counts("q") == QueueCounts(0, 1, 0)
            assert embedded.queued_bytes > 0
            line.send(commands.Basic.Ack(1))
            await soon(embedded, lambda: embedded.queue_counts("q") == QueueCounts(0, 0, 0))
        assert embedded.queued_bytes == 0

    async def test_a_queue_is_declared_as_it_is_or_not_at_all(
        self, embedded: EmbeddedBroker
    ) -> None:
        embedded.declare_queue("q", expires=60)
        embedded.declare_queue("q", expires=60)
        with pytest.raises(ValueError, match="inequivalent arg 'x-expires'"):
            embedded.declare_queue("q", expires=61)

    @pytest.mark.parametrize("name", ["", "x" * 256, "ä" * 128, "amq.mine"])
    async def test_impossible_names_are_refused(self, embedded: EmbeddedBroker, name: str) -> None:
        with pytest.raises(ValueError, match="name"):
            embedded.declare_queue(name)

    async def test_an_impossible_expiry_is_refused(self, embedded: EmbeddedBroker) -> None:
        with pytest.raises(ValueError, match="x-expires"):
            embedded.declare_queue("q", expires=0)

    async def test_an_unused_queue_expires(self, embedded: EmbeddedBroker) -> None:
        embedded.declare_queue("q", expires=0.05)
        embedded.publish("q", b"x")
        await soon(embedded, lambda: not embedded.has_queue("q"))
        assert embedded.queued_bytes == 0

    async def test_expiry_begins_when_the_last_consumer_goes(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        embedded.declare_queue("q", expires=0.05)
        async with opened(url) as line:
            await consuming(line, "q")
            with pytest.raises(TimeoutError):
                await line.receive(limit=0.2)
            assert embedded.has_queue("q")
        await soon(embedded, lambda: not embedded.has_queue("q"))

    async def test_deleting_cancels_the_consumers(self, embedded: EmbeddedBroker, url: str) -> None:
        embedded.declare_queue("q")
        async with opened(url) as line:
            await consuming(line, "q")
            assert embedded.delete_queue("q") == 0
            cancel = await line.receive()
            assert isinstance(cancel, commands.Basic.Cancel)
            assert cancel.consumer_tag == "c"
        embedded.declare_queue("q")
        embedded.publish("q", b"x")
        assert embedded.delete_queue("q") == 1
        assert embedded.delete_queue("q") == 0

    async def test_to_ask_about_no_queue_is_an_error(self, embedded: EmbeddedBroker) -> None:
        with pytest.raises(LookupError, match="no queue 'nowhere'"):
            embedded.queue_length("nowhere")
        with pytest.raises(LookupError, match="no queue 'nowhere'"):
            await embedded.until(lambda: embedded.queue_length("nowhere") == 0)

    async def test_waiting_may_be_given_up(self, embedded: EmbeddedBroker) -> None:
        embedded.declare_queue("q")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await embedded.until(lambda: embedded.queue_length("q") == 1)
        embedded.publish("q", b"x")
        await soon(embedded, lambda: embedded.queue_length("q") == 1)

    async def test_a_condition_that_breaks_later_breaks_its_waiter_alone(
        self, embedded: EmbeddedBroker
    ) -> None:
        embedded.declare_queue("q")
        embedded.declare_queue("other")
        broken = asyncio.ensure_future(embedded.until(lambda: embedded.queue_length("q") == 1))
        sound = asyncio.ensure_future(embedded.until(lambda: not embedded.has_queue("q")))
        await asyncio.sleep(0)
        embedded.delete_queue("q")
        await asyncio.wait_for(sound, 10)
        with pytest.raises(LookupError):
            await asyncio.wait_for(broken, 10)


class TestUsers:
    async def test_a_password_may_have_any_characters(self, embedded: EmbeddedBroker) -> None:
        user, password = "u/s:e@r %", "p/w:ü@%41 ?#"
        embedded.add_user(user, password)
        async with connect_aio_pika(embedded.url(user, password)) as peer:
            await peer.line()

    async def test_pika_reads_the_url_too(self, embedded: EmbeddedBroker, connect: Connect) -> None:
        embedded.add_user("a/b:c", "p/w:ü@%41 ?#")
        async with connect(embedded.url("a/b:c", "p/w:ü@%41 ?#")) as peer:
            await peer.line()

    async def test_a_removed_user_stays_until_it_leaves(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        async with connect_aio_pika(url) as peer:
            embedded.remove_user(USER)
            embedded.remove_user("never there")
            await (await peer.line()).declare("q")
            with pytest.raises(Closed, match="ACCESS_REFUSED"):
                async with connect_aio_pika(url):
                    pass

    async def test_passwords_are_in_no_repr_and_no_log(
        self, embedded: EmbeddedBroker, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "funcx_async")
        embedded.add_user("bob", "hush-hush")
        async with wire(url) as line:
            await line.login("bob", "hush-hush")
        async with wire(url) as line:
            await line.login("bob", "hush-hush, but wrong")
        await soon(embedded, lambda: embedded.connections == 0)
        assert "bob" in caplog.text
        assert "hush" not in caplog.text
        assert "hush" not in repr(embedded)


class TestBackPressure:
    async def test_what_a_client_does_not_read_stays_in_the_queue(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        embedded.declare_queue("q")
        size, count = 50_000, 600
        async with opened(url) as line:
            await consuming(line, "q")
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]
            most = 0
            for _ in range(count):
                embedded.publish("q", bytes(size))
                await asyncio.sleep(0)
                most = max(most, embedded.unsent_bytes)
            assert most < 3 * 256 * 1024
            assert embedded.queue_length("q") > count / 2
            line.writer.transport.resume_reading()  # type: ignore[attr-defined]
            arrived = 0
            while arrived < count:
                arrived += isinstance(await line.receive(), body.ContentBody)
            line.send(commands.Basic.Ack(0, multiple=True))
            await soon(embedded, lambda: embedded.queued_bytes == 0)

    async def test_a_burst_is_not_encoded_at_once(self, embedded: EmbeddedBroker, url: str) -> None:
        embedded.declare_queue("q")
        async with opened(url) as line:
            await consuming(line, "q")
            for _ in range(20_000):
                embedded.publish("q", bytes(300))
            assert embedded.unsent_bytes < 512 * 1024
            arrived = 0
            while arrived < 20_000:
                arrived += isinstance(await line.receive(), body.ContentBody)

    async def test_a_slow_client_does_not_slow_another(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        embedded.declare_queue("q")
        async with opened(url) as slow, opened(url) as fast:
            await consuming(slow, "q")
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await consuming(fast, "q")
            for _ in range(1000):
                embedded.publish("q", bytes(50_000))
            await soon_without(embedded, fast, "q")

    async def test_publishers_wait_when_the_queues_are_full(self) -> None:
        limit, size, count = 2_000_000, 100_000, 100
        async with EmbeddedBroker(max_queued_bytes=limit) as broker:
            broker.add_user(USER, PASSWORD)
            broker.declare_queue("q")
            connection = await aio_pika.connect(broker.url(USER, PASSWORD))
            async with connection, connection.channel(publisher_confirms=False) as channel:
                message_ = aio_pika.Message(bytes(size))

                async def publish_all() -> None:
                    for _ in range(count):
                        await channel.default_exchange.publish(message_, "q")

                publishing = asyncio.create_task(publish_all())
                await soon(broker, lambda: broker.queued_bytes > limit)
                room = asyncio.create_task(broker.room())
                most = 0
                async with opened(broker.url(USER, PASSWORD)) as line:
                    for i in range(count):
                        while not isinstance(
                            await line.ask(commands.Basic.Get(queue="q")), commands.Basic.GetOk
                        ):
                            await soon(broker, lambda: broker.queue_length("q") > 0)
                        most = max(most, broker.queued_bytes)
                        await line.receive()
                        await line.receive()
                        line.send(commands.Basic.Ack(i + 1))
                    await asyncio.wait_for(publishing, 10)
                    await asyncio.wait_for(room, 10)
                    await soon(broker, lambda: broker.queued_bytes == 0)
                assert most <= limit + size + 1000

    async def test_publishers_are_told_that_they_are_held_up(self) -> None:
        async with EmbeddedBroker(max_queued_bytes=1000) as broker:
            broker.add_user(USER, PASSWORD)
            broker.declare_queue("q")
            async with wire(broker.url(USER, PASSWORD)) as line:
                await line.login(USER, PASSWORD, capabilities={"connection.blocked": True})
                await line.ask(commands.Channel.Open())
                line.send(*message("q", bytes(2000)))
                assert isinstance(await line.receive(), commands.Connection.Blocked)
                line.send(commands.Basic.Qos())
                broker.delete_queue("q")
                assert isinstance(await line.receive(), commands.Connection.Unblocked)
                assert isinstance(await line.receive(), commands.Basic.QosOk)


async def soon_without(broker: EmbeddedBroker, line: Wire, queue: str) -> None:
    """Read from ``line`` until the queue has nothing more for it."""
    while broker.queue_length(queue):
        assert not isinstance(await line.receive(), Ended)


class TestFaults:
    @pytest.mark.parametrize(
        "abort", [pytest.param(True, id="reset"), pytest.param(False, id="told")]
    )
    async def test_disconnect_ends_every_connection(
        self, embedded: EmbeddedBroker, url: str, abort: bool
    ) -> None:
        embedded.declare_queue("q")
        embedded.publish("q", b"x")
        async with connect_aio_pika(url) as peer, opened(url) as line:
            consumer = await peer.line()
            await consumer.consume("q", "c")
            await consumer.next("c")
            assert embedded.disconnect(abort=abort) == 2
            closed = await peer.closed()
            assert closed.code == (0 if abort else 320)
            answer = await line.receive()
            assert isinstance(answer, Ended if abort else commands.Connection.Close)
            line.send(commands.Connection.CloseOk(), channel=0)
            await soon(embedded, lambda: embedded.connections == 0)
            assert embedded.queue_counts("q") == QueueCounts(1, 0, 0)

    async def test_channels_are_closed_by_what_they_consume(
        self, embedded: EmbeddedBroker, url: str, connect: Connect
    ) -> None:
        for queue in ("one", "two"):
            embedded.declare_queue(queue)
        async with connect(url) as peer:
            first, second = await peer.line(), await peer.line()
            await first.consume("one", "c")
            await second.consume("two", "c")
            assert embedded.close_channels("one", code=406) == 1
            assert (await first.closed()).code == 406
            assert await second.declare("two", passive=True) == ("two", 0, 1)
            assert embedded.close_channels("nowhere") == 0
            assert embedded.close_channels() >= 1
            assert (await second.closed()).code == 406

    async def test_consumers_are_cancelled_and_the_queue_stays(
        self, embedded: EmbeddedBroker, url: str, connect: Connect
    ) -> None:
        embedded.declare_queue("q")
        async with connect(url) as peer:
            line = await peer.line()
            await line.consume("q", "c")
            assert embedded.cancel_consumers("q") == 1
            assert await line.cancelled() == "c"
            assert await line.declare("q", passive=True, durable=True) == ("q", 0, 0)
            await line.consume("q", "c")
            embedded.publish("q", b"x")
            assert (await line.next("c")).body == b"x"

    async def test_logins_are_refused_as_often_as_asked(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        embedded.refuse_logins(2)
        for _ in range(2):
            with pytest.raises(Closed, match="ACCESS_REFUSED"):
                async with connect_aio_pika(url):
                    pass
        async with connect_aio_pika(url) as peer:
            await peer.line()

    async def test_a_stalled_broker_neither_hears_nor_speaks(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        embedded.declare_queue("q")
        async with opened(url) as line, wire(url) as newcomer:
            await consuming(line, "q")
            embedded.stall()
            embedded.publish("q", b"x")
            line.send(commands.Basic.Qos())
            with pytest.raises(TimeoutError):
                await line.receive(limit=0.1)
            async with wire(url) as another:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await another.login(USER, PASSWORD)
            embedded.resume()
            answers = [type(await line.receive()) for _ in range(4)]
            assert commands.Basic.Deliver in answers
            assert commands.Basic.QosOk in answers
            assert isinstance(await newcomer.login(USER, PASSWORD), commands.Connection.OpenOk)


class TestLife:
    async def test_a_closed_broker_says_goodbye_and_leaves_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = asyncio.all_tasks()
        broker = EmbeddedBroker()
        broker.add_user(USER, PASSWORD)
        await broker.start()
        broker.declare_queue("q", expires=60)
        broker.publish("q", b"x")
        async with opened(broker.url(USER, PASSWORD)) as line:
            await consuming(line, "q")
            closing = asyncio.create_task(broker.aclose())
            seen = []
            while not isinstance(last := await line.receive(), commands.Connection.Close):
                seen.append(last)
            assert (last.reply_code, "CONNECTION_FORCED" in last.reply_text) == (320, True)
            line.send(commands.Connection.CloseOk(), channel=0)
            await asyncio.wait_for(closing, 10)
        assert asyncio.all_tasks() == before
        assert (broker.connections, broker.queued_bytes, broker.unsent_bytes) == (0, 0, 0)
        assert not [each for each in caplog.records if each.levelno > logging.DEBUG]

    async def test_closing_does_not_wait_for_a_client_that_is_silent(self) -> None:
        async with EmbeddedBroker(close_timeout=0.05) as broker:
            broker.add_user(USER, PASSWORD)
            async with opened(broker.url(USER, PASSWORD)):
                async with asyncio.timeout(30):
                    await broker.aclose()
                assert broker.connections == 0

    async def test_a_full_broker_closes_in_silence(self, caplog: pytest.LogCaptureFixture) -> None:
        async with EmbeddedBroker(close_timeout=0.05, max_queued_bytes=1000) as broker:
            broker.add_user(USER, PASSWORD)
            broker.declare_queue("q")
            async with opened(broker.url(USER, PASSWORD)) as line:
                await consuming(line, "q")
                line.send(*message("q", bytes(2000)))
                await soon(broker, lambda: broker.queue_counts("q").unacknowledged == 1)
                await broker.aclose()
        assert not caplog.records

    async def test_waiters_learn_that_the_broker_closed(self) -> None:
        broker = EmbeddedBroker()
        await broker.start()
        broker.declare_queue("q")
        waiting = asyncio.create_task(broker.until(lambda: broker.queue_length("q") == 1))
        await asyncio.sleep(0)
        await broker.aclose()
        with pytest.raises(RuntimeError, match="not running"):
            await asyncio.wait_for(waiting, 10)

    async def test_a_stalled_broker_closes_too(self) -> None:
        async with EmbeddedBroker(close_timeout=0.05) as broker:
            broker.add_user(USER, PASSWORD)
            async with opened(broker.url(USER, PASSWORD)):
                broker.stall()
                async with asyncio.timeout(30):
                    await broker.aclose()

    async def test_it_may_start_again_at_the_same_port(self) -> None:
        broker = EmbeddedBroker()
        broker.add_user(USER, PASSWORD)
        async with broker:
            port = broker.port
            broker.declare_queue("q")
        with pytest.raises(RuntimeError, match="not running"):
            broker.publish("q", b"x")
        async with broker, opened(broker.url(USER, PASSWORD)):
            assert broker.port == port
            assert not broker.has_queue("q")
        await broker.aclose()  # again: nothing happens

    async def test_it_cannot_start_twice(self, embedded: EmbeddedBroker) -> None:
        with pytest.raises(RuntimeError, match="runs already"):
            await embedded.start()

    async def test_a_port_that_is_taken_is_an_error_and_can_be_tried_again(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            broker = EmbeddedBroker(port=taken.getsockname()[1])
            with pytest.raises(OSError, match="address already in use"):
                await broker.start()
        async with broker:
            assert broker.connections == 0

    async def test_it_listens_on_the_loopback_only(self, embedded: EmbeddedBroker) -> None:
        assert "@127.0.0.1:" in embedded.url("u", "p")

    async def test_an_orderly_client_leaves_nothing_in_the_log(
        self, embedded: EmbeddedBroker, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with connect_aio_pika(url) as peer:
            await (await peer.line()).declare("q", exclusive=True)
        async with opened(url):
            pass  # and one that just goes
        await soon(embedded, lambda: embedded.connections == 0)
        assert not embedded.has_queue("q")
        assert not [
            each
            for each in caplog.records
            if each.levelno > logging.DEBUG and each.name.startswith(("funcx_async", "asyncio"))
        ]

    async def test_its_repr_is_a_dashboard(self, embedded: EmbeddedBroker, url: str) -> None:
        embedded.declare_queue("q")
        async with opened(url):
            assert "1 connections, 1 queues, 0 bytes" in repr(embedded)
        assert repr(EmbeddedBroker()) == "<EmbeddedBroker closed>"

    async def test_heartbeats_keep_an_idle_client_alive(self, connect: Connect) -> None:
        async with EmbeddedBroker(heartbeat=1) as broker:
            broker.add_user(USER, PASSWORD)
            broker.declare_queue("q")
            async with connect(broker.url(USER, PASSWORD) + "?heartbeat=1") as peer:
                line = await peer.line()
                await line.consume("q", "c")
                with pytest.raises(TimeoutError):
                    await line.next("c", limit=3.5)
                broker.publish("q", b"x")
                assert (await line.next("c")).body == b"x"

    async def test_ten_megabytes_take_no_time_to_speak_of(
        self, embedded: EmbeddedBroker, url: str
    ) -> None:
        embedded.declare_queue("q")
        content = bytes(10_000_000)
        async with opened(url) as line:
            frames = struct.pack(">BHI", 3, 1, 131_064) + content[:131_064] + b"\xce"
            whole, rest = divmod(len(content), 131_064)
            publish, header_, _ = message("q", b"", size=len(content))
            line.send(publish, header_, frames * whole, body.ContentBody(content[:rest]))
            async with asyncio.timeout(20):
                await embedded.until(lambda: embedded.queue_length("q") == 1)
        assert embedded.queued_bytes > len(content)
