"""What HTTP clients are told: of tasks, and of what went wrong."""

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
"""Seconds after which a client may ask again, where the service named no time itself."""

_STATUSES: Final[list[tuple[type[FuncXError], int]]] = [
    (TaskPending, 409),
    (NotFound, 404),
    (Forbidden, 403),
    (TooLarge, 413),
    (SerializationError, 422),
    (ResultExpired, 410),
    (TaskTimedOut, 504),
    (TooManyOpenTasks, 503),
    (ResponseLost, 502),  # it may have done its work, so nobody should simply ask again
    (ServiceUnavailable, 503),
    (ExecutorClosed, 503),
    (JournalError, 500),
]
"""Anything else is 502: what is behind this service did not do its part."""

_OWN: Final = ("ENDPOINT_", "CONTAINER_", "TASK_GROUP_", "USER_", "AUTH_GROUP_")
"""How codes of the service begin which concern what this service chose: clients name only functions
and tasks."""

_log = logging.getLogger(__name__)


async def error_answer(request: Request, error: Exception) -> JSONResponse:
    """Answer a request with an error of this package, as status, ``Retry-After`` and a document.

    The routers of this package do so by themselves. For the routes of your own give it to the
    application: ``FastAPI(exception_handlers={FuncXError: error_answer})``.

    The document has ``detail`` for people, ``error``, the name of the class, and the ids that it
    concerns. Of a task that failed it has the error, and no frame of the traceback.

    Args:
        request: the request.
        error: a :class:`~funcx_async.FuncXError`; others are raised again.

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
        told = getattr(error, "retry_after", None)
        headers["Retry-After"] = str(RETRY_AFTER if told is None else max(1, math.ceil(told)))
    if status >= 500 and not isinstance(error, TaskExecutionFailed | TooManyOpenTasks):
        _log.warning("A request is answered with %d: %s", status, error)
    ids = {
        name: told
        for name in ("task_id", "function_id", "request_id")
        if (told := getattr(error, name)) is not None
    }
    document = {"detail": message_of(error), "error": type(error).__name__, **ids}
    return JSONResponse(document, status, headers)


def message_of(error: FuncXError) -> str:
    """Give what a client may know of an error: of a remote traceback how it ends, not its frames.

    Args:
        error: the error; of a :class:`~funcx_async.TaskExecutionFailed` the type and the message
            of the remote exception are given, in at most 2,000 characters.

    Example:
        >>> traceback = '''Traceback (most recent call last):
        ...   File "/home/me/model.py", line 3, in run
        ... ZeroDivisionError: division by zero'''
        >>> message_of(TaskExecutionFailed(traceback))
        'ZeroDivisionError: division by zero'
    """
    if isinstance(error, TaskExecutionFailed):
        return last_error(error.remote_data) or "The task failed on its endpoint."
    return str(error)


@dataclass(frozen=True, slots=True)
class TaskView:
    """What is known of a task, as it is told over HTTP.

    Attributes:
        task_id: the task.
        status: ``pending``, ``success`` or ``failed``.
        document: the answer, in JSON: both of these, with ``result`` or ``error``.

    Example:
        >>> TaskView.success("a-task", [1, 2]).document
        b'{"task_id":"a-task","status":"success","result":[1,2]}'
    """

    task_id: str
    status: Literal["pending", "success", "failed"]
    document: bytes

    @property
    def done(self) -> bool:
        """Whether nothing will change any more."""
        return self.status != "pending"

    @classmethod
    def pending(cls, task_id: str) -> TaskView:
        """The task has not ended."""
        return cls._made(task_id, "pending")

    @classmethod
    def success(cls, task_id: str, value: Any) -> TaskView:
        """The task returned a value; one that JSON cannot hold is an error beside the success."""
        try:
            return cls._made(task_id, "success", result=value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            words = (
                f"The task returned a {type(value).__name__} that JSON cannot hold ({error}): have "
                "the function return plain values, or await it in a route of your own."
            )
            return cls._made(
                task_id, "success", error={"error": "NotRepresentable", "detail": words}
            )

    @classmethod
    def failed(cls, task_id: str, error: BaseException) -> TaskView:
        """The task has no value, and why."""
        words = message_of(error) if isinstance(error, FuncXError) else str(error)
        told = {"error": type(error).__name__, "detail": words}
        return cls._made(task_id, "failed", error=told)

    @classmethod
    def _made(
        cls, task_id: str, status: Literal["pending", "success", "failed"], **more: Any
    ) -> TaskView:
        document = {"task_id": task_id, "status": status, **more}
        return cls(task_id, status, msgspec.json.encode(document))
