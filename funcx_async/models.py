"""The records that calls return, and that modules pass on: frozen and comparable.

Those of which there is one for each task are structs of msgspec, which cost a third to make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from funcx_async._process import CREDENTIALS, confined

_END_OF_TIME = 253_402_300_800.0
"""The year 10000, in Unix seconds."""


class Result(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one task.

    Attributes:
        task_id: the service's id of the task.
        data: the serialized value, or the traceback text if ``error_code`` is set; None for a
            notice without data, whose value is fetched over REST.
        error_code: None for a value, else the endpoint's code of the failure.
        completion_t: when the service received it, in Unix seconds as a string, or None.
        details: the worker's environment, if reported, or None.
    """

    task_id: str
    data: str | None
    error_code: str | None = None
    completion_t: str | None = None
    details: Mapping[str, Any] | None = None


def unix_time(text: str | None) -> float | None:
    """Parse a time of the service.

    Args:
        text: Unix seconds, or a date in ISO 8601.

    Returns:
        Unix seconds; None for what is no time between 1970 and 9999.

    Example:
        >>> unix_time("12.5"), unix_time("1970-01-01T00:00:03+00:00"), unix_time("1e300")
        (12.5, 3.0, None)
    """
    try:
        seconds = float(text or "")
    except ValueError:
        try:
            seconds = datetime.fromisoformat(text or "").timestamp()
        except (ValueError, OverflowError):
            return None
    return seconds if 0.0 <= seconds < _END_OF_TIME else None


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One message as it came from the result queue.

    Attributes:
        tag: the channel's number for it, to acknowledge it by.
        body: the message, as :mod:`funcx_async._service.messages` parses it.
        timestamp: when the service sent it, in Unix seconds, or None.
        high_assurance: whether the body has no result, which is then fetched over REST.
        redelivered: whether the broker delivered it before, perhaps to this process.
        too_large: the message was larger than any result may be; it was not read, and its body is
            empty.
    """

    tag: int
    body: bytes
    timestamp: int | None = None
    high_assurance: bool = False
    redelivered: bool = False
    too_large: bool = False


class Record(Mapping[str, Any]):
    """A record that is also read by key, as the dictionaries of the official clients.

    Example:
        >>> status = EndpointStatus("online", {"idle_workers": 4})
        >>> status.status, status["status"], dict(status)
        ('online', 'online', {'status': 'online', 'details': {'idle_workers': 4}})
    """

    __slots__ = ()

    def _document(self) -> Mapping[str, Any]:
        """Return the dictionary that the official client would return."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        return self._document()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document())

    def __len__(self) -> int:
        return len(self._document())

    def __contains__(self, key: object) -> bool:
        return key in self._document()

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Receipt(Record):
    """The service's answer to one submit.

    By key it has ``request_id``, ``task_group_id``, ``endpoint_id`` and ``tasks``.

    Attributes:
        task_group_id: the group that the tasks belong to.
        tasks: the task ids of each function, in the order of its payloads.
        request_id: the service's id of the request, or None.
        refusals: by task id, why the classic service refused single tasks.
        warning: a warning of the service about a high-assurance endpoint, or None.
        endpoint_id: where the tasks were sent.
    """

    task_group_id: str
    tasks: Mapping[str, Sequence[str]]
    request_id: str | None = None
    refusals: Mapping[str, Exception] = field(default_factory=dict)
    warning: str | None = None
    endpoint_id: str | None = None

    def _document(self) -> Mapping[str, Any]:
        return {
            "request_id": self.request_id,
            "task_group_id": self.task_group_id,
            "endpoint_id": self.endpoint_id,
            "tasks": self.tasks,
        }


@dataclass(frozen=True, slots=True)
class ListedTask:
    """A task in the list of a task group.

    Attributes:
        task_id: the task's id.
        created_at: when the service accepted it, as a text that sorts by time, or None.
    """

    task_id: str
    created_at: str | None = None


