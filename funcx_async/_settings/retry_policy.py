"""When a task fails for good: its time limit, and the failures after which it is retried."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from funcx_async.errors import (
    ExecutorClosed,
    FuncXError,
    ResultExpired,
    SubmitUncertain,
    TaskExecutionFailed,
    TaskTimedOut,
)

RetryOn: TypeAlias = (
    type[Exception] | tuple[type[Exception], ...] | Callable[[FuncXError], object] | None
)
"""After which failures a task is submitted again."""

POLICY_OPTIONS = ("timeout", "retries", "retry_on")
"""The options of a task that make its policy."""

FINAL = (ExecutorClosed, TaskTimedOut)
"""The failures after which there is no executor to retry, or no time."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The time limit and the retries of each task of a view of an executor.

    Attributes:
        timeout: seconds from its submit on in which the task must have its result, all its tries
            included; None: any time.
        retries: how often it may be submitted again after a failure.
        retry_on: after which failures: error classes of this package, or a function that is given
            the error and says whether. None: those that the task itself has not brought about,
            its worker lost, the answer to its submit lost, its result lost.

    Raises:
        TypeError: for a value of another type, an ``async`` function among them.
        ValueError: for a value out of range; for an error class that no future here fails with, or
            after which no task is submitted again.

    Example:
        >>> policy = RetryPolicy(retries=1)
        >>> policy.retries_after(SubmitUncertain("The answer was lost."))
        True
        >>> policy.retries_after(TaskExecutionFailed("ValueError: too bad"))
        False
    """

    timeout: float | None = None
    retries: int = 0
    retry_on: RetryOn = None

    def __post_init__(self) -> None:
        if self.timeout is not None:
            _check_timeout(self.timeout)
        _check_retries(self.retries)
        if self.retry_on is not None:
            if not self.retries:
                raise ValueError("retry_on means nothing without retries=..., at least 1.")
            _check_retry_on(self.retry_on)

    @property
    def any(self) -> bool:
        """Whether it differs from no policy: a time limit or retries."""
        return self.retries > 0 or (self.timeout is not None and self.timeout < math.inf)

    def retries_after(self, error: BaseException) -> bool:
        """Whether a task that failed like this may be submitted again."""
        if not isinstance(error, FuncXError) or isinstance(error, FINAL):
            return False
        if self.retry_on is None:
            lost_worker = isinstance(error, TaskExecutionFailed) and error.worker_lost
            return lost_worker or isinstance(error, SubmitUncertain | ResultExpired)
        if isinstance(self.retry_on, type | tuple):
            return isinstance(error, self.retry_on)
        return bool(self.retry_on(error))


def _check_timeout(timeout: Any) -> None:
    if not isinstance(timeout, int | float) or isinstance(timeout, bool):
        raise TypeError(f"timeout must be a number of seconds, not {timeout!r}.")
    try:
        float(timeout)
    except OverflowError:
        raise ValueError("timeout is too large; None is for any time.") from None
    if not timeout > 0:
        raise ValueError(f"timeout must be greater than 0 seconds, not {timeout!r}.")


def _check_retries(retries: Any) -> None:
    if not isinstance(retries, int) or isinstance(retries, bool):
        raise TypeError(f"retries must be an integer, not {retries!r}.")
    if retries < 0:
        raise ValueError(f"retries must not be negative, as {retries!r} is.")


def _check_retry_on(retry_on: Any) -> None:
    if callable(retry_on) and not isinstance(retry_on, type):
        if any(map(inspect.iscoroutinefunction, (retry_on, type(retry_on).__call__))):
            raise TypeError(
                f"retry_on must answer at once: {retry_on!r} is async and gives a coroutine, which "
                "is true whatever the error. Give a plain function."
            )
        return
    kinds = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for kind in kinds:
        _check_kind(kind, retry_on)
    if all(issubclass(kind, FINAL) for kind in kinds):
        raise ValueError(
            f"retry_on={retry_on!r} names no failure after which a task can be submitted again: "
            "TaskTimedOut leaves no time, ExecutorClosed no executor. Name another, or leave "
            "retry_on out."
        )


def _check_kind(kind: Any, retry_on: Any) -> None:
    """Refuse what is no class of errors that futures here fail with."""
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise TypeError(
            "retry_on must be an error class, a tuple of them, or a function that is given "
            f"the error, not {retry_on!r}."
        )
    if not (issubclass(kind, FuncXError) or issubclass(FuncXError, kind)):
        raise ValueError(
            f"No future here fails with {kind.__name__}: what a function raises on its "
            "endpoint arrives as TaskExecutionFailed. Give that, or a function that reads its "
            f"remote_data: lambda error: {kind.__name__!r} in str(error)."
        )
