"""What the matcher says is to be done; ``tag`` is that of the delivery it is about, if any."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import msgspec

from funcx_async.models import Result

K = TypeVar("K")


class Settled(msgspec.Struct, Generic[K]):
    """``result`` is the outcome of ``tickets``."""

    tickets: tuple[K, ...]
    result: Result
    tag: object = None


class Fetch(msgspec.Struct, Generic[K]):
    """The outcome of these tickets exists, but is to be fetched over REST."""

    tickets: tuple[K, ...]
    task_id: str
    tag: object = None


class Noted(msgspec.Struct):
    """Too much is held: only the task id is kept, and the delivery is done with."""

    task_id: str
    tag: object


class Duplicate(msgspec.Struct):
    """The task is settled already, or given up."""

    task_id: str
    tag: object


class Orphaned(msgspec.Struct):
    """Nobody here awaits this task."""

    task_id: str
    tag: object


Event: TypeAlias = Settled[K] | Fetch[K] | Noted | Duplicate | Orphaned
