"""The frame reader and the encoders, without a socket."""

from __future__ import annotations

import doctest
from contextlib import suppress
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import body, commands, frame, header

from funcx_async.local.broker import embedded, protocol
from funcx_async.local.broker.protocol import (
    Frame,
    FrameReader,
    HardError,
    Message,
    encode_address,
    encode_properties,
)
from tests.local.broker.wire import raw_frame

frames = st.builds(
    Frame,
    st.sampled_from(sorted(protocol.KINDS)),
    st.integers(0, 65535),
    st.binary(max_size=300),
)


def take_all(reader: FrameReader) -> list[Frame]:
    taken = []
    while (one := reader.take()) is not None:
        taken.append(one)
    return taken


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(frames, max_size=10), st.lists(st.integers(0, 3000), max_size=20))
def test_frames_come_out_as_they_went_in_wherever_the_bytes_are_cut(
    sent: list[Frame], cuts: list[int]
) -> None:
    stream = b"".join(raw_frame(*one) for one in sent)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    reader, taken = FrameReader(4096), []
    for start, end in pairwise(edges):
        reader.feed(stream[start:end])
        taken += take_all(reader)
    assert taken == sent


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.binary(min_size=1, max_size=100), max_size=10))
def test_garbage_is_refused_with_a_frame_error_or_waited_for(pieces: list[bytes]) -> None:
    reader = FrameReader(4096)
    for piece in pieces:
        reader.feed(piece)
        with suppress(HardError):
            take_all(reader)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from(sorted(commands.INDEX_MAPPING)), st.binary(max_size=60))
def test_arguments_are_decoded_or_refused(index: int, arguments: bytes) -> None:
    with suppress(HardError):
        assert protocol.decode_method(index.to_bytes(4) + arguments).index == index


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.binary(max_size=80))
def test_properties_are_decoded_or_refused(payload: bytes) -> None:
    with suppress(HardError):
        protocol.decode_content_header(payload)


def test_deep_nesting_is_refused() -> None:
    table = b""
    for _ in range(5000):
        table = b"\x01xF" + len(table).to_bytes(4) + table
    payload = b"\0\x3c\0\0" + bytes(8) + b"\x20\0" + len(table).to_bytes(4) + table
    with pytest.raises(HardError, match="SYNTAX_ERROR"):
        protocol.decode_content_header(payload)


def test_a_frame_fed_byte_by_byte_comes_out_whole() -> None:
    reader = FrameReader(131_072)
    stream = raw_frame(3, 1, bytes(131_064))
    for i in range(len(stream)):
        reader.feed(stream[i : i + 1])
        assert (reader.take() is not None) == (i == len(stream) - 1)


def test_a_frame_that_is_too_large_is_refused_by_its_first_bytes() -> None:
    reader = FrameReader(4096)
    reader.feed(b"\x03\x00\x01\xff\xff\xff\xff")
    with pytest.raises(HardError, match="FRAME_ERROR"):
        reader.take()


@pytest.mark.parametrize("size", [0, 1, 4088, 4089, 100_000])
def test_what_is_encoded_here_is_what_pamqp_decodes(size: int) -> None:
    properties = encode_properties(1_700_000_000, {"high_assurance": True})
    message = Message(encode_address("amq.topic", "a.b"), properties, bytes(size), None)
    stream = protocol.encode_deliver(3, b"\x01c", 7, True, message.address)
    stream += protocol.encode_content(3, message, 4096)
    decoded = []
    while stream:
        used, channel, thing = frame.unmarshal(stream)
        assert channel == 3
        assert used <= 4096
        decoded.append(thing)
        stream = stream[used:]
    deliver, content, *bodies = decoded
    assert isinstance(deliver, commands.Basic.Deliver)
    assert (deliver.consumer_tag, deliver.delivery_tag, deliver.redelivered) == ("c", 7, True)
    assert (deliver.exchange, deliver.routing_key) == ("amq.topic", "a.b")
    assert isinstance(content, header.ContentHeader)
    assert content.body_size == size
    assert content.properties.headers == {"high_assurance": True}
    assert content.properties.timestamp is not None
    assert content.properties.timestamp.timestamp() == 1_700_000_000
    assert all(isinstance(each, body.ContentBody) for each in bodies)
    assert sum(len(each) for each in bodies) == size


@pytest.mark.parametrize("module", [protocol, embedded])
def test_examples_in_docstrings_are_true(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
