"""What a client may do on a channel to queues and exchanges."""

from __future__ import annotations

from pamqp import commands

from funcx_async.local.broker.channel import Channel
from funcx_async.local.broker.errors import SoftError
from funcx_async.local.broker.framing import encode_declare_ok


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


def queue_unbind(channel: Channel, method: commands.Queue.Unbind) -> None:
    """Undo a binding.

    Raises:
        SoftError: 403, 405 as :class:`Topology` says.
    """
    name = channel.queue_name(method.queue)
    channel.topology.unbind(name, method.exchange, method.routing_key, channel.owner)
    channel.send(commands.Queue.UnbindOk())


def queue_purge(channel: Channel, method: commands.Queue.Purge) -> None:
    """Throw away what waits in a queue.

    Raises:
        SoftError: 404, there is no such queue; 405, it is another connection's.
    """
    count = channel.queue(method.queue).purge()
    if not method.nowait:
        channel.send(commands.Queue.PurgeOk(count))


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
    """Make an exchange, or look whether there is one.

    Raises:
        HardError: 503, there is no such kind.
        SoftError: 403, 404, 406 as :class:`Topology` says.
    """
    topology = channel.topology
    if method.arguments and "alternate-exchange" in method.arguments:
        raise SoftError(406, "alternate-exchange: this broker does not have it")
    if method.passive:
        if method.exchange == "":
            raise SoftError(403, "operation not permitted on the default exchange")
        topology.exchange(method.exchange)
    else:
        topology.declare_exchange(
            method.exchange,
            method.exchange_type,
            durable=method.durable,
            auto_delete=method.auto_delete,
            internal=method.internal,
        )
    if not method.nowait:
        channel.send(commands.Exchange.DeclareOk())


def exchange_delete(channel: Channel, method: commands.Exchange.Delete) -> None:
    """Delete an exchange.

    Raises:
        SoftError: 403, 406 as :class:`Topology` says.
    """
    channel.topology.delete_exchange(method.exchange, if_unused=method.if_unused)
    if not method.nowait:
        channel.send(commands.Exchange.DeleteOk())
