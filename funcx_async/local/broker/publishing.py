"""What a client may do on a channel to publish."""

from __future__ import annotations

from pamqp import commands, header

from funcx_async.local.broker.channel import Channel, Confirms, Incoming
from funcx_async.local.broker.errors import HardError, SoftError
from funcx_async.local.broker.framing import decode_content_header, encode_return
from funcx_async.local.broker.messages import (
    BASIC_CLASS,
    CONTENT_START,
    Message,
    encode_address,
)

NO_ROUTE = 312


def confirm_select(channel: Channel, method: commands.Confirm.Select) -> None:
    """Confirm every publish from now on."""
    if channel.confirms is None:
        channel.confirms = Confirms(channel)
    if not method.nowait:
        channel.send(commands.Confirm.SelectOk())


def publish(channel: Channel, method: commands.Basic.Publish) -> None:
    """Begin a message; a content header and bodies follow.

    Raises:
        HardError: 540, it is to be delivered at once or not at all, which RabbitMQ has not either.
        SoftError: 404, there is no such exchange; 403, clients may not publish to it.
    """
    if method.immediate:
        raise HardError(540, "immediate=true")
    channel.topology.route(method.exchange, method.routing_key)
    channel.incoming = Incoming(method)


def content_header(channel: Channel, payload: bytes, max_body: int) -> None:
    """Take a content header.

    Raises:
        HardError: 502, it is malformed; 505, it does not belong here.
        SoftError: 406, a property may not be so, or the body is too large.
    """
    incoming = channel.incoming
    if incoming is None or incoming.properties is not None:
        raise HardError(505, "expected method frame, got non method frame instead")
    content = decode_content_header(payload)
    class_id, _, size = CONTENT_START.unpack_from(payload)
    if class_id != BASIC_CLASS:
        sentence = f"expected content header for class 60, got one for class {class_id} instead"
        raise HardError(505, sentence)
    if size > max_body:
        sentence = f"message size {size} is larger than configured max size {max_body}"
        raise SoftError(406, sentence)
    user = content.properties.user_id
    if user and user != channel.session.user:
        me = channel.session.user
        sentence = f"user_id property set to '{user}' but authenticated user was '{me}'"
        raise SoftError(406, sentence)
    incoming.ttl = _read_expiration(content)
    incoming.properties = payload[CONTENT_START.size :]
    incoming.missing = size
    if not incoming.missing:
        _publish(channel, incoming, incoming.properties)


def content_body(channel: Channel, payload: bytes) -> None:
    """Take a piece of a body; with the last one the message is published.

    Raises:
        HardError: 505, it does not belong here, or there is more than was announced.
    """
    incoming = channel.incoming
    if incoming is None or incoming.properties is None:
        raise HardError(505, "expected method frame, got non method frame instead")
    incoming.missing -= len(payload)
    if incoming.missing < 0:
        raise HardError(505, f"{-incoming.missing} bytes more than the content header announced")
    incoming.pieces.append(payload)
    if not incoming.missing:
        _publish(channel, incoming, incoming.properties)


def _publish(channel: Channel, incoming: Incoming, properties: bytes) -> None:
    channel.incoming = None
    method = incoming.method
    # Found again: queues may have come and gone since the first frame.
    queues = list(channel.topology.route(method.exchange, method.routing_key))
    address = encode_address(method.exchange, method.routing_key)
    message = Message(address, properties, b"".join(incoming.pieces), incoming.ttl)
    if not queues and method.mandatory:
        start = encode_return(channel.number, NO_ROUTE, "NO_ROUTE", address)
        channel.send_content(start, message)
    refusals = [queue for queue in queues if not queue.push(message)]
    if channel.confirms is not None:
        if not refusals:
            channel.confirms.accept()
        else:
            channel.confirms.reject()


def _read_expiration(content: header.ContentHeader) -> float | None:
    expiration = content.properties.expiration
    if not expiration:
        return None
    if not (expiration.isascii() and expiration.isdigit()):
        raise SoftError(406, f"invalid expiration '{expiration}': no_integer")
    return int(expiration) / 1000
