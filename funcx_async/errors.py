"""What can go wrong, arranged by what the caller can do about it.

    FuncXError
    ├── TaskExecutionFailed     the function raised, or its worker died: read the remote traceback
    ├── RequestRefused          the service said no: mend the request
    │   ├── AuthenticationFailed    log in again, or give another token
    │   ├── Forbidden               ask the owner of the function or endpoint for access
    │   ├── NotFound                check the id
    │   └── TooLarge                send less, or by another way
    ├── ServiceUnavailable      it could not be reached, or has no time: try again later
    │   └── AnswerLost              it may have done its work, but the answer did not arrive
    ├── VersionMismatch         the service takes newer versions only: install one
    ├── AnswerNotUnderstood     is this a funcX service? (also a ValueError)
    │   └── AnswerIncomplete        something is missing in it (also a KeyError)
    ├── SubmitUncertain         nobody can know whether the tasks run: look, then decide
    ├── TaskPending             the task has not ended: ask again later
    ├── ResultExpired           the service no longer has the result: run it again
    ├── SerializationError      this object cannot travel: send something else
    ├── DeserializationError    what arrived cannot be read here: the payload is attached
    ├── JournalUnusable         its file cannot be used: mend that, or name another file
    ├── TooManyOpenTasks        wait for some of them (also a RuntimeError)
    └── ExecutorClosed          the executor no longer works: open a new one (also a RuntimeError)

Every error carries the ids that it concerns, or None: ``task_id``, ``function_id``,
``request_id``. No error of a library underneath leaves this package; where one was the reason,
it is the ``__cause__``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class FuncXError(Exception):
    """The base of every error of this package.

    Attributes:
        task_id: the task concerned, if it is one.
        function_id: the registered function concerned, if it is one.
        request_id: the service's own number for the request, to quote to its operators.
    """

    def __init__(
        self,
        message: str,
        *,
        task_id: str | None = None,
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.function_id = function_id
        self.request_id = request_id


class TaskExecutionFailed(FuncXError):
    """The task ended in an error on its endpoint.

    The exception object itself never travels; ``remote_data`` is its traceback as text.

    Attributes:
        remote_data: the remote traceback.
        completion_t: when the service learnt of it, in Unix seconds as a string, or None.
        code: the endpoint's word for the kind of failure, such as ``RemoteExecutionError``.
    """

    def __init__(
        self,
        remote_data: str,
        completion_t: str | None = None,
        *,
        code: str | None = None,
        task_id: str | None = None,
        function_id: str | None = None,
    ) -> None:
        super().__init__(remote_data, task_id=task_id, function_id=function_id)
        self.remote_data = remote_data
        self.completion_t = completion_t
        self.code = code

    def __str__(self) -> str:
        indented = "\n".join("    " + line for line in self.remote_data.rstrip("\n").split("\n"))
        name = f"task {self.task_id}" if self.task_id else "the task"
        return f"{name} failed on its endpoint:\n{indented}"


FuncxTaskExecutionFailed = TaskExecutionFailed
"""The name that ``funcx`` 1.x gave to :class:`TaskExecutionFailed`."""


class RequestRefused(FuncXError):
    """The service understood the request and refused it.

    Attributes:
        status: the HTTP status.
        code: the service's name for the reason, such as ``ENDPOINT_NOT_FOUND``, or None.
        reason: the service's sentence for people.
        version_mismatch: what is too old for the service, where that is known: it may be why.
    """

    version_mismatch: VersionMismatch | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        reason: str = "",
        task_id: str | None = None,
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, task_id=task_id, function_id=function_id, request_id=request_id)
        self.status = status
        self.code = code
        self.reason = reason


class AuthenticationFailed(RequestRefused):
    """There are no credentials, or the service does not accept them.

    Attributes:
        authorization_parameters: what a further login has to bring, in the words of the service
            (such as ``session_required_mfa``); empty if none was asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 401,
        code: str | None = None,
        reason: str = "",
        authorization_parameters: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            status=status,
            code=code,
            reason=reason,
            task_id=task_id,
            function_id=function_id,
            request_id=request_id,
        )
        self.authorization_parameters = dict(authorization_parameters or {})


class Forbidden(RequestRefused):
    """The credentials are good, but not for this."""


class NotFound(RequestRefused):
    """The service knows nothing under this id."""


class TooLarge(RequestRefused):
    """The request, the function or one task's arguments exceed the service's limit."""


class ServiceUnavailable(FuncXError):
    """The service could not be reached, or had no time. It did nothing, unless AnswerLost says so.

    Attributes:
        retry_after: how many seconds the service asked to be left alone, or None.
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


class AnswerLost(ServiceUnavailable):
    """The request was written, but no answer came that tells what became of it."""


class VersionMismatch(FuncXError):
    """The service no longer takes what this version says.

    Attributes:
        version: the version that is too old.
        minimum: the oldest that the service takes.
    """

    def __init__(self, message: str, *, version: str = "", minimum: str = "") -> None:
        super().__init__(message)
        self.version = version
        self.minimum = minimum


class AnswerNotUnderstood(FuncXError, ValueError):
    """The service answered something else than the protocol says."""


class AnswerIncomplete(AnswerNotUnderstood, KeyError):
    """The service's answer lacks something that the protocol says is there."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show the repr


class SubmitUncertain(FuncXError):
    """The answer to a submit was lost, so nobody can know whether its tasks exist.

    There is no idempotency key: sending again might run a task twice.

    Attributes:
        task_group_id: where the tasks would be, or None if the group was not made yet.
        candidate_task_ids: tasks of that group which nobody here awaits and which may be these.
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


class TaskPending(FuncXError):
    """The task has not ended, so there is no result yet.

    Attributes:
        status: where it is, such as ``waiting-for-ep``.
    """

    def __init__(self, message: str, *, status: str = "", task_id: str | None = None) -> None:
        super().__init__(message, task_id=task_id)
        self.status = status


class ResultExpired(FuncXError):
    """The service no longer knows the task, or has thrown its result away."""


class SerializationError(FuncXError):
    """An object cannot be written for the wire; the message names which one and why."""


class DeserializationError(FuncXError):
    """What arrived cannot be read here.

    Attributes:
        payload: the serialized text as it came.
    """

    def __init__(self, message: str, *, payload: str = "", task_id: str | None = None) -> None:
        super().__init__(message, task_id=task_id)
        self.payload = payload


class JournalUnusable(FuncXError):
    """The journal cannot be opened, read or written; nothing that it should keep is sent."""


class TooManyOpenTasks(FuncXError, RuntimeError):
    """The executor's ``max_in_flight`` tasks are open already."""


class ExecutorClosed(FuncXError, RuntimeError):
    """The executor was shut down, or its event loop is gone."""
