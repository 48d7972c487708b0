"""Deliveries taken out of a stream of bytes, against what aiormq's own library reads there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header, heartbeat

from funcx_async._results.amqp_parser import DeliveryParser
from funcx_async.models import Delivery
from tests.results.streams import message

FRAME_MAX = 4_096
HEARTBEAT = frame.marshal(heartbeat.Heartbeat(), 0)
OTHERS = [
    HEARTBEAT,
    frame.marshal(commands.Basic.ConsumeOk("ctag"), 1),
    frame.marshal(commands.Basic.Cancel("ctag"), 2),
    frame.marshal(commands.Connection.Blocked("memory"), 0),
    frame.marshal(commands.Channel.Flow(True), 1),
    frame.marshal(commands.Basic.Return(312, "NO_ROUTE", "", "q"), 2)
    + frame.marshal(header.ContentHeader(0, 2, commands.Basic.Properties()), 2)
    + frame.marshal(body.ContentBody(b"no"), 2),
]

short_texts = st.text(max_size=20)
tables = st.dictionaries(
    st.sampled_from(["high_assurance", "task_uuid", "x", "high"]),
    st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(max_size=10),
    max_size=3,
)
properties = st.builds(
    commands.Basic.Properties,
    content_type=st.none() | short_texts,
    content_encoding=st.none() | short_texts,
    headers=st.none() | tables,
    delivery_mode=st.none() | st.sampled_from([1, 2]),
    priority=st.none() | st.integers(0, 9),
    correlation_id=st.none() | short_texts,
    reply_to=st.none() | short_texts,
    expiration=st.none() | short_texts,
    message_id=st.none() | short_texts,
    timestamp=st.none()
    | st.integers(1, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    message_type=st.none() | short_texts,
    user_id=st.none() | short_texts,
    app_id=st.none() | short_texts,
)
shapes = st.fixed_dictionaries(
    {
        "properties": properties,
        "consumer": st.text("abc.", max_size=40),
        "exchange": st.text("xy", max_size=10),
        "frame_max": st.just(FRAME_MAX),
    }
)
texts = st.binary(max_size=64) | st.integers(0, 3 * FRAME_MAX).map(lambda size: b"\xce" * size)


@st.composite
def messages(draw: st.DrawFn, sizes: int = 12) -> list[bytes]:
    """Deliveries, many of which differ in nothing but tag and text."""
    kinds = st.sampled_from(draw(st.lists(shapes, min_size=1, max_size=2)))
    told = st.tuples(kinds, st.integers(1, 2**63 - 1), texts, st.booleans())
    return [
        message(tag, text, redelivered=redelivered, **kind)
        for kind, tag, text, redelivered in draw(st.lists(told, min_size=1, max_size=sizes))
    ]


streams = st.tuples(messages(), st.lists(st.sampled_from(OTHERS), max_size=4)).flatmap(
    lambda parts: st.permutations([*parts[0], *parts[1]])
)


def read_by_pamqp(stream: bytes) -> tuple[list[Delivery], bytes]:
    """What a reader of frame after frame makes of it."""
    found, others, position = [], b"", 0
    while position < len(stream):
        used, channel, read = frame.unmarshal(stream[position:])
        piece, position = stream[position : position + used], position + used
        if isinstance(read, commands.Basic.Deliver):
            deliver, parts = read, []
        elif channel == 1 and isinstance(read, header.ContentHeader):
            head = read
            if not head.body_size:
                found.append(whole(deliver, head, b""))
        elif channel == 1 and isinstance(read, body.ContentBody):
            parts.append(read.value)
            if sum(map(len, parts)) == head.body_size:
                found.append(whole(deliver, head, b"".join(parts)))
        else:
            others += piece
    return found, others


def whole(deliver: commands.Basic.Deliver, head: header.ContentHeader, text: bytes) -> Delivery:
    when = head.properties.timestamp
    return Delivery(
        deliver.delivery_tag,
        text,
        None if when is None else int(when.timestamp()),
        (head.properties.headers or {}).get("high_assurance") is True,
        deliver.redelivered,
    )


@given(streams, st.lists(st.integers(1, 5_000), min_size=1))
@example([message(1, b"")], [1])
def test_however_the_stream_is_cut_the_same_comes_out(pieces: list[bytes], sizes: list[int]):
    stream = b"".join(pieces)
    parser, found, others, position, turn = DeliveryParser(), [], b"", 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        deliveries, passed = parser.feed(stream[position : position + size])
        found += deliveries
        others += passed
        position, turn = position + size, turn + 1
    assert (found, others) == read_by_pamqp(stream)
    assert parser.end() == b""
    assert not parser.desynchronised


@given(streams, st.binary(min_size=1, max_size=200), st.integers(1, 300))
def test_whatever_comes_nothing_is_raised_and_what_is_no_delivery_is_passed_on(
    pieces: list[bytes], garbage: bytes, size: int
):
    stream = b"".join(pieces) + garbage
    parser, found, others = DeliveryParser(), [], b""
    for position in range(0, len(stream), size):
        deliveries, passed = parser.feed(stream[position : position + size])
        found += deliveries
        others += passed
    others += parser.end()
    assert stream.endswith(others[-1:])
    good, _ = read_by_pamqp(b"".join(pieces))
    assert found[: len(good)] == good


@given(st.data())
def test_a_byte_that_is_wrong_anywhere_raises_nothing(data: st.DataObject):
    stream = bytearray(b"".join(data.draw(messages(3))))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    parser = DeliveryParser()
    parser.feed(bytes(stream))
    parser.feed(HEARTBEAT)


def frames_of(stream: bytes) -> list[bytes]:
    frames = []
    while stream:
        size = int.from_bytes(stream[3:7], "big") + 8
        frames.append(stream[:size])
        stream = stream[size:]
    return frames


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([0, 0], id="announced twice"),
        pytest.param([0, 2], id="a body without a header"),
        pytest.param([0, 1, 1], id="two headers"),
        pytest.param([0, 1, 2, 2, 0, 1, 0], id="another while one is under way"),
        pytest.param([0, 1, 3], id="another method between"),
        pytest.param([0, 1, 4], id="more than the header says"),
    ],
)
def test_frames_in_another_order_end_the_parsing_and_are_passed_on(order: list[int]):
    frames = [
        *frames_of(message(1, b"text")),
        frame.marshal(commands.Basic.Cancel("ctag"), 1),
        frame.marshal(body.ContentBody(b"too long"), 1),
    ]
    stream = b"".join(frames[number] for number in order)
    parser = DeliveryParser()
    _, passed = parser.feed(stream)
    assert parser.desynchronised
    assert passed.endswith(frames[order[-1]])
    assert parser.feed(message(2, b"more")) == ([], message(2, b"more"))
