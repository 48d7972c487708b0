"""The bytes of a broker's deliveries."""

from __future__ import annotations

from pamqp import body, commands, frame, header


def message(
    tag: int,
    text: bytes,
    *,
    properties: commands.Basic.Properties | None = None,
    redelivered: bool = False,
    consumer: str = "ctag1.a",
    exchange: str = "",
    frame_max: int = 131_072,
) -> bytes:
    """The frames of one delivery on channel 1."""
    pieces = [text[at : at + frame_max] for at in range(0, len(text), frame_max)]
    parts = [
        commands.Basic.Deliver(consumer, tag, redelivered, exchange, "the queue"),
        header.ContentHeader(0, len(text), properties or commands.Basic.Properties()),
        *map(body.ContentBody, pieces),
    ]
    return b"".join(frame.marshal(part, 1) for part in parts)
