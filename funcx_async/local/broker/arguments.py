"""The ``x-`` arguments of a queue: which there are, what they may be, when two sets agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from funcx_async.local.broker.errors import SoftError

DROP_HEAD, REJECT_PUBLISH = "drop-head", "reject-publish"
NUMBERS = {"x-expires": 1, "x-message-ttl": 0, "x-max-length": 0}  # each with its least value
CHOICES = {"x-overflow": (DROP_HEAD, REJECT_PUBLISH), "x-queue-type": ("classic",)}
# RabbitMQ would act on these. To take and ignore them would lose or reorder messages in silence.
ABSENT = (
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length-bytes",
    "x-max-priority",
    "x-single-active-consumer",
)


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """What a queue's arguments mean.

    Attributes:
        expires: seconds without use after which the queue goes away, or None.
        message_ttl: seconds that a message may wait, or None.
        max_length: how many messages may wait, or None.
        rejects: what happens beyond that: the newcomer is refused, else the oldest is dropped.
    """

    expires: float | None = None
    message_ttl: float | None = None
    max_length: int | None = None
    rejects: bool = False


def read_arguments(queue: str, arguments: Mapping[str, Any]) -> QueueOptions:
    """Check a new queue's arguments.

    Raises:
        SoftError: 406, one has a value that it may not have, or is not served here.
    """
    for name, least in NUMBERS.items():
        value = arguments.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _invalid(queue, name, f"expected integer, got {type(value).__name__}")
        if value < least:
            raise _invalid(queue, name, f"{value} is less than {least}")
    for name, choices in CHOICES.items():
        if name in arguments and arguments[name] not in choices:
            raise _invalid(queue, name, f"this broker has only {' and '.join(choices)}")
    for name in ABSENT:
        if name in arguments:
            raise _invalid(queue, name, "this broker does not have it")
    limit = arguments.get("x-max-length")
    return QueueOptions(
        expires=_seconds(arguments.get("x-expires")),
        message_ttl=_seconds(arguments.get("x-message-ttl")),
        max_length=limit,
        rejects=limit is not None and arguments.get("x-overflow") == REJECT_PUBLISH,
    )


def check_equivalent(queue: str, received: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Check that a queue is declared again with the arguments that it has.

    Raises:
        SoftError: 406, they differ.
    """
    for name in (*NUMBERS, *CHOICES, *ABSENT):
        new, old = received.get(name), current.get(name)
        if new != old:
            raise SoftError(
                406,
                f"inequivalent arg '{name}' for queue '{queue}' in vhost '/': "
                f"received {_quoted(new)} but current is {_quoted(old)}",
            )


def _invalid(queue: str, name: str, reason: str) -> SoftError:
    return SoftError(406, f"invalid arg '{name}' for queue '{queue}' in vhost '/': {reason}")


def _quoted(value: object) -> str:
    return "none" if value is None else f"'{value}'"


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
