"""What all errors of this package have in common."""

from __future__ import annotations


class FuncXError(Exception):
    """The base of every error of this package.

    Attributes:
        task_id: the task concerned, if it is one.
        function_id: the registered function concerned, if it is one.
        request_id: the service's own number for the request, to quote to its operators.

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
        super().__init__(message)
        self.task_id = task_id
        self.function_id = function_id
        self.request_id = request_id
