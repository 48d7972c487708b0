"""Parsing deliveries out of the bytes of an AMQP 0-9-1 connection, many at a time.

A delivery is three kinds of frames: the method that announces it, a header with its size and
properties, and as many frames of its body as it takes. Bytes that look otherwise end the parsing:
all that follows is left to aiormq, which reports the error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from funcx_async.models import Delivery

_FRAME: Final = struct.Struct(">BHI")  # kind, channel, size of the payload
_ANNOUNCED: Final = struct.Struct(">BHII")  # the same, class and method
_HEADED: Final = struct.Struct(">BHIIQ")  # the same, class and weight, size of the body
_TAG: Final = struct.Struct(">QB")  # delivery tag, redelivered
_LENGTH: Final = struct.Struct(">I")
_LONG: Final = struct.Struct(">Q")

_METHOD, _CONTENT_HEADER, _CONTENT_BODY, _HEARTBEAT = 1, 2, 3, 8
_KINDS: Final = frozenset((_METHOD, _CONTENT_HEADER, _CONTENT_BODY, _HEARTBEAT))
_DELIVER: Final = 0x003C003C  # class basic, method deliver
_FRAME_END: Final = 0xCE
_AROUND: Final = 8
"""Bytes of a frame besides its payload: head and end."""

_HIGH_ASSURANCE: Final = b"\x0ehigh_assurancet\x01"
"""The true header `high_assurance` in a table: length of its name, name, type, value."""

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""A larger frame is taken for something else; brokers send frames of 128 KiB by default."""

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""A larger message is passed over: services take results of up to 10 MB."""


class _Desynchronised(Exception):
    """This is not what the protocol says a delivery looks like."""


@dataclass(slots=True)
class _Partial:
    """A delivery of which not all frames are here."""

    channel: int
    tag: int
    redelivered: bool
    missing: int = -1  # bytes of its body; unknown until its header is here
    too_large: bool = False
    properties: bytes = b""
    body: list[bytes] = field(default_factory=list)


class _Shape:
    """The bytes that a delivery has in common with the one before, around those that differ.

    Args:
        head: those before the delivery tag.
        middle: those between the mark of a redelivery and the body's size.
        tail: those between that size and the size of the body's frame, properties included.
        read: what was read out of those properties.

    Attributes:
        layout: reads these bytes, and what is between them.
    """

    __slots__ = ("head", "layout", "middle", "read", "tail")

    def __init__(
        self, head: bytes, middle: bytes, tail: bytes, read: tuple[int | None, bool]
    ) -> None:
        self.head, self.middle, self.tail, self.read = head, middle, tail, read
        self.layout = struct.Struct(f">{len(head)}sQB{len(middle)}sQ{len(tail)}sI")


class DeliveryParser:
    """Takes bytes; returns deliveries, and the bytes of other frames in their order.

    Example:
        >>> parser = DeliveryParser()
        >>> heartbeat = bytes.fromhex("08 0000 00000000 ce")
        >>> parser.feed(heartbeat[:3])
        ([], b'')
        >>> parser.feed(heartbeat[3:]) == ([], heartbeat)
        True
    """

    def __init__(self) -> None:
        self._rest = b""
        self._partial: _Partial | None = None
        self._ended = False
        self._desynchronised = False
        self._last_properties = b""
        self._last_read: tuple[int | None, bool] = (None, False)
        self._shape: _Shape | None = None

    @property
    def desynchronised(self) -> bool:
        """Whether the stream was not understood, so that nothing is taken out any more."""
        return self._desynchronised

    def feed(self, received: bytes) -> tuple[list[Delivery], bytes]:
        """Return the deliveries that are complete now, and the bytes that are not of deliveries."""
        if self._ended:
            return [], received
        stream = self._rest + received if self._rest else received
        deliveries: list[Delivery] = []
        others: list[bytes] = []
        position = kept = 0
        try:
            while True:
                after = position
                if self._partial is None:
                    after = self._take_alike(stream, position, deliveries)
                    after = self._take_whole(stream, after, deliveries)
                taken = after > position
                if not taken:
                    after, taken = self._take_frame(stream, position, deliveries)
                if after == position:
                    break
                if taken:
                    others.append(stream[kept:position])
                    kept = after
                position = after
        except _Desynchronised:
            self._ended = self._desynchronised = True
            self._rest = b""
            return deliveries, b"".join([*others, stream[kept:]])
        others.append(stream[kept:position])
        self._rest = stream[position:]
        return deliveries, b"".join(others)

    def end(self) -> bytes:
        """Return what is left over at the end of the stream: a part of a frame, or nothing."""
        rest, self._rest, self._ended = self._rest, b"", True
        return rest

    def _take_alike(self, stream: bytes, position: int, found: list[Delivery]) -> int:
        """Take the deliveries that look like the one before, and return where they end.

        Nearly all of a consumer do: what differs is read, and the bytes around it are compared.
        """
        shape = self._shape
        if shape is None:
            return position
        head, middle, tail = shape.head, shape.middle, shape.tail
        unpack, until_body = shape.layout.unpack_from, shape.layout.size
        timestamp, high_assurance = shape.read
        end = len(stream) - until_body
        while position <= end:
            begin, tag, redelivered, between, length, before, size = unpack(stream, position)
            if begin != head or between != middle or before != tail or size != length:
                break
            body = position + until_body
            after: int = body + size
            if after >= len(stream) or stream[after] != _FRAME_END:
                break
            text = stream[body:after]
            found.append(Delivery(tag, text, timestamp, high_assurance, redelivered & 1 == 1))
            position = after + 1
        return position

    def _take_whole(self, stream: bytes, position: int, found: list[Delivery]) -> int:
        """Take a delivery that is there whole, with one frame of body, and return where it ends.

        Most come so. It is the same as one frame at a time, only faster.
        """
        end = len(stream)
        if position + 48 >= end:  # no delivery is shorter
            return position
        kind, channel, size, method = _ANNOUNCED.unpack_from(stream, position)
        header = position + size + _AROUND
        if method != _DELIVER or kind != _METHOD or header + 24 > end:
            return position
        kind, same, size, _, length = _HEADED.unpack_from(stream, header)
        body = header + size + _AROUND
        if kind != _CONTENT_HEADER or same != channel or body + _AROUND > end:
            return position
        kind, same, size = _FRAME.unpack_from(stream, body)
        after: int = body + size + _AROUND
        if kind != _CONTENT_BODY or same != channel or size != length or after > end:
            return position
        if not stream[header - 1] == stream[body - 1] == stream[after - 1] == _FRAME_END:
            return position
        at = position + 12 + stream[position + 11]  # behind the consumer's tag
        if at + 9 >= header or not self._understands(stream[header + 19 : body - 1]):
            return position
        tag, redelivered = _TAG.unpack_from(stream, at)
        text = stream[body + 7 : after - 1]
        found.append(Delivery(tag, text, *self._last_read, redelivered & 1 == 1))
        self._shape = _Shape(
            stream[position:at],
            stream[at + 9 : header + 11],
            stream[header + 19 : body + 3],
            self._last_read,
        )
        return after

    def _take_frame(self, stream: bytes, position: int, found: list[Delivery]) -> tuple[int, bool]:
        """Parse one frame; return where it ends, if it is whole, and whether it is a delivery's.

        Raises:
            _Desynchronised: if this is no frame, or it comes at the wrong time.
        """
        if position + _AROUND > len(stream):
            return position, False
        kind, channel, size = _FRAME.unpack_from(stream, position)
        after = position + size + _AROUND
        if kind not in _KINDS or size > MAX_FRAME_BYTES:
            raise _Desynchronised
        if after > len(stream):
            return position, False
        if stream[after - 1] != _FRAME_END:
            raise _Desynchronised
        payload = stream[position + 7 : after - 1]
        if kind == _METHOD and payload[:4] == _LENGTH.pack(_DELIVER):
            self._begin(channel, payload)
        elif self._partial is not None and channel == self._partial.channel:
            self._continue(self._partial, kind, payload, found)
        else:
            return after, False
        return after, True

    def _begin(self, channel: int, payload: bytes) -> None:
        if self._partial is not None or len(payload) < 14 or len(payload) < 14 + payload[4]:
            raise _Desynchronised
        tag, redelivered = _TAG.unpack_from(payload, 5 + payload[4])  # behind the consumer's tag
        self._partial = _Partial(channel, tag, redelivered & 1 == 1)

    def _continue(
        self, partial: _Partial, kind: int, payload: bytes, found: list[Delivery]
    ) -> None:
        if kind == _CONTENT_HEADER and partial.missing < 0 and len(payload) >= 14:
            (partial.missing,) = _LONG.unpack_from(payload, 4)
            partial.properties = payload[12:]
            partial.too_large = partial.missing > MAX_MESSAGE_BYTES
        elif kind == _CONTENT_BODY and partial.missing >= len(payload):
            if not partial.too_large:
                partial.body.append(payload)
            partial.missing -= len(payload)
        else:
            raise _Desynchronised
        if partial.missing == 0:
            if not self._understands(partial.properties):
                raise _Desynchronised
            self._partial = None
            body = b"".join(partial.body)
            found.append(
                Delivery(
                    partial.tag, body, *self._last_read, partial.redelivered, partial.too_large
                )
            )

    def _understands(self, properties: bytes) -> bool:
        """Read a header's properties, which rarely differ from those of the delivery before."""
        if properties != self._last_properties:
            try:
                self._last_read = _read(properties)
            except (IndexError, struct.error):
                return False
            self._last_properties = properties
        return True


def _read(properties: bytes) -> tuple[int | None, bool]:
    """Read timestamp and high assurance out of a header's flags and properties."""
    flags, at = int.from_bytes(properties[:2], "big"), 2
    timestamp, high_assurance = None, False
    if flags & 1:
        raise IndexError("more flags than there are properties")
    for bit in range(15, 5, -1):
        if not flags >> bit & 1:
            continue
        if bit == 13:  # headers: a table
            (length,) = _LENGTH.unpack_from(properties, at)
            high_assurance = properties.find(_HIGH_ASSURANCE, at, at + 4 + length) >= 0
            at += 4 + length
        elif bit in (12, 11):  # delivery mode, priority: an octet
            at += 1
        elif bit == 6:
            (timestamp,) = _LONG.unpack_from(properties, at)
        else:  # a short text
            at += 1 + properties[at]
    return timestamp, high_assurance
