"""Result messages, as an endpoint writes them, and as they go to a queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from funcx_async._service.messages import EXECUTION_FAILED, encode_result
from funcx_async.models import Result

USER_ERROR: Final = "RemoteExecutionError"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no value.

    Attributes:
        text: the traceback, or a sentence.
        code: the endpoint's word for the kind of failure.
        user_message: what to tell the user besides the text.
    """

    text: str
    code: str = USER_ERROR
    user_message: str = EXECUTION_FAILED


def result_message(
    task_id: str,
    outcome: str | Failure,
    *,
    started: int,
    ended: int,
    details: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the message that carries one task's outcome.

    Args:
        task_id: the task's id.
        outcome: the serialized value, or why there is none.
        started: when the task began, in Unix nanoseconds.
        ended: when it ended, in Unix nanoseconds.
        details: the worker's environment.
    """
    statuses = [
        {"timestamp": started, "state": "execution-start", "actor": "worker"},
        {"timestamp": ended, "state": "execution-end", "actor": "worker"},
    ]
    if isinstance(outcome, Failure):
        result = Result(task_id, outcome.text, outcome.code, details=details)
        return encode_result(result, user_message=outcome.user_message, task_statuses=statuses)
    return encode_result(Result(task_id, outcome, details=details), task_statuses=statuses)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a result message says.

    Attributes:
        data: the serialized value, or the traceback.
        details: the worker's environment.
        transitions: when the task changed its state, in Unix seconds.
    """

    data: str
    details: dict[str, Any]
    transitions: dict[str, float]


def read_outcome(message: bytes) -> Outcome:
    """Read a message that :func:`result_message` or the agent of an endpoint wrote."""
    fields = json.loads(message[1:])["data"]
    return Outcome(
        # An agent may send half a surrogate pair, as in the name of a file, which JSON can hold.
        data=fields["data"].encode("utf-8", "backslashreplace").decode("utf-8"),
        details=fields.get("details") or {},
        transitions={
            status["state"]: status["timestamp"] / 1e9
            for status in fields.get("task_statuses") or ()
        },
    )


def without_details(message: bytes) -> bytes:
    """Return a result message as a classic endpoint sends it, without the worker's details."""
    document = json.loads(message[1:])
    document["data"].pop("details", None)
    return b"\x01" + json.dumps(document, separators=(",", ":")).encode("ascii")


def without_outcome(message: bytes) -> bytes:
    """Return a result message without its value, as high-assurance endpoints send it."""
    document = json.loads(message[1:])
    document["data"].update(data="", error_details=None)
    return b"\x01" + json.dumps(document, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message on its way to the result queue of a task group."""

    group_id: str
    body: bytes
    timestamp: int | None = None
    headers: dict[str, Any] = field(default_factory=dict)
