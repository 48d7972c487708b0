"""The service gave no answer, or none to be understood: what it did is not known for sure."""

from __future__ import annotations

from collections.abc import Sequence

from funcx_async.errors.base import FuncXError


class ServiceUnavailable(FuncXError):
    """The service could not be reached, or was busy. It did nothing, unless ResponseLost says so.

    Attributes:
        retry_after: how many seconds the service asked to be left alone, or None.

    Example:
        >>> ServiceUnavailable("busy", retry_after=30).retry_after
        30
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        task_id: str | None = None,
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, task_id=task_id, function_id=function_id, request_id=request_id)
        self.retry_after = retry_after


class ResponseLost(ServiceUnavailable):
    """The request was written, but no answer came that tells what became of it.

    Example:
        >>> isinstance(ResponseLost("the connection was cut"), ServiceUnavailable)
        True
    """


class ResponseNotUnderstood(FuncXError, ValueError):
    """The service answered something else than the protocol says.

    Example:
        >>> isinstance(ResponseNotUnderstood("the answer is a web page"), ValueError)
        True
    """


class ResponseIncomplete(ResponseNotUnderstood, KeyError):
    """The service's answer lacks something that the protocol says is there.

    Example:
        >>> isinstance(ResponseIncomplete("tasks is missing in the answer"), KeyError)
        True
    """

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show the repr


class SubmitUncertain(FuncXError):
    """The answer to a submit was lost, so nobody can know whether its tasks exist.

    There is no idempotency key: sending again might run a task twice.

    Attributes:
        task_group_id: where the tasks would be, or None if the group was not made yet.
        candidate_task_ids: tasks of that group which nobody here awaits and which may be these.

    Example:
        >>> error = SubmitUncertain("lost", task_group_id="9d86", candidate_task_ids=["4b11"])
        >>> print(f"look at {error.candidate_task_ids} of the group {error.task_group_id}")
        look at ('4b11',) of the group 9d86
    """

    def __init__(
        self,
        message: str,
        *,
        task_group_id: str | None = None,
        candidate_task_ids: Sequence[str] = (),
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, function_id=function_id, request_id=request_id)
        self.task_group_id = task_group_id
        self.candidate_task_ids = tuple(candidate_task_ids)
