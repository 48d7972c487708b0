"""HTTP responses about tasks and errors."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from fastapi.responses import JSONResponse
from starlette.requests import Request

from funcx_async.errors import (
    ExecutorClosed,
    Forbidden,
    FuncXError,
    JournalError,
    NotFound,
    RequestRefused,
    ResponseLost,
    ResultExpired,
    SerializationError,
    ServiceUnavailable,
    TaskExecutionFailed,
    TaskPending,
    TaskTimedOut,
    TooLarge,
    TooManyOpenTasks,
    last_error,
)

RETRY_AFTER: Final = 5
"""Seconds after which a client may retry, if the service named no time."""

_STATUSES: Final[list[tuple[type[FuncXError], int]]] = [
    (TaskPending, 409),
    (NotFound, 404),
    (Forbidden, 403),
    (TooLarge, 413),
    (SerializationError, 422),
    (ResultExpired, 410),
    (TaskTimedOut, 504),
    (TooManyOpenTasks, 503),
    (ResponseLost, 502),  # the request may have had its effect: clients should not just retry
    (ServiceUnavailable, 503),
    (ExecutorClosed, 503),
    (JournalError, 500),
]
"""All other errors are 502: the service behind this one failed."""

_OWN: Final = ("ENDPOINT_", "CONTAINER_", "TASK_GROUP_", "USER_", "AUTH_GROUP_")
"""Prefixes of error codes that concern what this service chose; clients name only functions and
tasks."""

_log = logging.getLogger(__name__)


async def error_answer(request: Request, error: Exception) -> JSONResponse:
    """Return the HTTP response for an error of this package.

    The routers of this package use it already. For your own routes pass it to the application:
    ``FastAPI(exception_handlers={FuncXError: error_answer})``.

    The JSON has ``detail``, a message; ``error``, the name of the class; and the ids that the error
    concerns. For a failed task it has the remote error without its traceback.

    Args:
        request: the request.
        error: a :class:`~funcx_async.FuncXError`; other exceptions are raised again.

    Returns:
        The response, with a status for the kind of error and ``Retry-After`` if a retry may help.

    Example:
        >>> import asyncio
        >>> error = TooManyOpenTasks("Two tasks are open, and max_in_flight is 2.")
        >>> answer = asyncio.run(error_answer(Request({"type": "http"}), error))
        >>> answer.status_code, answer.headers["retry-after"]
        (503, '5')
    """
    if not isinstance(error, FuncXError):
        raise error
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 502)
    if isinstance(error, RequestRefused) and (error.code or "").startswith(_OWN):
        status = 502
    headers = {}
    if status == 503 or isinstance(error, TaskPending):
        seconds = getattr(error, "retry_after", None)
        seconds = RETRY_AFTER if seconds is None else max(1, math.ceil(seconds))
        headers["Retry-After"] = str(seconds)
    if status >= 500 and not isinstance(error, TaskExecutionFailed | TooManyOpenTasks):
        _log.warning("Responding to a request with %d: %s", status, error)
    ids = {
        name: value
        for name in ("task_id", "function_id", "request_id")
        if (value := getattr(error, name)) is not None
    }
    document = {"detail": message_of(error), "error": type(error).__name__, **ids}
    return JSONResponse(document, status, headers)


def message_of(error: FuncXError) -> str:
    """Return the message of an error for clients, without the frames of a remote traceback.

    Args:
        error: the error.

    Returns:
        Its message. For a :class:`~funcx_async.TaskExecutionFailed` it is the type and message of
        the remote exception, in at most 2,000 characters.

    Example:
        >>> traceback = '''Traceback (most recent call last):
        ...   File "/home/me/model.py", line 3, in run
        ... ZeroDivisionError: division by zero'''
        >>> message_of(TaskExecutionFailed(traceback))
        'ZeroDivisionError: division by zero'
    """
    if isinstance(error, TaskExecutionFailed):
        return last_error(error.remote_data) or "The task failed on the endpoint."
    return str(error)


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task has no result.

    Attributes:
        error: the name of the error class.
        detail: the message.

    Example:
        >>> TaskView.failed("a-task", ValueError("no data")).error
        TaskError(error='ValueError', detail='no data')
    """

    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class TaskView:
    """The state of a task, as clients see it.

    Attributes:
        task_id: the id of the task.
        status: ``pending``, ``success`` or ``failed``.
        document: the same as JSON, with ``result`` or ``error``.

    Example:
        >>> view = TaskView.success("a-task", [1, 2])
        >>> view.document
        b'{"task_id":"a-task","status":"success","result":[1,2]}'
        >>> view.result
        [1, 2]
    """

    task_id: str
    status: Literal["pending", "success", "failed"]
    document: bytes

    @property
    def done(self) -> bool:
        """Whether the task has finished."""
        return self.status != "pending"

    @property
    def result(self) -> Any:
        """The result in types of JSON; None while the task is open and after a failure."""
        return msgspec.json.decode(self.document).get("result")

    @property
    def error(self) -> TaskError | None:
        """Why the task has no result; None if there is no error."""
        error = msgspec.json.decode(self.document).get("error")
        return None if error is None else TaskError(**error)

    @classmethod
    def pending(cls, task_id: str) -> TaskView:
        """Return the view of an open task."""
        return cls._made(task_id, "pending")

    @classmethod
    def success(cls, task_id: str, value: Any) -> TaskView:
        """Return the view of a result; one that JSON cannot represent comes with an error."""
        try:
            return cls._made(task_id, "success", result=value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            detail = (
                f"The task returned a {type(value).__name__} that JSON cannot represent ({error}). "
                "Return plain values from the function, or await it in a route of your own."
            )
            return cls._made(
                task_id, "success", error={"error": "NotRepresentable", "detail": detail}
            )

    @classmethod
    def failed(cls, task_id: str, error: BaseException) -> TaskView:
        """Return the view of a failed task."""
        detail = message_of(error) if isinstance(error, FuncXError) else str(error)
        return cls._made(task_id, "failed", error={"error": type(error).__name__, "detail": detail})

    @classmethod
    def _made(
        cls, task_id: str, status: Literal["pending", "success", "failed"], **more: Any
    ) -> TaskView:
        document = {"task_id": task_id, "status": status, **more}
        return cls(task_id, status, msgspec.json.encode(document))