@dataclass(frozen=True, slots=True)
class TaskStatus(Record):
    """The state of a task.

    By key it is what the official client returns: ``pending`` and ``status``; ``details`` where the
    service has them; after the task has finished ``completion_t`` and ``result``, which is the
    value, or ``reason``. The key ``result`` of a failed task raises TaskExecutionFailed, as the
    official client does; that of a value that cannot be read here raises DeserializationError.

    Attributes:
        task_id: the task's id.
        status: ``success``, ``failed``, or a pending state such as ``waiting-for-ep``; lower case.
        result: the outcome as it was sent, or None while there is none.
        reason: why the service has no outcome, such as ``Unknown task id``, or None.
        read: returns the value of ``result``, or raises; set by the client.

    Example:
        >>> status = TaskStatus("4b116d3c", "waiting-for-ep")
        >>> status.pending, status["pending"], "result" in status
        (True, True, False)
    """

    task_id: str
    status: str
    result: Result | None = None
    reason: str | None = None
    read: Callable[[Result], Any] | None = field(default=None, repr=False, compare=False)

    @property
    def pending(self) -> bool:
        """Whether the task may still bring a result."""
        return self.result is None and self.status not in ("failed", "success")

    def _document(self) -> Mapping[str, Any]:
        document: dict[str, Any] = {"pending": self.pending, "status": self.status}
        if self.result is None:
            return document if self.pending else document | {"reason": self.reason or "unknown"}
        if self.result.details is not None:
            document["details"] = self.result.details
        return document | {"result": self.result, "completion_t": self.result.completion_t}

    def __getitem__(self, key: str) -> Any:
        if key == "result" and self.result is not None and self.read is not None:
            return self.read(self.result)
        return self._document()[key]


@dataclass(frozen=True, slots=True)
class EndpointStatus(Record):
    """Whether an endpoint is connected to the service.

    By key it is the service's document.

    Attributes:
        status: ``online`` or ``offline``.
        details: what the endpoint last reported about itself.
        logs: its last reports, the newest first; of the classic service.
        raw: the service's document as it came.
    """

    status: str
    details: Mapping[str, Any] = field(default_factory=dict)
    logs: Sequence[Mapping[str, Any]] = ()
    raw: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def _document(self) -> Mapping[str, Any]:
        if self.raw is not None:
            return self.raw
        return {"status": self.status, "details": self.details}


@confined(CREDENTIALS)
@dataclass(frozen=True, slots=True)
class ResultQueueAddress(Record):
    """Where results of this user can be consumed; the credentials are fresh at each request.

    By key it has the same fields.

    Attributes:
        queue_prefix: opaque; the queue's name is this and the task group id, nothing between.
        connection_url: an AMQP URL with user and password; not in the ``repr``.
    """

    queue_prefix: str
    connection_url: str = field(repr=False)

    def _document(self) -> Mapping[str, Any]:
        return {"queue_prefix": self.queue_prefix, "connection_url": self.connection_url}


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of an executor.

    Attributes:
        queued: tasks that wait to be sent.
        batches_in_flight: submit requests that are not answered.
        open: tasks whose futures are not settled, queued ones included.
        done: futures settled with a value.
        failed: futures settled with an error, or cancelled.
        batches: submit requests that the service accepted.
        reconnects: reconnections to the result queue.
        held: results that arrived before the receipt of their submit.
        orphans: results of tasks that this process does not await.
        duplicates: results that arrived again.
        malformed: messages that are not results.
        retried: tasks submitted again after a failure, by ``options(retries=...)``.
    """

    queued: int = 0
    batches_in_flight: int = 0
    open: int = 0
    done: int = 0
    failed: int = 0
    batches: int = 0
    reconnects: int = 0
    held: int = 0
    orphans: int = 0
    duplicates: int = 0
    malformed: int = 0
    retried: int = 0
