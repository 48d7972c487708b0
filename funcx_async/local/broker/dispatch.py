"""Which method is served by what, and what a method costs that is not served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pamqp import base, commands

from funcx_async.local.broker import consuming, declaring, publishing
from funcx_async.local.broker.channel import Channel
from funcx_async.local.broker.errors import HardError

METHODS: dict[type[base.Frame], Callable[[Channel, Any], None]] = {
    commands.Basic.Ack: consuming.ack,
    commands.Basic.Cancel: consuming.cancel,
    commands.Basic.CancelOk: consuming.cancelled,
    commands.Basic.Consume: consuming.consume,
    commands.Basic.Get: consuming.get,
    commands.Basic.Nack: consuming.nack,
    commands.Basic.Publish: publishing.publish,
    commands.Basic.Qos: consuming.qos,
    commands.Basic.Recover: consuming.recover,
    commands.Basic.RecoverAsync: consuming.recover,
    commands.Basic.Reject: consuming.reject,
    commands.Confirm.Select: publishing.confirm_select,
    commands.Exchange.Declare: declaring.exchange_declare,
    commands.Exchange.Delete: declaring.exchange_delete,
    commands.Queue.Bind: declaring.queue_bind,
    commands.Queue.Declare: declaring.queue_declare,
    commands.Queue.Delete: declaring.queue_delete,
    commands.Queue.Purge: declaring.queue_purge,
    commands.Queue.Unbind: declaring.queue_unbind,
}

ABSENT = frozenset(
    {
        commands.Exchange.Bind,
        commands.Exchange.Unbind,
        commands.Tx.Commit,
        commands.Tx.Rollback,
        commands.Tx.Select,
    }
)


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
