"""The outcome of a task, from its state or result: a value, or an error to raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from funcx_async._service.answers import UNREADABLE
from funcx_async.errors import (
    DeserializationError,
    FuncXError,
    ResultExpired,
    TaskExecutionFailed,
)
from funcx_async.models import Result, TaskStatus

EXPIRED = "ResultExpired"
"""Our own word for a task that the service no longer knows."""


def outcome_of(status: TaskStatus) -> Result | None:
    """Return the outcome of a task, or None while it is open."""
    if status.result is not None or status.pending:
        return status.result
    return Result(status.task_id, status.reason or "the service gives no reason", EXPIRED)


def failure_of(result: Result) -> FuncXError | None:
    """Return the error of a failed result, or None for a value."""
    if result.error_code is None:
        return None
    if result.error_code == EXPIRED:
        return ResultExpired(
            f"The service no longer knows the task {result.task_id} ({result.data}): its "
            "result is lost, and it has to be submitted again.",
            task_id=result.task_id,
        )
    if result.error_code == UNREADABLE:
        return DeserializationError(
            f"What the service says of the task {result.task_id} cannot be read; `payload` has it.",
            payload=result.data or "",
            task_id=result.task_id,
        )
    return TaskExecutionFailed(
        result.data or "",
        result.completion_t,
        code=result.error_code,
        task_id=result.task_id,
    )


def value_of(result: Result, read: Callable[[str], Any]) -> Any:
    """Return the value of a result.

    Args:
        result: the result.
        read: makes a value out of its serialized form.

    Raises:
        TaskExecutionFailed: if the task failed.
        ResultExpired: if the service no longer knows it.
        DeserializationError: if the value cannot be read here.
    """
    failure = failure_of(result)
    if failure is not None:
        raise failure
    try:
        return read(result.data or "")
    except KeyboardInterrupt:
        raise
    except FuncXError as error:
        error.task_id = result.task_id
        raise
    except BaseException as error:  # what is read may be any code, `sys.exit` included
        raise unreadable(result, error) from error


def unreadable(result: Result, error: BaseException) -> DeserializationError:
    """Return the error for a value that raised ``error`` when it was read."""
    failure = DeserializationError(
        f"Reading the result raised {type(error).__name__}: {error}",
        payload=result.data or "",
        task_id=result.task_id,
    )
    failure.__cause__ = error
    return failure
