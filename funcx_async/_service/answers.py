"""What the service's answers mean: its documents into records.

Pure: no HTTP library in here, so that every answer can be tried by a plain call. What it refuses
is in :mod:`funcx_async._service.refusals`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from funcx_async.errors import ResponseIncomplete, ResponseNotUnderstood
from funcx_async.models import Result, TaskStatus

A = TypeVar("A")


class TaskDocument(msgspec.Struct):
    """A task as REST tells of it; a value or an exception only once there is one."""

    task_id: str = ""
    status: str = ""
    result: str | None = None
    exception: str | None = None
    completion_t: str | float | None = None
    reason: str | None = None
    details: dict[str, Any] | None = None

    def to_status(self, task_id: str, read: Callable[[Result], Any] | None = None) -> TaskStatus:
        """Return the record.

        Args:
            task_id: the one that was requested.
            read: returns the value of a result, or raises.
        """
        outcome = None
        completion_t = None if self.completion_t is None else str(self.completion_t)
        if self.exception is not None:
            outcome = Result(
                task_id, self.exception, "RemoteExecutionError", completion_t, self.details
            )
        elif self.result is not None:
            outcome = Result(task_id, self.result, None, completion_t, self.details)
        return TaskStatus(task_id, self.status.lower(), outcome, self.reason, read)


class Registered(msgspec.Struct):
    """The answer to a registration; the warning is about high-assurance endpoints."""

    function_uuid: str
    ha_warning: str | None = None


class Submitted(msgspec.Struct):
    """The answer to a submit: for each function the ids, in the order of its payloads."""

    task_group_id: str
    tasks: dict[str, list[str]]
    request_id: str | None = None
    ha_warning: str | None = None


class BatchStatus(msgspec.Struct):
    """Task documents by task id."""

    results: dict[str, TaskDocument]


class GroupedTask(msgspec.Struct):
    """One entry of a task group."""

    id: str
    created_at: str | float | None = None


class TaskGroup(msgspec.Struct):
    """What belongs to a task group."""

    taskgroup_id: str
    tasks: list[GroupedTask]


class QueueAddress(msgspec.Struct):
    """Where results can be consumed."""

    queue_prefix: str
    connection_url: str


class EndpointDocument(msgspec.Struct):
    """How an endpoint is."""

    status: str
    details: dict[str, Any] | None = None
    logs: list[dict[str, Any]] | None = None


def read(body: bytes, shape: type[A], what: str) -> A:
    """Decode an answer.

    Raises:
        ResponseIncomplete: if a part of it is missing.
        ResponseNotUnderstood: if it is not JSON, or of another shape.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        kind = (
            ResponseIncomplete if "missing required field" in str(error) else ResponseNotUnderstood
        )
        # The body itself stays out of the message: it may hold the queue's password.
        raise kind(
            f"The service's answer to {what} is not what the protocol says ({error}). Is this the "
            "root of a funcX service?"
        ) from error
