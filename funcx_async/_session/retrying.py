"""Tasks with terms of their own: a time limit, further tries after a failure.

Rules: the time counts from the submit on, over all tries. Each try is a task of its own; the one
future has the id of the last, and settles once. Between two tries it is PENDING, as what is queued
is, so it can be cancelled. The first task may have run, and may still: with retries a task runs at
least once, not exactly once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from concurrent.futures._base import PENDING
from typing import Any, Protocol, TypeVar

from funcx_async._core.backoff import Backoff
from funcx_async._core.batcher import Route, Submission
from funcx_async._futures.future import FuncXFuture, lock
from funcx_async._results.stream import StreamSet
from funcx_async._session.alarm import Alarm
from funcx_async._session.functions import Function
from funcx_async._session.posting import AnyFuture, AnySubmission
from funcx_async._settings.terms import Terms
from funcx_async.errors import FuncXError, TaskTimedOut

T = TypeVar("T")

_log = logging.getLogger("funcx_async.retry")


class Queue(Protocol):
    """What is asked of the session that sends the tasks."""

    loop: asyncio.AbstractEventLoop
    streams: StreamSet

    def submit(
        self,
        route: Route,
        function: Function,
        payload: str,
        key: str | None = None,
        future: AnyFuture | None = None,
    ) -> AnyFuture:
        """Queue a task, awaited by this future if one is given; from any thread."""
        ...

    def submit_again(self, route: Route, submission: AnySubmission) -> None:
        """Queue a further try for a future that is open already."""


class FutureOnTerms(FuncXFuture[T]):
    """The future of a task that has a time limit, or is tried again after failures.

    Args:
        terms: the limit, and after which failures, how often.
        task: what is to be submitted again.
        keeper: sees to it that it is.

    Attributes:
        terms: likewise.
        task: likewise; None once there is no need.
        task_ids: the ids of the tries before this one, as far as they are known.
    """

    __slots__ = ("_backoff", "_keeper", "task", "task_ids", "terms")

    def __init__(
        self, terms: Terms, task: tuple[Route, Function, str] | None, keeper: OnTerms
    ) -> None:
        super().__init__()
        self.terms = terms
        self.task = task
        self.task_ids: list[str | None] = []
        self._backoff = Backoff()
        self._keeper = keeper

    def fail(self, error: BaseException) -> bool:
        """Be tried again if the terms say so, else settle; False if it is settled already."""
        if self._may_be_tried_after(error):
            with lock:
                if self.done():
                    return False
                self._state = PENDING
                self._claimed = False
            self.task_ids.append(self.task_id)
            chance = random.random()  # noqa: S311 - spreads the tries, hides nothing
            self._keeper.pause(self, self._backoff.next_delay(chance), error)
            return True
        if self.task_ids:
            before = ", ".join(task_id or "one without an id" for task_id in self.task_ids)
            error.add_note(f"It was submitted again after failures; the tasks before: {before}.")
        return super().fail(error)

    def _may_be_tried_after(self, error: BaseException) -> bool:
        if self.task is None or len(self.task_ids) >= self.terms.retries:
            return False
        try:
            return self.terms.retries_after(error)
        except (Exception, asyncio.CancelledError):  # which would end whoever settles the future
            _log.exception(
                "retry_on failed, so the task %s is not submitted again",
                self.task_id,
                extra={"task_id": self.task_id},
            )
            return False

    def _note_done(self, here: asyncio.AbstractEventLoop | None) -> None:
        self.task = None  # large arguments would live as long as the future
        super()._note_done(here)


class OnTerms:
    """Submits those tasks of a session that have terms; see the module.

    Args:
        queue: the session.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._loop = queue.loop
        self._limits: Alarm[FutureOnTerms[Any]] = Alarm(self._loop, self._end)
        self._pauses: Alarm[FutureOnTerms[Any]] = Alarm(self._loop, self._submit_again)

    def submit(
        self, terms: Terms, route: Route, function: Function, payload: str, key: str | None
    ) -> AnyFuture:
        """Queue a task; from any thread, and raises as the session does."""
        due = self._loop.time() + (math.inf if terms.timeout is None else terms.timeout)
        task = (route, function, payload) if terms.retries else None
        future: FutureOnTerms[Any] = FutureOnTerms(terms, task, self)
        self._queue.submit(route, function, payload, key, future)
        if due < math.inf:
            self._limits.set(future, due)
        return future

    def pause(self, future: FutureOnTerms[Any], delay: float, error: BaseException) -> None:
        """Have a task submitted again after so many seconds."""
        _log.info(
            "The task %s ended in %s; it is submitted again in %.1f s (%d. of %d retries).",
            future.task_id or "whose submit is uncertain",
            type(error).__name__,
            delay,
            len(future.task_ids),
            future.terms.retries,
            extra={"task_id": future.task_id},
        )
        self._pauses.set(future, self._loop.time() + delay)

    def _submit_again(self, future: FutureOnTerms[Any]) -> None:
        if future.task is None:  # done meanwhile, in another thread
            return
        route, function, payload = future.task
        try:
            self._queue.submit_again(route, Submission(future, function, payload))
        except Exception as error:  # a slip of ours must not leave the future open for ever
            failure = FuncXError(f"The task could not be submitted again: {error!r}")
            failure.__cause__ = error
            future.task = None  # there is no use in trying that again
            future.fail(failure)

    def _end(self, future: FutureOnTerms[Any]) -> None:
        """Fail a future whose time is over, and let go of its result."""
        task_id, timeout = future.task_id, future.terms.timeout or 0.0
        sent = future.sent
        if task_id in future.task_ids:  # that of the try before
            task_id = None
        if not sent and future.task_ids:
            what_now = "It failed before, and is not submitted again."
        elif not sent:
            what_now = "It was not sent yet, and will not be."
        elif task_id is None:
            what_now = "It was being sent, and may run: the service cannot recall a task."
        else:
            what_now = "It may still run: the service cannot recall a task."
        name = f"task {task_id}" if task_id else "task"
        message = f"The {name} has no result after the {timeout:g} s of its timeout. {what_now}"
        if (
            future.fail(TaskTimedOut(message, timeout=timeout, task_id=task_id))
            and sent
            and task_id
        ):
            self._queue.streams.forget(task_id, future)
