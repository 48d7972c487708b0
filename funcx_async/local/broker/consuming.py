"""What a client may do on a channel to receive."""

from __future__ import annotations

import secrets

from pamqp import commands

from funcx_async.local.broker.channel import Channel, Consumer
from funcx_async.local.broker.errors import HardError, SoftError
from funcx_async.local.broker.framing import encode_get_ok


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
    """Take note that the client heard of a consumer's end; some answer, RabbitMQ asks no one to."""


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
    """Give deliveries back, or have them thrown away.

    Raises:
        SoftError: 406, there is no such delivery.
    """
    entries = channel.release(method.delivery_tag, multiple=method.multiple)
    if method.requeue:
        channel.requeue(entries)
    else:
        channel.acknowledge(entries)


def reject(channel: Channel, method: commands.Basic.Reject) -> None:
    """Give one delivery back, or have it thrown away.

    Raises:
        SoftError: 406, there is no such delivery.
    """
    entries = channel.release(method.delivery_tag or 0, multiple=False)
    if method.requeue:
        channel.requeue(entries)
    else:
        channel.acknowledge(entries)


def recover(channel: Channel, method: commands.Basic.Recover | commands.Basic.RecoverAsync) -> None:
    """Give all deliveries of the channel back.

    Raises:
        HardError: 540, they are to go to the same consumers again.
    """
    if not method.requeue:
        raise HardError(540, "requeue=false")
    entries = channel.release(0, multiple=True)
    if not isinstance(method, commands.Basic.RecoverAsync):
        channel.send(commands.Basic.RecoverOk())  # before what comes again
    channel.requeue(entries)
