"""The errors of this package, arranged by what the caller can do about each.

    FuncXError
    │   what became of a task
    ├── TaskExecutionFailed       the function raised, or its worker died: read the remote traceback
    ├── TaskPending               the task has not finished: ask again later
    ├── TaskTimedOut              no result within `options(timeout=)`; the task may still run
    │                                 (also a TimeoutError)
    ├── ResultExpired             the service no longer has the result: run the task again
    │   the service refused
    ├── RequestRefused            fix the request
    │   ├── AuthenticationFailed      log in again, or pass another token
    │   ├── Forbidden                 ask the owner of the function or endpoint for access
    │   ├── NotFound                  check the id
    │   └── TooLarge                  send less at once, or store large objects elsewhere
    ├── VersionMismatch           the service takes newer versions only: install one
    │   no answer, or none that can be understood
    ├── ServiceUnavailable        unreachable or busy: try again later
    │   └── ResponseLost              it may have done the work, but the answer did not arrive
    ├── ResponseNotUnderstood     is this a funcX service? (also a ValueError)
    │   └── ResponseIncomplete        a required field is missing (also a KeyError)
    ├── SubmitUncertain           the tasks may or may not run: check, then decide
    │   this process
    ├── SerializationError        this object cannot be sent: send something else
    ├── DeserializationError      the result cannot be read here: the payload is attached
    ├── JournalError              the journal's file cannot be used: fix it, or name another file
    ├── TooManyOpenTasks          wait for some of them (also a RuntimeError)
    └── ExecutorClosed            open a new executor (also a RuntimeError)

Every error has the ids that it concerns, or None: ``task_id``, ``function_id``, ``request_id``.
No error of an underlying library leaves this package; it is kept as the ``__cause__``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import dedent
from typing import Any, Final

__all__ = [
    "AuthenticationFailed",
    "DeserializationError",
    "ExecutorClosed",
    "Forbidden",
    "FuncXError",
    "FuncxTaskExecutionFailed",
    "JournalError",
    "NotFound",
    "RequestRefused",
    "ResponseIncomplete",
    "ResponseLost",
    "ResponseNotUnderstood",
    "ResultExpired",
    "SerializationError",
    "ServiceUnavailable",
    "SubmitUncertain",
    "TaskExecutionFailed",
    "TaskPending",
    "TaskTimedOut",
    "TooLarge",
    "TooManyOpenTasks",
    "VersionMismatch",
]


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, reorders a line, or cannot be written as UTF-8."""


