"""What the store holds, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function."""

    id: str
    name: str
    code: str
    description: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where tasks run."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """The owner of one result queue, if one was asked for."""

    id: str
    queued: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One task, and once it is settled its result message.

    Attributes:
        id: the task's id.
        group_id: the task group that it belongs to.
        function_id: the function that it runs.
        endpoint_id: where it runs.
        created_at: when it was taken, in Unix seconds.
        settled_at: when its result came, in Unix seconds, or None.
        message: the result message as it goes over AMQP, or None.
        failed: whether it ended in an error; None while it is open.
        classic: whether it came in the classic dialect, so that its result is read once.
    """

    id: str
    group_id: str
    function_id: str
    endpoint_id: str
    created_at: float
    settled_at: float | None
    message: bytes | None
    failed: bool | None
    classic: bool = False
