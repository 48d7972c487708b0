"""AMQP 0-9-1 on the wire: errors, messages, and frames.

Reading is linear in the number of bytes, however they are cut. Methods are decoded and encoded by
pamqp, except the four that carry content or a free name: those are on the hot path, or are names
that pamqp would refuse to write.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from pamqp import base, commands, encode, frame, header

NAMES = {
    320: "CONNECTION_FORCED",
    403: "ACCESS_REFUSED",
    404: "NOT_FOUND",
    405: "RESOURCE_LOCKED",
    406: "PRECONDITION_FAILED",
    501: "FRAME_ERROR",
    502: "SYNTAX_ERROR",
    503: "COMMAND_INVALID",
    504: "CHANNEL_ERROR",
    505: "UNEXPECTED_FRAME",
    506: "RESOURCE_ERROR",
    530: "NOT_ALLOWED",
    540: "NOT_IMPLEMENTED",
    541: "INTERNAL_ERROR",
}
LONGEST_TEXT = 255  # a reply text is a short string: at most 255 bytes
CONTENT_START = struct.Struct(">HHQ")  # class, weight, body size
FLAGS = struct.Struct(">H")
TIMESTAMP = struct.Struct(">Q")
BASIC_CLASS = 60
HAS_CONTENT_TYPE, HAS_HEADERS, HAS_TIMESTAMP = 0x8000, 0x2000, 0x0040  # of the basic class
FOOTPRINT = 500  # bytes that a message costs beside its content, measured on CPython 3.11
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
KINDS = frozenset({METHOD, HEADER, BODY, HEARTBEAT})
OVERHEAD = 8  # seven bytes before a payload, one after it
END = b"\xce"
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"
FRAME_START = struct.Struct(">BHI")
METHOD_START = struct.Struct(">BHIHH")
METHOD_INDEX = struct.Struct(">I")
TAG_AND_FLAG = struct.Struct(">QB")
LONG = struct.Struct(">I")
TWO_LONGS = struct.Struct(">II")
SHORT = struct.Struct(">H")


class ProtocolError(Exception):
    """The base of both kinds.

    Attributes:
        code: the reply code, one of :data:`NAMES`.
        text: the reply text, ``NAME - sentence``, short enough for the wire.
        method: pamqp's number of the method at fault, class and method in one; 0 if none is.
    """

    def __init__(self, code: int, sentence: str) -> None:
        text = f"{NAMES.get(code, 'ERROR')} - {sentence}"
        self.code = code
        self.method = 0
        self.text = text.encode()[:LONGEST_TEXT].decode(errors="ignore")
        super().__init__(self.text)


class SoftError(ProtocolError):
    """Closes the channel on which it happened; the connection goes on."""


class HardError(ProtocolError):
    """Closes the connection.

    Attributes:
        told: whether the client gets the reason. Before login a broker closes without one.
    """

    def __init__(self, code: int, sentence: str, *, told: bool = True) -> None:
        super().__init__(code, sentence)
        self.told = told


class Message:
    """A published message. It may be in several queues at once and never changes.

    Attributes:
        address: exchange and routing key, encoded as every method that carries content wants them.
        content: the content header frame's payload; properties are passed on as they came.
        body: the body.
        ttl: seconds that it may wait in a queue, or None.
        size: about how many bytes of memory it takes.
    """

    __slots__ = ("address", "body", "content", "size", "ttl")

    def __init__(self, address: bytes, properties: bytes, body: bytes, ttl: float | None) -> None:
        self.address = address
        self.content = CONTENT_START.pack(BASIC_CLASS, 0, len(body)) + properties
        self.body = body
        self.ttl = ttl
        self.size = len(body) + len(properties) + FOOTPRINT


def short_string(text: str) -> bytes:
    """Encode a short string.

    Raises:
        ValueError: it has more than 255 bytes.
    """
    encoded = text.encode()
    if len(encoded) > 255:
        raise ValueError(f"a name may have 255 bytes of UTF-8 at most, this has {len(encoded)}")
    return bytes((len(encoded),)) + encoded


def encode_address(exchange: str, routing_key: str) -> bytes:
    """Encode where a message was sent."""
    return short_string(exchange) + short_string(routing_key)


def encode_properties(
    timestamp: int | None, headers: Mapping[str, Any] | None, content_type: str | None = None
) -> bytes:
    """Encode the properties that the local service sets."""
    flags, parts = 0, b""
    if content_type is not None:
        flags |= HAS_CONTENT_TYPE
        parts += short_string(content_type)
    if headers is not None:
        flags |= HAS_HEADERS
        parts += encode.field_table(dict(headers))
    if timestamp is not None:
        flags |= HAS_TIMESTAMP
        parts += TIMESTAMP.pack(timestamp)
    return FLAGS.pack(flags) + parts


class Frame(NamedTuple):
    """One frame as it came: its kind, its channel's number, and its payload."""

    kind: int
    channel: int
    payload: bytes


