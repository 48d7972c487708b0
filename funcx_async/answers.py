"""What the service's answers mean: its documents into records, its refusals into errors.

Pure: no HTTP library in here, so that every answer can be tried by a plain call.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from funcx_async.codes import code_name
from funcx_async.errors import (
    AnswerIncomplete,
    AnswerLost,
    AnswerNotUnderstood,
    AuthenticationFailed,
    Forbidden,
    FuncXError,
    NotFound,
    RequestRefused,
    ServiceUnavailable,
    TooLarge,
)
from funcx_async.models import Result, TaskStatus

A = TypeVar("A")

LONGEST_WAIT = 3600.0
"""Seconds: a longer Retry-After is taken for a slip."""

_REFUSALS: dict[int, type[RequestRefused]] = {
    401: AuthenticationFailed,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
}

_REMEDIES = {
    401: "The token is missing, wrong or expired: give FuncXClient a fresh one.",
    413: "Send less at once, or keep large objects elsewhere and send their names.",
}


class TaskDocument(msgspec.Struct):
    """A task as REST tells of it; a value or an exception only once there is one."""

    task_id: str = ""
    status: str = ""
    result: str | None = None
    exception: str | None = None
    completion_t: str | float | None = None
    reason: str | None = None
    details: dict[str, Any] | None = None

    def to_status(self, task_id: str) -> TaskStatus:
        """Make the record; ``task_id`` is the one that was asked for."""
        outcome = None
        completion_t = None if self.completion_t is None else str(self.completion_t)
        if self.exception is not None:
            outcome = Result(
                task_id, self.exception, "RemoteExecutionError", completion_t, self.details
            )
        elif self.result is not None:
            outcome = Result(task_id, self.result, None, completion_t, self.details)
        return TaskStatus(task_id, self.status.lower(), outcome, self.reason)


class Registered(msgspec.Struct):
    """The answer to a registration."""

    function_uuid: str


class Submitted(msgspec.Struct):
    """The answer to a submit: for each function the ids, in the order of its payloads."""

    task_group_id: str
    tasks: dict[str, list[str]]
    request_id: str | None = None


class BatchStatus(msgspec.Struct):
    """Task documents by task id."""

    results: dict[str, TaskDocument]


class GroupedTask(msgspec.Struct):
    """One entry of a task group."""

    id: str


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
        AnswerIncomplete: if a part of it is missing.
        AnswerNotUnderstood: if it is not JSON, or of another shape.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        kind = AnswerIncomplete if "missing required field" in str(error) else AnswerNotUnderstood
        # The body itself stays out of the message: it may hold the queue's password.
        raise kind(
            f"The service's answer to {what} is not what the protocol says ({error}). Is this the "
            "root of a funcX service?"
        ) from error


def refusal(
    what: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> FuncXError:
    """Make the error that an answer of ``status`` 300 or more stands for.

    Args:
        what: the request in words, such as ``registering a function``.
        status: the HTTP status.
        headers: the answer's headers, by lower-case name.
        body: the answer's body, whatever it is.
        now: the time, to count a Retry-After date from.
    """
    document = _document(body)
    code = code_name(document.get("code"))
    reason = _reason(document)
    request_id = document.get("request_id") or headers.get("x-request-id")
    told = f"{status}" + (f" {code}" if code else "") + (f": {reason}" if reason else "")
    if status in (429, 503):
        return ServiceUnavailable(
            f"The service has no time for {what} ({told}).",
            retry_after=_retry_after(headers.get("retry-after"), now),
            request_id=request_id,
        )
    if status >= 500 or status < 400:
        return AnswerLost(f"The service failed at {what} ({told}).", request_id=request_id)
    remedy = _REMEDIES.get(status, "")
    if "authorization_parameters" in document:
        status = 401
        remedy = "The service wants a further login: run `globus-compute-endpoint login --force`."
    error = _REFUSALS.get(status, RequestRefused)
    return error(
        f"The service refused {what} ({told}). {remedy}".strip(),
        status=status,
        code=code,
        reason=reason,
        request_id=request_id,
    )


def task_refusal(document: Mapping[str, Any], what: str) -> RequestRefused | None:
    """Give why one task of a classic submit was refused, or None if it was taken.

    Args:
        document: what the answer has for this task.
        what: the request in words.
    """
    status = document.get("http_status_code")
    if not isinstance(status, int):
        status = 200 if document.get("task_uuid") else 400
    word = str(document.get("status") or ("success" if status < 300 else "failed")).lower()
    if word == "success":
        return None
    code = code_name(document.get("code"))
    reason = _reason(document) or "the service gives no reason"
    error = _REFUSALS.get(status, RequestRefused)
    return error(
        f"The service refused this task alone, {what} ({status}{f' {code}' if code else ''}: "
        f"{reason}).",
        status=status,
        code=code,
        reason=reason,
        task_id=document.get("task_uuid"),
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {"reason": body[:200].decode("utf-8", "replace").strip()}
    return document if isinstance(document, dict) else {}


def _reason(document: Mapping[str, Any]) -> str:
    """The sentence for people; validation errors of the newer routes are lists."""
    detail = document.get("detail")
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in entry.get('loc', ()))}: {entry.get('msg')}"
            for entry in detail
            if isinstance(entry, dict)
        )
    return str(document.get("reason") or detail or document.get("message") or "")


def _retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait, given as seconds or as a date."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None
