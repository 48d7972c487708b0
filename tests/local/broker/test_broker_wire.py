"""What brokers answer to clients that do wrong, or say what libraries never say."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

import pytest
from pamqp import base, body, commands, header, heartbeat

from tests.local.broker.wire import (
    GREETING,
    Ended,
    Thing,
    Wire,
    message,
    opened,
    raw_frame,
    wire,
)

Name = Callable[[], str]
publish = commands.Basic.Publish(routing_key="funcx-async-nowhere")


def credentials(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or "")


async def connection_closed(line: Wire, code: int, text: str = "") -> None:
    """Expect that the broker closes the connection so, and ends it once the client agrees."""
    closing = await line.receive()
    assert isinstance(closing, commands.Connection.Close)
    assert (closing.reply_code, text in closing.reply_text) == (code, True), closing.reply_text
    line.send(commands.Connection.CloseOk(), channel=0)
    await line.ended()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([commands.Channel.Open()], 504, id="a-channel-opened-twice"),
        pytest.param([commands.Basic.Qos(prefetch_size=9)], 540, id="prefetch-by-bytes"),
        pytest.param([commands.Channel.Flow(active=False)], 540, id="flow-stopped"),
        pytest.param(
            [commands.Basic.Publish(routing_key="q", immediate=True), *message("q", b"x")[1:]],
            540,
            id="immediate",
        ),
        pytest.param([commands.Basic.GetEmpty()], 503, id="what-only-a-broker-says"),
        pytest.param([commands.Connection.Open()], 503, id="connection-method-on-a-channel"),
        pytest.param([header.ContentHeader(body_size=1)], 505, id="content-header-for-nothing"),
        pytest.param([body.ContentBody(b"x")], 505, id="body-for-nothing"),
        pytest.param([publish, commands.Basic.Qos()], 505, id="method-instead-of-content"),
        pytest.param([publish, body.ContentBody(b"x")], 505, id="body-before-its-header"),
        pytest.param(
            [publish, raw_frame(2, 1, struct.pack(">HHQH", 50, 0, 1, 0))],
            505,
            id="content-of-another-class",
        ),
        pytest.param([raw_frame(8, 1, b"")], 505, id="heartbeat-on-a-channel"),
        pytest.param([raw_frame(1, 1, b"\0\x14\0\x0a", b"\0")], 501, id="no-frame-end"),
        pytest.param([raw_frame(9, 1, b"abcd")], 501, id="unknown-kind-of-frame"),
        pytest.param([struct.pack(">BHI", 3, 1, 2**31)], 501, id="huge-frame"),
        pytest.param([struct.pack(">BHI", 3, 1, 131_073)], 501, id="frame-too-large"),
        pytest.param([raw_frame(1, 1, b"\0\x3c")], 501, id="half-a-method-number"),
    ],
)
async def test_it_costs_the_connection(
    broker_url: str, frames: Sequence[Thing | bytes], code: int
) -> None:
    async with opened(broker_url) as line:
        line.send(*frames)
        closing = await line.receive()
        assert isinstance(closing, commands.Connection.Close)
        assert closing.reply_code == code


@pytest.mark.parametrize(
    ("method", "channel"),
    [
        pytest.param(commands.Basic.Qos(), 7, id="method-on-a-channel-not-open"),
        pytest.param(commands.Channel.Close(200, "", 0, 0), 7, id="close-of-a-channel-not-open"),
        pytest.param(commands.Channel.Open(), 0, id="channel-zero-opened"),
        pytest.param(commands.Connection.StartOk(), 0, id="login-out-of-turn"),
        pytest.param(commands.Connection.Blocked(), 0, id="what-only-a-broker-says"),
    ],
)
async def test_it_is_a_channel_error_that_costs_the_connection(
    broker_url: str, method: Thing, channel: int
) -> None:
    async with opened(broker_url) as line:
        line.send(method, channel=channel)
        await connection_closed(line, 504, "CHANNEL_ERROR")


async def test_a_consumer_tag_cannot_be_used_twice(broker_url: str) -> None:
    async with opened(broker_url) as line:
        await line.ask(commands.Queue.Declare(queue="", exclusive=True))
        consume = commands.Basic.Consume(queue="", consumer_tag="c")
        await line.ask(consume)
        line.send(consume)
        await connection_closed(line, 530, "attempt to reuse consumer tag 'c'")


async def test_after_a_channel_error_the_channel_waits_for_the_client_to_agree(
    broker_url: str,
) -> None:
    async with opened(broker_url) as line:
        line.send(commands.Basic.Ack(9), commands.Basic.Qos(), *message("q", b"lost"))
        closing = await line.receive()
        assert isinstance(closing, commands.Channel.Close)
        assert (closing.reply_code, closing.class_id, closing.method_id) == (406, 60, 80)
        line.send(commands.Channel.CloseOk(), commands.Channel.Open())
        assert isinstance(await line.receive(), commands.Channel.OpenOk)


async def test_the_last_declared_queue_needs_no_name(broker_url: str) -> None:
    async with opened(broker_url) as line:
        declared = await line.ask(commands.Queue.Declare(queue="", exclusive=True))
        assert isinstance(declared, commands.Queue.DeclareOk)
        line.send(*message(declared.queue, b"x"))
        got = await line.ask(commands.Basic.Get(queue=""))
        assert isinstance(got, commands.Basic.GetOk)
        assert got.routing_key == declared.queue


async def test_without_a_declared_queue_no_name_is_an_error(broker_url: str) -> None:
    async with opened(broker_url) as line:
        closing = await line.ask(commands.Basic.Get(queue=""))
        assert isinstance(closing, commands.Channel.Close)
        assert closing.reply_text == "NOT_FOUND - no previously declared queue"


async def test_no_wait_means_no_answer(broker_url: str, name: Name) -> None:
    queue = name()
    async with opened(broker_url) as line:
        line.send(
            commands.Queue.Declare(queue=queue, nowait=True),
            commands.Queue.Bind(queue=queue, exchange="amq.direct", nowait=True),
            commands.Basic.Consume(queue=queue, consumer_tag="c", nowait=True),
            commands.Basic.Cancel("c", nowait=True),
            commands.Queue.Delete(queue=queue, nowait=True),
            commands.Confirm.Select(nowait=True),
        )
        assert isinstance(await line.ask(commands.Basic.Qos()), commands.Basic.QosOk)


async def test_confirms_count_from_one_and_miss_none(broker_url: str) -> None:
    async with opened(broker_url) as line:
        await line.ask(commands.Confirm.Select())
        for _ in range(100):
            line.send(*message("funcx-async-nowhere", b"x"))
        confirmed = 0
        while confirmed < 100:
            ack = await line.receive()
            assert isinstance(ack, commands.Basic.Ack)
            assert ack.delivery_tag > confirmed
            assert ack.multiple or ack.delivery_tag == confirmed + 1
            confirmed = ack.delivery_tag
        assert confirmed == 100


async def test_frames_are_no_larger_than_agreed(broker_url: str) -> None:
    async with wire(broker_url) as line:
        await line.login(*credentials(broker_url), frame_max=4096)
        await line.ask(commands.Channel.Open())
        declared = await line.ask(commands.Queue.Declare(queue="", exclusive=True))
        assert isinstance(declared, commands.Queue.DeclareOk)
        publish_, content, _ = message(declared.queue, b"", size=10_000)
        pieces = [body.ContentBody(bytes(size)) for size in (4088, 4088, 1824)]
        line.send(publish_, content, *pieces)
        await line.ask(commands.Basic.Get(queue=""))
        await line.receive()
        sizes = []
        while sum(sizes) < 10_000:
            piece = await line.receive()
            assert isinstance(piece, body.ContentBody)
            sizes.append(len(piece))
        assert max(sizes) <= 4088


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
async def test_one_logs_in_with_either_mechanism(broker_url: str, mechanism: str) -> None:
    async with wire(broker_url) as line:
        answer = await line.login(*credentials(broker_url), mechanism=mechanism)
        assert isinstance(answer, commands.Connection.OpenOk)


async def test_a_wrong_password_is_answered_with_the_reason(broker_url: str) -> None:
    async with wire(broker_url) as line:
        answer = await line.login(credentials(broker_url)[0], "wrong")
        assert isinstance(answer, commands.Connection.Close)
        assert answer.reply_code == 403
        assert answer.reply_text == (
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
            "For details see the broker logfile."
        )


async def test_an_unknown_virtual_host_is_answered_with_the_reason(broker_url: str) -> None:
    async with wire(broker_url) as line:
        answer = await line.login(*credentials(broker_url), vhost="nowhere")
        assert isinstance(answer, commands.Connection.Close)
        assert (answer.reply_code, answer.reply_text) == (
            530,
            "NOT_ALLOWED - vhost nowhere not found",
        )


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(b"GET / HT", id="http"),
        pytest.param(b"AMQP\x00\x01\x00\x00", id="amqp-1.0"),
    ],
)
async def test_another_protocol_is_told_the_right_one(broker_url: str, opening: bytes) -> None:
    async with wire(broker_url) as line:
        line.send(opening)
        async with asyncio.timeout(10):
            assert await line.reader.readexactly(8) == GREETING
        await line.ended()


async def answer_to_login(url: str, start: commands.Connection.StartOk) -> Thing | Ended:
    async with wire(url) as line:
        line.send(GREETING)
        await line.receive()
        return await line.ask(start, channel=0)


async def test_a_login_that_cannot_be_read_ends_in_silence(broker_url: str) -> None:
    user, _ = credentials(broker_url)
    # All at once, since RabbitMQ thinks three seconds before each.
    answers = await asyncio.gather(
        *(
            answer_to_login(broker_url, commands.Connection.StartOk({}, *login, "en_US"))
            for login in (
                ("PLAIN", "no zeros at all"),
                ("AMQPLAIN", "no table at all"),
                ("CRAM-MD5", ""),
                ("PLAIN", f"\0{user}\0wrong"),  # and this client cannot be told
            )
        )
    )
    assert [type(answer) for answer in answers] == [Ended] * 4


async def end_of_tuning(url: str, channel_max: int, frame_max: int) -> None:
    user, password = credentials(url)
    start = commands.Connection.StartOk({}, "PLAIN", f"\0{user}\0{password}", "en_US")
    async with wire(url) as line:
        line.send(GREETING)
        await line.receive()
        assert isinstance(await line.ask(start, channel=0), commands.Connection.Tune)
        line.send(commands.Connection.TuneOk(channel_max, frame_max, 0), channel=0)
        line.send(commands.Connection.CloseOk(), channel=0)
        await line.ended()


async def test_more_than_was_offered_is_not_granted(broker_url: str) -> None:
    await asyncio.gather(
        *(
            end_of_tuning(broker_url, channel_max, frame_max)
            for channel_max, frame_max in (
                (0, 131_072),  # 0 is no limit
                (2048, 131_072),
                (2047, 0),
                (2047, 131_073),
                (2047, 4095),
            )
        )
    )


async def test_flow_that_goes_on_goes_on(broker_url: str) -> None:
    async with opened(broker_url) as line:
        answer = await line.ask(commands.Channel.Flow(active=True))
        assert isinstance(answer, commands.Channel.FlowOk)


async def test_one_cannot_publish_in_the_name_of_another(broker_url: str) -> None:
    async with opened(broker_url) as line:
        publish_, content, body_ = message("funcx-async-nowhere", b"x")
        assert isinstance(content, header.ContentHeader)
        content.properties.user_id = "somebody-else"
        closing = await line.ask(publish_, content, body_)
        assert isinstance(closing, commands.Channel.Close)
        assert closing.reply_code == 406
        assert "user_id property set to 'somebody-else'" in closing.reply_text


@pytest.mark.parametrize(
    ("method", "code"),
    [
        pytest.param(
            commands.Exchange.Declare(exchange="", passive=True),
            403,
            id="default-exchange-looked-at",
        ),
        pytest.param(
            commands.Queue.Bind(queue="funcx-async-nowhere", exchange="amq.direct"),
            404,
            id="no-queue-bound",
        ),
        pytest.param(commands.Basic.Ack(0), 406, id="nothing-acked"),
    ],
)
async def test_it_costs_the_channel(broker_url: str, method: base.Frame, code: int) -> None:
    async with opened(broker_url) as line:
        closing = await line.ask(method)
        assert isinstance(closing, commands.Channel.Close)
        assert closing.reply_code == code
        assert (closing.class_id, closing.method_id) == divmod(method.index, 1 << 16)


async def test_both_sides_may_close_a_channel_at_once(broker_url: str) -> None:
    async with opened(broker_url) as line:
        line.send(commands.Basic.Ack(9), commands.Channel.Close(200, "", 0, 0))
        assert isinstance(await line.receive(), commands.Channel.Close)
        assert isinstance(await line.receive(), commands.Channel.CloseOk)
        line.send(commands.Channel.CloseOk(), commands.Channel.Open())
        assert isinstance(await line.receive(), commands.Channel.OpenOk)


async def test_closing_is_agreed_to(broker_url: str) -> None:
    async with opened(broker_url) as line:
        answer = await line.ask(commands.Channel.Close(200, "", 0, 0))
        assert isinstance(answer, commands.Channel.CloseOk)
        answer = await line.ask(commands.Connection.Close(200, "", 0, 0), channel=0)
        assert isinstance(answer, commands.Connection.CloseOk)


async def test_a_secret_may_be_renewed(broker_url: str) -> None:
    async with opened(broker_url) as line:
        answer = await line.ask(commands.Connection.UpdateSecret("new", "old"), channel=0)
        assert isinstance(answer, commands.Connection.UpdateSecretOk)


async def test_both_sides_beat_and_a_dead_client_is_noticed(broker_url: str) -> None:
    async with opened(broker_url, heartbeat=1) as line:
        for _ in range(4):  # about two seconds, in which this side lives
            assert isinstance(await line.receive_any(limit=30), heartbeat.Heartbeat)
            line.send(heartbeat.Heartbeat(), channel=0)
        assert isinstance(await line.ask(commands.Basic.Qos()), commands.Basic.QosOk)
        assert isinstance(await line.receive(limit=20), Ended)  # after some in which it is silent
