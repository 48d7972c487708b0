"""A message as the broker keeps it: encoded once, when it is published."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from pamqp import encode

CONTENT_START = struct.Struct(">HHQ")  # class, weight, body size
FLAGS = struct.Struct(">H")
TIMESTAMP = struct.Struct(">Q")
BASIC_CLASS = 60
HAS_HEADERS, HAS_TIMESTAMP = 0x2000, 0x0040  # property flags of the basic class

FOOTPRINT = 500  # bytes that a message costs beside its content, measured on CPython 3.11


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


def encode_properties(timestamp: int | None, headers: Mapping[str, Any] | None) -> bytes:
    """Encode the two properties that the local service sets."""
    flags, parts = 0, b""
    if headers is not None:
        flags |= HAS_HEADERS
        parts += encode.field_table(dict(headers))
    if timestamp is not None:
        flags |= HAS_TIMESTAMP
        parts += TIMESTAMP.pack(timestamp)
    return FLAGS.pack(flags) + parts