class FrameReader:
    """Cuts a stream of bytes into frames.

    Attributes:
        frame_max: the largest payload taken, in bytes.

    Example:
        >>> reader = FrameReader(frame_max=4096)
        >>> reader.feed(HEARTBEAT_FRAME[:5])
        >>> reader.take() is None
        True
        >>> reader.feed(HEARTBEAT_FRAME[5:])
        >>> reader.take()
        Frame(kind=8, channel=0, payload=b'')
    """

    def __init__(self, frame_max: int) -> None:
        self.frame_max = frame_max
        self._buffer = bytearray()
        self._start = 0  # where the first byte not yet taken is

    def feed(self, data: bytes) -> None:
        """Add what came off the socket."""
        self._buffer += data

    def take_protocol_header(self) -> bytes | None:
        """Return the eight bytes that open a connection, or None until they are complete."""
        if len(self._buffer) < len(PROTOCOL_HEADER):
            return None
        opening = bytes(self._buffer[: len(PROTOCOL_HEADER)])
        self._start = len(PROTOCOL_HEADER)
        return opening

    def take(self) -> Frame | None:
        """Return the next frame, or None until it is complete.

        Raises:
            HardError: 501, these bytes are not a frame, or it is larger than agreed.
        """
        buffer, start = self._buffer, self._start
        if len(buffer) < start + FRAME_START.size:
            self._forget_taken()
            return None
        kind, channel, size = FRAME_START.unpack_from(buffer, start)
        if size > self.frame_max:  # RabbitMQ forgives the eight bytes of overhead too
            limit = self.frame_max
            raise HardError(501, f"type {kind}, a frame of {size} bytes, but the limit is {limit}")
        end = start + FRAME_START.size + size
        if len(buffer) <= end:
            self._forget_taken()
            return None
        if buffer[end] != END[0]:
            raise HardError(501, f"type {kind}, invalid frame end marker {buffer[end]}")
        if kind not in KINDS:
            raise HardError(501, f"type {kind}, unknown frame")
        self._start = end + 1
        return Frame(kind, channel, bytes(memoryview(buffer)[end - size : end]))

    def _forget_taken(self) -> None:
        # Once for all the frames of one read, so that reading stays linear.
        del self._buffer[: self._start]
        self._start = 0


def decode_method(payload: bytes) -> base.Frame:
    """Decode a method frame's payload.

    Raises:
        HardError: 501 or 502, it is malformed; 540, there is no such method.
    """
    if len(payload) < METHOD_INDEX.size:
        raise HardError(501, "a method frame of less than four bytes")
    (index,) = METHOD_INDEX.unpack_from(payload)
    method_class = commands.INDEX_MAPPING.get(index)
    if method_class is None:
        raise HardError(540, f"no method {index & 0xFFFF} in class {index >> 16}")
    # Not its constructor: that would set defaults, and warn of what a client sends.
    method: base.Frame = object.__new__(method_class)
    try:
        method.unmarshal(payload[METHOD_INDEX.size :])
    except Exception as error:
        # pamqp lets out whatever it stumbles over: ValueError, TypeError, RecursionError, ...
        raise HardError(502, f"cannot decode the arguments of {method.name}") from error
    return method


def decode_content_header(payload: bytes) -> header.ContentHeader:
    """Decode a content header frame's payload.

    Raises:
        HardError: 502, it is malformed.
    """
    content = header.ContentHeader()
    try:
        content.unmarshal(payload)
    except Exception as error:
        # as above; what was let through here would break the clients that receive it
        raise HardError(502, "cannot decode a content header") from error
    return content


def encode_method(channel: int, method: base.Frame) -> bytes:
    """Encode a method that carries no content."""
    return frame.marshal(method, channel)


def encode_declare_ok(channel: int, queue: str, messages: int, consumers: int) -> bytes:
    """Encode ``queue.declare-ok``, whatever characters the queue's name has."""
    arguments = short_string(queue) + TWO_LONGS.pack(messages, consumers)
    start = METHOD_START.pack(METHOD, channel, 4 + len(arguments), 50, 11)
    return start + arguments + END


def encode_deliver(
    channel: int, consumer_tag: bytes, tag: int, redelivered: bool, to: bytes
) -> bytes:
    """Encode ``basic.deliver``; ``consumer_tag`` and ``to`` come encoded."""
    size = 4 + len(consumer_tag) + TAG_AND_FLAG.size + len(to)
    start = METHOD_START.pack(METHOD, channel, size, 60, 60)
    return start + consumer_tag + TAG_AND_FLAG.pack(tag, redelivered) + to + END


def encode_get_ok(channel: int, tag: int, redelivered: bool, to: bytes, left: int) -> bytes:
    """Encode ``basic.get-ok``; ``left`` is how many messages stay behind."""
    size = 4 + TAG_AND_FLAG.size + len(to) + LONG.size
    start = METHOD_START.pack(METHOD, channel, size, 60, 71)
    return start + TAG_AND_FLAG.pack(tag, redelivered) + to + LONG.pack(left) + END


def encode_return(channel: int, code: int, text: str, to: bytes) -> bytes:
    """Encode ``basic.return``."""
    arguments = SHORT.pack(code) + short_string(text) + to
    return METHOD_START.pack(METHOD, channel, 4 + len(arguments), 60, 50) + arguments + END


def encode_content(channel: int, message: Message, frame_max: int) -> bytes:
    """Encode a message's header and body frames, each no larger than ``frame_max`` bytes."""
    content, body = message.content, message.body
    parts: list[bytes | memoryview] = [
        FRAME_START.pack(HEADER, channel, len(content)),
        content,
        END,
    ]
    largest = frame_max - OVERHEAD
    if len(body) <= largest:
        if body:
            parts += FRAME_START.pack(BODY, channel, len(body)), body, END
        return b"".join(parts)
    with memoryview(body) as view:
        for start in range(0, len(body), largest):
            piece = view[start : start + largest]
            parts += FRAME_START.pack(BODY, channel, len(piece)), piece, END
        return b"".join(parts)
