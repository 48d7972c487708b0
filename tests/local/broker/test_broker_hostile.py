"""Broken and hostile clients: they hurt nobody else, and nothing of them stays."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pamqp import body, commands

from funcx_async.local.broker import EmbeddedBroker
from tests.local.broker.wire import (
    GREETING,
    Ended,
    Thing,
    Wire,
    encoded,
    message,
    opened,
    raw_frame,
    wire,
)


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(handshake_timeout=0.3, close_timeout=0.3) as broker:
        broker.add_user("alice", "secret")
        yield broker


@pytest.fixture
def url(broker: EmbeddedBroker) -> str:
    return broker.url("alice", "secret")


@pytest.fixture
async def witness(broker: EmbeddedBroker, url: str) -> AsyncIterator[Wire]:
    """A decent client that is there all the while, and is served as before at the end."""
    tasks = len(asyncio.all_tasks())
    async with opened(url) as line:
        yield line
        async with asyncio.timeout(10):
            await broker.until(lambda: broker.connections == 1)
        declared = await line.ask(commands.Queue.Declare(queue="", exclusive=True))
        assert isinstance(declared, commands.Queue.DeclareOk)
        line.send(*message(declared.queue, b"fine"))
        assert isinstance(
            await line.ask(commands.Basic.Get(queue="", no_ack=True)), commands.Basic.GetOk
        )
        async with asyncio.timeout(10):
            await broker.until(lambda: broker.queued_bytes == 0)
        assert len(asyncio.all_tasks()) == tasks


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(b"", id="silence"),
        pytest.param(GREETING[:5], id="half-a-greeting"),
        pytest.param(GREETING, id="a-greeting-alone"),
        pytest.param(GREETING + b"\x01\x00\x00\x00\x00\x01\x00", id="half-a-frame"),
    ],
)
async def test_who_does_not_log_in_is_cut_off(url: str, opening: bytes) -> None:
    async with wire(url) as line:
        line.send(opening)
        await line.ended(limit=30)


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\xff" * 100_000, id="no-protocol"),
        pytest.param(GREETING + b"\xff" * 100_000, id="no-frames"),
        pytest.param(GREETING + struct.pack(">BHI", 1, 0, 2**32 - 1), id="endless-frame"),
        pytest.param(GREETING + struct.pack(">BHI", 1, 0, 100_000), id="large-before-login"),
        pytest.param(GREETING + raw_frame(1, 1, b"\0\x14\0\x0a\0"), id="channel-before-login"),
        pytest.param(GREETING + raw_frame(3, 1, b"x" * 100), id="content-before-login"),
        pytest.param(GREETING * 1000, id="many-greetings"),
    ],
)
async def test_garbage_ends_the_connection_it_came_on(url: str, garbage: bytes) -> None:
    async with wire(url) as line:
        line.send(garbage)
        await line.ended(limit=30)


@pytest.mark.usefixtures("witness")
async def test_a_client_that_does_not_agree_to_be_closed_is_cut_off(url: str) -> None:
    async with opened(url) as line:
        closing = await line.ask(commands.Basic.Qos(prefetch_size=1))
        assert isinstance(closing, commands.Connection.Close)
        line.send(raw_frame(3, 1, b"more of it") * 1000)
        assert isinstance(await line.receive(limit=30), Ended)


@pytest.mark.usefixtures("witness")
async def test_half_a_message_goes_with_its_connection(url: str) -> None:
    async with opened(url) as line:
        await line.ask(commands.Queue.Declare(queue="", exclusive=True))
        line.send(*message("q", b"x" * 1000, size=50_000_000))
        line.send(struct.pack(">BHI", 3, 1, 1000) + b"half a body")
        await line.writer.drain()


@pytest.mark.usefixtures("witness")
async def test_a_body_too_large_is_refused_by_its_header(url: str) -> None:
    async with opened(url) as line:
        line.send(*message("q", b"x", size=2**40))
        closing = await line.receive()
        assert isinstance(closing, commands.Channel.Close)
        assert closing.reply_code == 406
        assert "larger than configured max size" in closing.reply_text


@pytest.mark.usefixtures("witness")
async def test_channels_are_limited(url: str) -> None:
    async with opened(url) as line:
        for number in range(2, 2049):
            line.send(commands.Channel.Open(), channel=number)
        for _ in range(2, 2048):
            assert isinstance(await line.receive(), commands.Channel.OpenOk)
        closing = await line.receive()
        assert isinstance(closing, commands.Connection.Close)
        assert closing.reply_code == 530


@pytest.mark.usefixtures("witness")
async def test_methods_that_are_not_served_say_so(url: str) -> None:
    for method in (
        commands.Tx.Select(),
        commands.Exchange.Bind(destination="amq.direct", source="amq.fanout"),
        commands.Exchange.Declare(exchange="mine"),
        commands.Exchange.Delete(exchange="amq.direct"),
        commands.Queue.Purge(queue="q"),
        commands.Queue.Unbind(queue="q", exchange="amq.direct"),
        commands.Basic.Recover(requeue=True),
        raw_frame(1, 1, b"\0\x3c\0\xfa"),
    ):
        async with opened(url) as line:
            closing = await line.ask(method)
            assert isinstance(closing, commands.Connection.Close)
            assert closing.reply_code == 540


@pytest.mark.usefixtures("witness")
async def test_queue_features_that_are_not_served_say_so(url: str) -> None:
    for argument in (
        "x-dead-letter-exchange",
        "x-max-length",
        "x-max-priority",
        "x-overflow",
        "x-single-active-consumer",
    ):
        async with opened(url) as line:
            declare = commands.Queue.Declare(queue="q", arguments={argument: 1})
            closing = await line.ask(declare)
            assert isinstance(closing, commands.Channel.Close)
            assert f"invalid arg '{argument}'" in closing.reply_text


async def test_one_who_asks_and_does_not_read_is_heard_no_more(
    broker: EmbeddedBroker, url: str, witness: Wire
) -> None:
    broker.declare_queue("large")
    size, count = 100_000, 500
    for _ in range(count):
        broker.publish("large", bytes(size))
    async with opened(url) as line:
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(count):
            line.send(commands.Basic.Get(queue="large", no_ack=True))
        # As soon as 4 MB wait to be read, none of the requests is taken any more; what the
        # kernel buffers comes on top.
        async with asyncio.timeout(10):
            await broker.until(lambda: broker.unsent_bytes > 4_000_000)
        await witness.ask(commands.Basic.Qos())
        assert broker.unsent_bytes < 6_000_000
        assert broker.queue_length("large") > count / 2
    broker.delete_queue("large")


@pytest.mark.usefixtures("witness")
async def test_a_client_may_vanish_at_any_byte(url: str) -> None:
    class Recorder(Wire):
        stream = GREETING

        def send(self, *things: Thing | bytes, channel: int = 1) -> None:
            super().send(*things, channel=channel)
            self.stream += b"".join(encoded(thing, channel) for thing in things)

    async with wire(url) as line:
        recorder = Recorder(line.reader, line.writer)
        await recorder.open(url)
        await recorder.ask(commands.Queue.Declare(queue="", exclusive=True))
        await recorder.ask(commands.Basic.Consume(queue="", consumer_tag="c"))
        recorder.send(*message("q", b"some content"))
    for end in range(0, len(recorder.stream), 3):
        async with wire(url) as line:
            line.writer.write(recorder.stream[:end])
            await line.writer.drain()


@settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=60),
            st.builds(
                raw_frame,
                st.sampled_from([1, 2, 3, 8]),
                st.sampled_from([0, 1, 2]),
                st.one_of(
                    st.binary(max_size=40),
                    st.builds(
                        lambda index, rest: index.to_bytes(4) + rest,
                        st.sampled_from(sorted(commands.INDEX_MAPPING)),
                        st.binary(max_size=30),
                    ),
                ),
            ),
        ),
        max_size=8,
    )
)
def test_no_nonsense_after_login_does_harm(pieces: list[bytes]) -> None:
    errors: list[dict[str, object]] = []

    async def talk_nonsense() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        async with EmbeddedBroker(close_timeout=0.05) as broker:
            broker.add_user("alice", "secret")
            url = broker.url("alice", "secret")
            async with opened(url) as decent:
                async with opened(url) as line:
                    line.send(*pieces, commands.Connection.Close(200, "", 0, 0), channel=0)
                    line.writer.write_eof()
                    await line.ended(limit=30)
                assert isinstance(await decent.ask(commands.Basic.Qos()), commands.Basic.QosOk)
                async with asyncio.timeout(30):
                    await broker.until(lambda: broker.connections == 1)

    asyncio.run(talk_nonsense())
    assert not errors


async def test_incomplete_messages_count_and_have_a_limit() -> None:
    async with EmbeddedBroker(max_queued_bytes=50_000) as broker:
        broker.add_user("alice", "secret")
        async with opened(broker.url("alice", "secret")) as line:
            line.send(*message("q", bytes(40_000), size=1_000_000))
            async with asyncio.timeout(10):
                await broker.until(lambda: broker.queued_bytes >= 40_000)
            line.send(body.ContentBody(bytes(40_000)), body.ContentBody(bytes(40_000)))
            closing = await line.receive()
            assert isinstance(closing, commands.Connection.Close)
            assert closing.reply_code == 506
        async with asyncio.timeout(10):
            await broker.until(lambda: broker.queued_bytes == 0)


async def test_an_honest_publisher_finishes_its_message_beyond_the_limit() -> None:
    async with EmbeddedBroker(max_queued_bytes=50_000) as broker:
        broker.add_user("alice", "secret")
        broker.declare_queue("q")
        async with opened(broker.url("alice", "secret")) as line:
            line.send(*message("q", bytes(40_000), size=80_000))
            line.send(body.ContentBody(bytes(40_000)))
            async with asyncio.timeout(10):
                await broker.until(lambda: broker.queue_length("q") == 1)
