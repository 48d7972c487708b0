"""What the service's answers mean: its documents into records.

Pure: no HTTP library in here, so that every answer can be tried by a plain call. What it refuses
is in :mod:`funcx_async._service.refusals`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import msgspec

from funcx_async.errors import ResponseIncomplete, ResponseNotUnderstood
from funcx_async.models import Result, TaskStatus

A = TypeVar("A")

UNREADABLE = "ResultUnreadable"
"""The error code of this package for an outcome that cannot be read."""

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class TaskDocument(msgspec.Struct):
    """The document of a task; it has a value or an exception once there is one."""

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


class UnreadableTask(TaskDocument):
    """A task whose outcome cannot be read: the text of its document."""

    text: str = ""

    def to_status(self, task_id: str, read: Callable[[Result], Any] | None = None) -> TaskStatus:
        """Return the record of a task that failed for that."""
        return TaskStatus(task_id, "failed", Result(task_id, self.text, UNREADABLE), None, read)


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


class _RawBatchStatus(msgspec.Struct):
    """Task documents by task id, each still to be decoded."""

    results: dict[str, msgspec.Raw]


class GroupedTask(msgspec.Struct):
    """One entry of a task group."""

    id: str
    created_at: str | float | None = None


class TaskGroup(msgspec.Struct):
    """What belongs to a task group."""

    taskgroup_id: str
    tasks: list[GroupedTask]


class EndpointDocument(msgspec.Struct):
    """How an endpoint is."""

    status: str
    details: dict[str, Any] | None = None
    logs: list[dict[str, Any]] | None = None


def read(body: bytes, shape: type[A], what: str) -> A:
    """Decode an answer; states of tasks one by one where one of them has another shape.

    Raises:
        ResponseIncomplete: if a part of it is missing.
        ResponseNotUnderstood: if it is not JSON, or of another shape.
    """
    try:
        try:
            return decode_leniently(body, shape)
        except _UNDECODABLE:
            if shape is BatchStatus:
                entries = decode_leniently(body, _RawBatchStatus).results
                each = {task_id: _task_of(entry) for task_id, entry in entries.items()}
                return cast("A", BatchStatus(each))
            if shape is TaskDocument:
                decode_leniently(body, dict[str, msgspec.Raw])  # else it is another document
                return cast("A", _task_of(body))
            raise
    except _UNDECODABLE as error:
        kind = (
            ResponseIncomplete if "missing required field" in str(error) else ResponseNotUnderstood
        )
        # The body itself stays out of the message: it may hold the queue's password.
        raise kind(
            f"The service's answer to {what} is not what the protocol says ({error}). Is this the "
            "root of a funcX service?"
        ) from error


def decode_leniently(text: bytes | msgspec.Raw, shape: type[A]) -> A:
    """Decode JSON, also with text that is no Unicode.

    Official workers write half a surrogate pair for each byte of a file name that is not UTF-8.
    What is no character is written with backslashes.

    Raises:
        msgspec.DecodeError: if it is not JSON, or of another shape.
        RecursionError: if it is nested too deeply.
    """
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        whole = bytes(text).decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace")
        return msgspec.json.decode(_ESCAPE.sub(_spelled_out, whole), type=shape)


def _spelled_out(escape: re.Match[bytes]) -> bytes:
    """Return an escape of JSON, half a surrogate pair as text."""
    half = escape["half"]
    return escape[0] if half is None else rb"\\u" + half


def _task_of(entry: bytes | msgspec.Raw) -> TaskDocument:
    """Decode a task's document, without the fields that have another type."""
    with suppress(*_UNDECODABLE):
        return decode_leniently(entry, TaskDocument)
    with suppress(*_UNDECODABLE):
        fields = decode_leniently(entry, dict[str, Any])
        if all(isinstance(fields.get(name), str | None) for name in ("result", "exception")):
            readable = {}
            for field in msgspec.structs.fields(TaskDocument):
                with suppress(msgspec.ValidationError, KeyError):
                    readable[field.name] = msgspec.convert(fields[field.name], field.type)
            return TaskDocument(**readable)
    return UnreadableTask(text=bytes(entry).decode("utf-8", "backslashreplace"))


def read_field(body: bytes, name: str, shape: type[A], what: str) -> A:
    """Decode one field of an answer; raises as :func:`read`."""
    fields = read(body, dict[str, msgspec.Raw], what)
    if name not in fields:
        raise ResponseIncomplete(
            f"The service's answer to {what} lacks the field `{name}`. Is this the root of "
            "a funcX service?"
        )
    return read(bytes(fields[name]), shape, what)
