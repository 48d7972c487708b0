"""What the store holds, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from funcx_async.local.status.history import Batch


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
    """Where tasks run.

    Attributes:
        id: the endpoint's id.
        name: what it is called.
        registration: what an agent told of itself; None where the service runs tasks itself.
    """

    id: str
    name: str
    registration: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """How tasks are to be run, for endpoints that can choose; worker processes cannot.

    Attributes:
        resources: the resource specification as JSON; empty if there is none.
        options: the user endpoint configuration as JSON, with its keys in order, so that equal
            ones are equal text.
        runtime: the submitter's environment as JSON, for the agent's template.
    """

    resources: str = ""
    options: str = "{}"
    runtime: str = "{}"


NO_WISHES: Final = Wishes()


@dataclass(frozen=True, slots=True)
class Job:
    """A task on its way to where it runs.

    Attributes:
        task_id: the task's id.
        group_id: the task group that it belongs to.
        function_id: the function that it runs.
        classic: whether it came in the classic dialect.
        options: the user endpoint configuration as JSON.
        batch: what it came in, for the status page; None: before this service was started.
    """

    task_id: str
    group_id: str
    function_id: str
    classic: bool = False
    options: str = "{}"
    batch: Batch | None = None


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
