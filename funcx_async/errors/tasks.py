"""What became of a task that has no value, or none yet."""

from __future__ import annotations

import re

from funcx_async.errors.base import FuncXError
from funcx_async.errors.tracebacks import exception_told_by

_LOST = re.compile(r"^(?:\w+\.)*(?:Worker|Manager)Lost: ", re.MULTILINE)


class TaskExecutionFailed(FuncXError):
    """The task ended in an error on its endpoint.

    The exception object itself never travels; ``remote_data`` is its traceback as text.

    Attributes:
        remote_data: the remote traceback.
        completion_t: when the service learnt of it, in Unix seconds as a string, or None.
        code: the endpoint's word for the kind of failure, such as ``RemoteExecutionError``.

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
        """The name of the exception that the function raised, such as ``ValueError``.

        With its module unless it is built in: ``mylab.SimError``. None if ``remote_data`` names no
        exception.
        """
        told = exception_told_by(self.remote_data)
        return None if told is None else told[0]

    @property
    def exception_message(self) -> str | None:
        """The message of the exception that the function raised, with its notes.

        Empty if it has none. None if ``remote_data`` names no exception.
        """
        told = exception_told_by(self.remote_data)
        return None if told is None else told[1]

    @property
    def worker_lost(self) -> bool:
        """Whether the endpoint lost the worker, or its whole node, while it had the task.

        The function itself may have raised nothing then, and may have done its work.
        """
        return _LOST.search(self.remote_data) is not None

    def __str__(self) -> str:
        indented = "\n".join("    " + line for line in self.remote_data.rstrip("\n").split("\n"))
        name = f"task {self.task_id}" if self.task_id else "the task"
        return f"{name} failed on its endpoint:\n{indented}"


FuncxTaskExecutionFailed = TaskExecutionFailed
"""The name that ``funcx`` 1.x gave to :class:`TaskExecutionFailed`."""


class TaskPending(FuncXError):
    """The task has not ended, so there is no result yet.

    Attributes:
        status: where it is, such as ``waiting-for-ep``.

    Example:
        >>> TaskPending("no result yet", status="waiting-for-ep").status
        'waiting-for-ep'
    """

    def __init__(self, message: str, *, status: str = "", task_id: str | None = None) -> None:
        super().__init__(message, task_id=task_id)
        self.status = status


class TaskTimedOut(FuncXError, TimeoutError):
    """The task had no result when the time was over that ``options(timeout=...)`` gave it.

    What was not sent by then is not sent any more. What was may still run: the service cannot
    recall a task. Its result, should it come, is counted as a duplicate.

    Attributes:
        timeout: that time, in seconds.

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
    """The service no longer knows the task, or has thrown its result away.

    Example:
        >>> print("run again what made", ResultExpired("gone", task_id="4b116d3c").task_id)
        run again what made 4b116d3c
    """
