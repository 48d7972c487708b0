"""What a client may do on a channel: publish, consume, and declare queues and exchanges."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from pamqp import base, commands, header

from funcx_async.local.broker.channel import Channel, Consumer, Incoming
from funcx_async.local.broker.protocol import (
    BASIC_CLASS,
    CONTENT_START,
    HardError,
    Message,
    SoftError,
    decode_content_header,
    encode_address,
    encode_declare_ok,
    encode_get_ok,
    encode_return,
)

NO_ROUTE = 312
ABSENT = frozenset(
    {
        commands.Basic.Recover,
        commands.Basic.RecoverAsync,
        commands.Exchange.Bind,
        commands.Exchange.Delete,
        commands.Exchange.Unbind,
        commands.Queue.Purge,
        commands.Queue.Unbind,
        commands.Tx.Commit,
        commands.Tx.Rollback,
        commands.Tx.Select,
    }
)


def confirm_select(channel: Channel, method: commands.Confirm.Select) -> None:
    """Confirm every publish from now on."""
    channel.confirming = True
    if not method.nowait:
        channel.send(commands.Confirm.SelectOk())


def publish(channel: Channel, method: commands.Basic.Publish) -> None:
    """Begin a message; a content header and bodies follow.

    Raises:
        HardError: 540, it is to be delivered at once or not at all, which RabbitMQ has not either.
        SoftError: 404, there is no such exchange.
    """
    if method.immediate:
        raise HardError(540, "immediate=true")
    channel.topology.route(method.exchange, method.routing_key)
    channel.incoming = Incoming(method)


def content_header(channel: Channel, payload: bytes, max_body: int) -> None:
    """Process a content header.

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
    """Process a body frame; the last one publishes the message.

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
    incoming.held += len(payload)
    channel.topology.volume.add(len(payload))
    if incoming.missing and channel.topology.volume.exhausted:
        raise HardError(506, "incomplete messages take too much memory")
    if not incoming.missing:
        _publish(channel, incoming, incoming.properties)


def _publish(channel: Channel, incoming: Incoming, properties: bytes) -> None:
    channel.drop_incoming()
    method = incoming.method
    # Found again: queues may have come and gone since the first frame.
    queues = list(channel.topology.route(method.exchange, method.routing_key))
    address = encode_address(method.exchange, method.routing_key)
    message = Message(address, properties, b"".join(incoming.pieces), incoming.ttl)
    if not queues and method.mandatory:
        start = encode_return(channel.number, NO_ROUTE, "NO_ROUTE", address)
        channel.send_content(start, message)
    for queue in queues:
        queue.push(message)
    if channel.confirming:
        channel.published += 1


def _read_expiration(content: header.ContentHeader) -> float | None:
    expiration = content.properties.expiration
    if not expiration:
        return None
    if not (expiration.isascii() and expiration.isdigit()):
        raise SoftError(406, f"invalid expiration '{expiration}': no_integer")
    return int(expiration) / 1000


def qos(channel: Channel, method: commands.Basic.Qos) -> None:
    """Limit what is out unacknowledged: for each consumer from now on, or for all together.

    As in RabbitMQ, "global" means the channel, and to set the one kind of limit lifts the other
    kind that was shared.

    Raises:
        HardError: 540, the limit is one of bytes.
    """
    if method.prefetch_size:
        raise HardError(540, f"prefetch_size!=0 ({method.prefetch_size})")
    if method.global_:
        channel.prefetch_in_all = method.prefetch_count
    else:
        channel.prefetch = method.prefetch_count
        channel.prefetch_in_all = 0
    channel.send(commands.Basic.QosOk())
    channel.pump_all()


def consume(channel: Channel, method: commands.Basic.Consume) -> None:
    """Start a consumer.

    Raises:
        HardError: 530, its tag is taken.
        SoftError: 403, a consumer has the queue alone, or wants to and cannot; 404; 405.
    """
    queue = channel.queue(method.queue)
    if method.consumer_tag in channel.consumers:
        raise HardError(530, f"attempt to reuse consumer tag '{method.consumer_tag}'")
    if queue.sole_consumer or (method.exclusive and queue.consumers):
        raise SoftError(403, f"queue '{queue.name}' in vhost '/' in exclusive use")
    tag = method.consumer_tag or f"amq.ctag-{secrets.token_urlsafe(16)}"
    consumer = Consumer(channel, queue, tag, no_ack=method.no_ack)
    channel.consumers[tag] = consumer
    queue.add_consumer(consumer, alone=method.exclusive)
    if not method.nowait:
        channel.send(commands.Basic.ConsumeOk(tag))
    queue.pump()


def cancel(channel: Channel, method: commands.Basic.Cancel) -> None:
    """Stop a consumer; what it holds stays with the channel. One that is gone is no error."""
    tag = method.consumer_tag or ""
    consumer = channel.consumers.pop(tag, None)
    if consumer is not None:
        consumer.queue.remove_consumer(consumer)
    if not method.nowait:
        channel.send(commands.Basic.CancelOk(tag))


def cancelled(channel: Channel, method: commands.Basic.CancelOk) -> None:
    """Ignore the answer to a cancellation; some clients send one."""


def get(channel: Channel, method: commands.Basic.Get) -> None:
    """Hand out one message, or say that there is none.

    Raises:
        SoftError: 404, there is no such queue; 405, it is another connection's.
    """
    queue = channel.queue(method.queue)
    queue.touch()
    entry = queue.take()
    if entry is None:
        channel.send(commands.Basic.GetEmpty())
        return
    if method.no_ack:
        tag = channel.next_tag()
        queue.settle(entry)
    else:
        tag = channel.keep(entry)
    message = entry.message
    left = len(queue.ready)
    start = encode_get_ok(channel.number, tag, entry.redelivered, message.address, left)
    channel.send_content(start, message)


def ack(channel: Channel, method: commands.Basic.Ack) -> None:
    """Settle deliveries.

    Raises:
        SoftError: 406, there is no such delivery.
    """
    channel.acknowledge(channel.release(method.delivery_tag, multiple=method.multiple))


def nack(channel: Channel, method: commands.Basic.Nack) -> None:
    """Requeue or drop deliveries.

    Raises:
        SoftError: 406, there is no such delivery.
    """
    entries = channel.release(method.delivery_tag, multiple=method.multiple)
    if method.requeue:
        channel.requeue(entries)
    else:
        channel.acknowledge(entries)


def reject(channel: Channel, method: commands.Basic.Reject) -> None:
    """Requeue or drop one delivery.

    Raises:
        SoftError: 406, there is no such delivery.
    """
    entries = channel.release(method.delivery_tag or 0, multiple=False)
    if method.requeue:
        channel.requeue(entries)
    else:
        channel.acknowledge(entries)


def queue_declare(channel: Channel, method: commands.Queue.Declare) -> None:
    """Make a queue, or look whether there is one.

    Raises:
        SoftError: 403, 404, 405, 406 as :class:`Topology` says.
    """
    if method.passive:
        queue = channel.topology.queue(method.queue, channel.owner)
        queue.touch()
    else:
        queue = channel.topology.declare_queue(
            method.queue,
            durable=method.durable,
            exclusive=method.exclusive,
            auto_delete=method.auto_delete,
            arguments=method.arguments,
            owner=channel.owner,
        )
    channel.last_queue = queue.name
    if not method.nowait:
        counts = len(queue.ready), len(queue.consumers)
        channel.outbox.write(encode_declare_ok(channel.number, queue.name, *counts))


def queue_bind(channel: Channel, method: commands.Queue.Bind) -> None:
    """Bind a queue to an exchange.

    Raises:
        SoftError: 403, 404, 405 as :class:`Topology` says.
    """
    name = channel.queue_name(method.queue)
    # As in the protocol's text: both left out, the key is the queue's name too.
    key = method.routing_key or ("" if method.queue else name)
    channel.topology.bind(name, method.exchange, key, channel.owner)
    if not method.nowait:
        channel.send(commands.Queue.BindOk())


def queue_delete(channel: Channel, method: commands.Queue.Delete) -> None:
    """Delete a queue.

    Raises:
        SoftError: 405, 406 as :class:`Topology` says.
    """
    count = channel.topology.delete_queue(
        channel.queue_name(method.queue),
        if_unused=method.if_unused,
        if_empty=method.if_empty,
        owner=channel.owner,
    )
    if not method.nowait:
        channel.send(commands.Queue.DeleteOk(count))


def exchange_declare(channel: Channel, method: commands.Exchange.Declare) -> None:
    """Check that there is an exchange.

    Raises:
        HardError: 540, it is to be made.
        SoftError: 403, 404 as :class:`Topology` says.
    """
    if not method.passive:
        raise HardError(540, "this broker makes no exchanges; amq.direct is there")
    channel.topology.check_exchange(method.exchange)
    if not method.nowait:
        channel.send(commands.Exchange.DeclareOk())


METHODS: dict[type[base.Frame], Callable[[Channel, Any], None]] = {
    commands.Basic.Ack: ack,
    commands.Basic.Cancel: cancel,
    commands.Basic.CancelOk: cancelled,
    commands.Basic.Consume: consume,
    commands.Basic.Get: get,
    commands.Basic.Nack: nack,
    commands.Basic.Publish: publish,
    commands.Basic.Qos: qos,
    commands.Basic.Reject: reject,
    commands.Confirm.Select: confirm_select,
    commands.Exchange.Declare: exchange_declare,
    commands.Queue.Bind: queue_bind,
    commands.Queue.Declare: queue_declare,
    commands.Queue.Delete: queue_delete,
}


def perform(channel: Channel, method: base.Frame) -> None:
    """Do what a method asks of an open channel.

    Raises:
        HardError: 503, a client may not send it here; 505, a message's frames were to come first;
            540, this broker does not have it; or as the method's own function says.
        SoftError: as the method's own function says.
    """
    if channel.incoming is not None:
        sentence = "expected content header for class 60, got non content header frame instead"
        raise HardError(505, sentence)
    if (served := METHODS.get(type(method))) is not None:
        served(channel, method)
    elif isinstance(method, commands.Channel.Flow):
        # Only asked to go on: a client that cannot take more has prefetch for that.
        if not method.active:
            raise HardError(540, "active=false")
        channel.send(commands.Channel.FlowOk(active=True))
    elif type(method) in ABSENT:
        raise HardError(540, f"{method.name} is not served by this broker")
    else:
        raise HardError(503, "unimplemented method")