def printable(text: str) -> str:
    r"""Return a text with its control characters escaped.

    Ends of lines and tabs stay. Texts of services and tasks go through this before they reach a
    terminal or a log.

    Example:
        >>> print(printable("an endpoint\x1b[2J\r"))
        an endpoint\x1b[2J\r
    """
    text = text.replace("\r\n", "\n")
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class FuncXError(Exception):
    """The base of every error of this package.

    Attributes:
        task_id: the id of the task concerned, or None.
        function_id: the id of the registered function concerned, or None.
        request_id: the service's id of the request, to quote to its operators, or None.

    Example:
        >>> try:
        ...     raise ResultExpired("The service no longer knows the task.", task_id="4b116d3c")
        ... except FuncXError as error:
        ...     print(f"{error.task_id}: {error}")
        4b116d3c: The service no longer knows the task.
    """

    def __init__(
        self,
        message: str,
        *,
        task_id: str | None = None,
        function_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(printable(message))
        self.task_id = task_id
        self.function_id = function_id
        self.request_id = request_id


# What became of a task

_LOST = re.compile(r"^(?:\w+\.)*(?:Worker|Manager)Lost: ", re.MULTILINE)


class TaskExecutionFailed(FuncXError):
    """The task failed on its endpoint.

    The exception object itself is not sent; ``remote_data`` is its traceback as text.

    Attributes:
        remote_data: the remote traceback.
        completion_t: when the service received it, in Unix seconds as a string, or None.
        code: the endpoint's code of the failure, such as ``RemoteExecutionError``, or None.

    Example:
        >>> from funcx_async.blocking import LocalService
        >>> with LocalService(workers=1) as service, service.executor() as executor:
        ...     try:
        ...         executor.submit(int, "forty").result()
        ...     except TaskExecutionFailed as error:
        ...         print(error.exception_type, "|", error.exception_message)
        ValueError | invalid literal for int() with base 10: 'forty'
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

    @property
    def exception_type(self) -> str | None:
        """The type of the exception that the function raised, such as ``ValueError``.

        It includes the module unless it is built in: ``mylab.SimError``. None if ``remote_data``
        names no exception.
        """
        told = last_exception(self.remote_data)
        return None if told is None else told[0]

    @property
    def exception_message(self) -> str | None:
        """The message of the exception that the function raised, with its notes.

        Empty if the exception has no message. None if ``remote_data`` names no exception.
        """
        told = last_exception(self.remote_data)
        return None if told is None else told[1]

    @property
    def worker_lost(self) -> bool:
        """Whether the endpoint lost the worker, or its node, while it ran the task.

        The function itself may have raised nothing, and may have finished.
        """
        return _LOST.search(self.remote_data) is not None

    def __str__(self) -> str:
        lines = printable(self.remote_data).rstrip("\n").split("\n")
        indented = "\n".join("    " + line for line in lines)
        name = f"task {self.task_id}" if self.task_id else "the task"
        return f"{name} failed on its endpoint:\n{indented}"


FuncxTaskExecutionFailed = TaskExecutionFailed
"""The name that ``funcx`` 1.x gave to :class:`TaskExecutionFailed`."""


class TaskPending(FuncXError):
    """The task has not finished, so there is no result yet.

    Attributes:
        status: its state, such as ``waiting-for-ep``.

    Example:
        >>> TaskPending("no result yet", status="waiting-for-ep").status
        'waiting-for-ep'
    """

    def __init__(self, message: str, *, status: str = "", task_id: str | None = None) -> None:
        super().__init__(message, task_id=task_id)
        self.status = status


class TaskTimedOut(FuncXError, TimeoutError):
    """The task had no result within its ``options(timeout=...)``.

    A task that was not sent by then is not sent. A task that was sent may still run, as the
    service cannot recall it; a late result counts as a duplicate.

    Attributes:
        timeout: the time limit, in seconds.

    Example:
        >>> try:
        ...     raise TaskTimedOut("No result after 2.5 s.", timeout=2.5)
        ... except TimeoutError as error:
        ...     print(error, error.task_id)
        No result after 2.5 s. None
    """

    def __init__(self, message: str, *, timeout: float = 0.0, task_id: str | None = None) -> None:
        super().__init__(message, task_id=task_id)
        self.timeout = timeout


class ResultExpired(FuncXError):
    """The service no longer knows the task, or has discarded its result.

    Example:
        >>> print("run again what made", ResultExpired("gone", task_id="4b116d3c").task_id)
        run again what made 4b116d3c
    """


# The service refused


class RequestRefused(FuncXError):
    """The service understood the request and refused it.

    Attributes:
        status: the HTTP status.
        code: the service's code of the reason, such as ``ENDPOINT_NOT_FOUND``, or None.
        reason: the service's explanation for people.
        version_mismatch: what is too old for the service, if known; it may be the cause. Else
            None.

    Example:
        >>> error = RequestRefused("refused", status=422, code="INVALID", reason="args is no text")
        >>> print(f"{error.status} {error.code}: {error.reason}")
        422 INVALID: args is no text
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
        authorization_parameters: the demands on a new login under the service's names, such as
            ``session_required_mfa``; empty if there are none.

    Example:
        >>> parameters = {"session_required_mfa": True}
        >>> error = AuthenticationFailed("log in", authorization_parameters=parameters)
        >>> error.authorization_parameters
        {'session_required_mfa': True}
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
    """The credentials are valid, but do not permit this request.

    Example:
        >>> Forbidden("not yours", status=403, code="FUNCTION_NOT_PERMITTED").code
        'FUNCTION_NOT_PERMITTED'
    """


class NotFound(RequestRefused):
    """The service knows nothing under this id.

    Example:
        >>> NotFound("no such task", status=404, task_id="4b116d3c").task_id
        '4b116d3c'
    """


class TooLarge(RequestRefused):
    """The request, the function or one task's arguments exceed the service's limit.

    Example:
        >>> TooLarge("12 MB are too much", status=413, code="TASK_PAYLOAD_TOO_LARGE").status
        413
    """


class VersionMismatch(FuncXError):
    """The service no longer accepts requests of this version.

    Attributes:
        version: the version that is too old.
        minimum: the oldest version that the service accepts.

    Example:
        >>> error = VersionMismatch("too old", version="0.1.0", minimum="0.2.0")
        >>> print(f"{error.version} is older than {error.minimum}")
        0.1.0 is older than 0.2.0
    """

    def __init__(self, message: str, *, version: str = "", minimum: str = "") -> None:
        super().__init__(message)
        self.version = version
        self.minimum = minimum


# The service gave no answer, or none that is understood


class ServiceUnavailable(FuncXError):
    """The service was unreachable or busy. It did nothing, except with the subclass ResponseLost.

    Attributes:
        retry_after: the seconds that the service asked to wait, or None.

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
    """The request was sent, but no answer arrived, so it is unknown what the service did.

    Example:
        >>> isinstance(ResponseLost("the connection was cut"), ServiceUnavailable)
        True
    """


class ResponseNotUnderstood(FuncXError, ValueError):
    """The service's answer does not follow the protocol.

    Example:
        >>> isinstance(ResponseNotUnderstood("the answer is a web page"), ValueError)
        True
    """


class ResponseIncomplete(ResponseNotUnderstood, KeyError):
    """The service's answer lacks a required field.

    Example:
        >>> isinstance(ResponseIncomplete("tasks is missing in the answer"), KeyError)
        True
    """

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show the repr


class SubmitUncertain(FuncXError):
    """The answer to a submit was lost, so it is unknown whether its tasks exist.

    The service has no idempotency key: submitting again might run a task twice.

    Attributes:
        task_group_id: the task group of the submit, or None if it was not created yet.
        candidate_task_ids: tasks of that group that this process does not await, and that may be
            the submitted ones.

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


# The obstacle is in this process


class SerializationError(FuncXError):
    """An object cannot be serialized; the message names the object and the reason.

    Example:
        >>> from funcx_async import FuncXSerializer
        >>> try:
        ...     FuncXSerializer().serialize(n for n in range(3))
        ... except SerializationError as error:
        ...     print(str(error).partition(";")[0])
        the value cannot be sent: it is of type generator
    """


class DeserializationError(FuncXError):
    """A result, or another payload, cannot be deserialized here.

    Attributes:
        payload: the serialized text as it came.

    Example:
        >>> from funcx_async import FuncXSerializer, JSONData
        >>> pickled = FuncXSerializer().serialize([1, 2])
        >>> try:
        ...     FuncXSerializer(allowed_deserializers=[JSONData]).deserialize(pickled)
        ... except DeserializationError as error:
        ...     print(error.payload == pickled)
        True
    """

    def __init__(self, message: str, *, payload: str = "", task_id: str | None = None) -> None:
        super().__init__(message, task_id=task_id)
        self.payload = payload


class JournalError(FuncXError):
    """The journal cannot be opened, read or written; tasks that it should record are not sent.

    Example:
        >>> isinstance(JournalError("squares.journal is on a full disk"), FuncXError)
        True
    """


class TooManyOpenTasks(FuncXError, RuntimeError):
    """The executor has ``max_in_flight`` open tasks already.

    Example:
        >>> from funcx_async.blocking import LocalService
        >>> with LocalService(workers=1) as service, service.executor(max_in_flight=1) as executor:
        ...     future = executor.submit(pow, 2, 5)
        ...     try:
        ...         executor.submit(pow, 2, 6)
        ...     except TooManyOpenTasks:
        ...         print(future.result())
        32
    """


class ExecutorClosed(FuncXError, RuntimeError):
    """The executor was shut down, or its event loop has ended.

    Example:
        >>> from funcx_async.blocking import FuncXExecutor
        >>> executor = FuncXExecutor("4b116d3c-1703-4f8f-9f6f-39921e5864df")
        >>> executor.shutdown()
        >>> try:
        ...     executor.submit(pow, 2, 5)
        ... except ExecutorClosed as error:
        ...     print(error)
        This executor was shut down: make a new one.
    """


# Remote tracebacks

LONGEST_MESSAGE: Final = 2_000
"""Characters of a message that :func:`last_error` returns at most."""

_CHAINED = re.compile(
    r"^(?:During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):\n\n",
    re.MULTILINE,
)
_HEAD = re.compile(r"^(?:\+ Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE)
_PARTS = re.compile(r"^\+-\+-+ 1 -+$", re.MULTILINE)
_MARGIN = re.compile(r"^\| ?", re.MULTILINE)
_CUT = re.compile(r"\[\d+ characters left out\]\n")
_FRAME = re.compile(r"^ +File \".*\", line \d+.*$", re.MULTILINE)
_NAME = r"[^\W\d]\w*"
_RAISED = re.compile(rf"((?:{_NAME}\.|<locals>\.)*{_NAME})(?:: |\n|\Z)(.*)", re.DOTALL)
_NAMED = re.compile(r"((?:\w+\.)*[A-Z]\w+): (.*)", re.DOTALL)
"""An error's name before a sentence, such as that of a lost worker."""
_HELP = "\n\nThis appears to be an error with serialization."
"""Begins the help that the official SDK appends to a traceback that mentions pickles."""


def last_error(traceback: str) -> str:
    r"""Return the type and the message of the error that a traceback ends with, notes included.

    For an exception group this is its own message, without those of its parts. Text that is not a
    traceback is returned as it is. Both are cut to 2,000 characters.

    Args:
        traceback: the traceback, as Python prints it.

    Example:
        >>> last_error('''Traceback (most recent call last):
        ...   File "model.py", line 7, in run
        ...     raise ValueError("two lines:\\nthis is the second")
        ... ValueError: two lines:
        ... this is the second''')
        'ValueError: two lines:\nthis is the second'
    """
    last, _ = _last_printed(traceback)
    return last if len(last) <= LONGEST_MESSAGE else last[: LONGEST_MESSAGE - 1] + "…"


def last_exception(traceback: str) -> tuple[str, str] | None:
    r"""Return the type and the message of the exception that a traceback ends with.

    Args:
        traceback: the traceback, as Python prints it; its beginning may be missing.

    Returns:
        The type's name, with its module unless it is built in, and the message, to which the
        notes belong, as nothing in the text tells them apart. None if the text names no exception.

    Example:
        >>> last_exception('''Traceback (most recent call last):
        ...   File "model.py", line 7, in run
        ... mylab.SimError: no grid: 7''')
        ('mylab.SimError', 'no grid: 7')
        >>> last_exception("the node was taken down")
    """
    last, was_raised = _last_printed(traceback)
    found = (_RAISED if was_raised else _NAMED).fullmatch(last)
    return None if found is None else (found[1], found[2].strip())


def _last_printed(traceback: str) -> tuple[str, bool]:
    """Return the last exception as printed, and True; or text that is no traceback, and False."""
    text = _CHAINED.split(traceback)[-1].partition(_HELP)[0].strip("\n")
    cut = _CUT.match(text)
    last = dedent(text if cut is None else text[cut.end() :])
    head = _HEAD.search(last)
    if head is not None:
        last = last[head.end() :]
        if head[0].startswith("+"):
            last = _MARGIN.sub("", _PARTS.split(last)[0])
    elif cut is not None and (frames := list(_FRAME.finditer(last))):
        last = last[frames[-1].end() :]
    else:
        return last.strip(), False
    # Frames are indented; a message and its notes begin where the margin is.
    error = re.search(r"^\S.*", last, re.MULTILINE | re.DOTALL)
    if error is None:
        return last.strip().rpartition("\n")[2].strip(), False
    return error[0].strip(), True
