"""Tasks with a time limit, and tasks that are submitted again after a failure.

Rules: the time counts from the submit, over all attempts. Each attempt is a task of its own; the
one future has the id of the last, and settles once. Between two attempts it is PENDING, as what is
queued is, so it can be cancelled. The first task may have run, and may still be running: with
retries a task runs at least once, not exactly once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from funcx_async import errors
from funcx_async._core.backoff import Backoff
from funcx_async._core.batcher import Route, Submission
from funcx_async._core.book import Entry
from funcx_async._core.deadlines import Deadlines
from funcx_async._futures.future import FuncXFuture, running_loop
from funcx_async._session.batches import AnyFuture
from funcx_async._session.context import SHUT_DOWN, SessionContext
from funcx_async._session.functions import Function
from funcx_async._session.submitter import Submitter
from funcx_async._settings.retry_policy import RetryOn, RetryPolicy
from funcx_async.errors import ExecutorClosed, FuncXError, TaskTimedOut

T = TypeVar("T")
F = TypeVar("F", bound=FuncXFuture[Any])

MAX_CALLS = 500
"""How many futures a timer calls on before other callbacks of the loop get their turn."""

_log = logging.getLogger("funcx_async.retry")


class RetryingFuture(FuncXFuture[T]):
    """The future of a task that has a time limit, or is submitted again after failures.

    Args:
        policy: the limit, and after which failures the task is submitted again, how often.
        task: what is submitted again; None for a task without retries.
        retries: submits it again.

    Attributes:
        policy: as given.
        task: as given; None once it is not needed.
        task_ids: the ids of the attempts before this one, as far as they are known.
        ends_at: when its time limit ends, in seconds since 1970; infinite without one.
    """

    __slots__ = ("_backoff", "_retries", "ends_at", "policy", "task", "task_ids")

    def __init__(
        self, policy: RetryPolicy, task: tuple[Route, Function, str] | None, retries: TaskRetries
    ) -> None:
        super().__init__()
        self.policy = policy
        self.task = task
        self.task_ids: list[str | None] = []
        timeout = math.inf if policy.timeout is None else policy.timeout
        self.ends_at = time.time() + timeout
        self._backoff = Backoff()
        self._retries = retries

    def task_failed(self, error: BaseException) -> bool:
        """Submit the task again if the policy says so, else settle with the error.

        Returns:
            False if the future is settled already.
        """
        delay = self._delay_after(error)
        if delay is None:
            return self.fail(error)
        attempt = self.task_id
        if not self.restart():
            return False
        self.task_ids.append(attempt)
        self._retries.pause(self, delay, error)
        return True

    def fail(self, error: BaseException) -> bool:
        """Settle with an error that names the attempts before; False if it is settled already."""
        if self.task_ids:
            before = ", ".join(task_id or "one without an id" for task_id in self.task_ids)
            error.add_note(f"It was submitted again after failures; the tasks before: {before}.")
        return super().fail(error)

    def _delay_after(self, error: BaseException) -> float | None:
        """Return the seconds until the next attempt, or None if there is none."""
        if self.task is None or len(self.task_ids) >= self.policy.retries:
            return None
        if time.time() >= self.ends_at:
            return None
        try:
            if not self.policy.retries_after(error):
                return None
        except (
            Exception,
            asyncio.CancelledError,
        ):  # not to end who settles it
            _log.exception(
                "retry_on failed, so the task %s is not submitted again",
                self.task_id,
                extra={"task_id": self.task_id},
            )
            return None
        chance = random.random()  # noqa: S311 - spreads the retries, hides nothing
        return self._backoff.next_delay(chance)


class TaskRetries:
    """Makes the futures of tasks with a policy, and submits failed ones again.

    Args:
        context: that of the session.
        submitter: sends the tasks.

    Attributes:
        loop: the event loop of the session.
    """

    def __init__(self, context: SessionContext, submitter: Submitter) -> None:
        self._context = context
        self._submitter = submitter
        self.loop = loop = context.loop
        self._timeouts: DeadlineTimer[RetryingFuture[Any]] = DeadlineTimer(loop, self._end)
        self._pauses: DeadlineTimer[RetryingFuture[Any]] = DeadlineTimer(loop, self._submit_again)

    def future(
        self, policy: RetryPolicy, route: Route, function: Function, payload: str
    ) -> RetryingFuture[Any]:
        """Return a future for a task that is about to be submitted."""
        task = (route, function, payload) if policy.retries else None
        return RetryingFuture(policy, task, self)

    def submitted(self, future: RetryingFuture[Any]) -> None:
        """Keep to the time limit of a submitted task; from any thread."""
        if future.task is not None:
            future.watch(self)
        if future.ends_at < math.inf:
            self._timeouts.set(future, self.loop.time() + future.ends_at - time.time())

    def request_of(self, future: RetryingFuture[Any]) -> str:
        """Return what another process needs to submit a task again, or to end it in time."""
        policy, kinds = future.policy, _names_of(future.policy.retry_on)
        stored: dict[str, Any] = {
            "timeout": policy.timeout,
            "ends_at": future.ends_at if future.ends_at < math.inf else None,
            "retries": 0,
        }
        if future.task is not None and kinds is not None:
            route, function, payload = future.task
            route = route._replace(task_group_id=None)  # of this process; the next has its own
            stored |= {
                "retries": policy.retries - len(future.task_ids),
                "retry_on": kinds,
                "route": route._asdict(),
                "function_id": function.function_id,
                "payload": payload,
            }
        return json.dumps(stored)

    def resumed(self, entry: Entry[AnyFuture]) -> RetryingFuture[Any] | None:
        """Return a future for a task of the journal that keeps its time limit and retries.

        It is None for a task without a policy.
        """
        if entry.request is None:
            return None
        stored = json.loads(entry.request)
        retries, timeout = stored["retries"], stored["timeout"]
        kinds = tuple(getattr(errors, name) for name in stored.get("retry_on", ()))
        policy = RetryPolicy(timeout, retries, (kinds or None) if retries else None)
        task = None
        if retries:
            serializers = tuple(stored["route"].pop("result_serializers"))
            again = Route(**stored["route"], result_serializers=serializers)
            task = (again, Function(function_id=entry.function_id), stored["payload"])
        future: RetryingFuture[Any] = RetryingFuture(policy, task, self)
        if stored["ends_at"] is not None:
            future.ends_at = stored["ends_at"]
        future.task_id = entry.task_id
        self.submitted(future)
        return future

    def finished(self, future: RetryingFuture[Any]) -> None:
        """Let go of the arguments of a task that is done: its future may live for long."""
        future.task = None

    def pause(self, future: RetryingFuture[Any], delay: float, error: BaseException) -> None:
        """Submit a task again after ``delay`` seconds."""
        _log.info(
            "The task %s ended in %s; it is submitted again in %.1f s (%d. of %d retries).",
            future.task_ids[-1] or "whose submit is uncertain",
            type(error).__name__,
            delay,
            len(future.task_ids),
            future.policy.retries,
            extra={"task_id": future.task_ids[-1]},
        )
        if self._context.journal is not None:
            self._context.journal.retry(future, self.request_of(future))
        self._pauses.set(future, self.loop.time() + delay)

    def _submit_again(self, future: RetryingFuture[Any]) -> None:
        if future.task is None or future.done():  # in another thread, just now
            return
        route, function, payload = future.task
        if self._context.sealed:
            future.fail(ExecutorClosed(SHUT_DOWN))
            return
        group = route.task_group_id or self._context.groups.created_id
        try:
            self._context.count("retried")
            self._submitter.enqueue(
                route._replace(task_group_id=group), Submission(future, function, payload)
            )
        except Exception as error:  # a mistake of ours must not leave the future open forever
            failure = FuncXError(f"The task could not be submitted again: {error!r}")
            failure.__cause__ = error
            future.fail(failure)

    def _end(self, future: RetryingFuture[Any]) -> None:
        """Fail a future whose time is over, and let go of its result."""
        task_id, timeout = future.task_id, future.policy.timeout or 0.0
        sent = future.sent
        if task_id in future.task_ids:  # that of the attempt before
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
        failed = future.fail(TaskTimedOut(message, timeout=timeout, task_id=task_id))
        if failed and sent and task_id:
            self._context.streams.forget(task_id, future)


def _names_of(retry_on: RetryOn) -> list[str] | None:
    """Return the names of error classes, none for the default; None if they cannot be stored."""
    if retry_on is None:
        return []
    kinds = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    names = [getattr(kind, "__name__", "") for kind in kinds]
    known = [getattr(errors, name, None) for name in names]
    return names if known == list(kinds) else None


class DeadlineTimer(Generic[F]):
    """Calls on futures when their time has come: one timer of the loop for all of them.

    A future that is done is forgotten.

    Args:
        loop: the loop that it calls on.
        call: is called with each future whose time has come.

    Attributes:
        loop: as given.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[F], object]) -> None:
        self.loop = loop
        self._call = call
        self._deadlines: Deadlines[F] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, future: F, due: float) -> None:
        """Call on ``future`` at ``due``, on the loop's clock; from any thread."""
        if running_loop() is self.loop:
            self._set(future, due)
        else:
            with suppress(RuntimeError):  # closed just now: the future fails with its executor
                self.loop.call_soon_threadsafe(self._set, future, due)

    def finished(self, future: F) -> None:
        """Forget a future that is done."""
        self._deadlines.discard(future)
        if not self._deadlines and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, future: F, due: float) -> None:
        self._deadlines.add(future, due)
        future.watch(self)
        self._wind()

    def _wind(self) -> None:
        """Set the timer for the first future that is due, unless it goes off before."""
        due = self._deadlines.next
        if due is None or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._go_off)

    def _go_off(self) -> None:
        self._timer = None
        now = self.loop.time()
        try:
            for _ in range(MAX_CALLS):
                for future in self._deadlines.due(now, 1):  # so that no error loses the others
                    self._call_on(future)
        finally:
            self._wind()

    def _call_on(self, future: F) -> None:
        future.unwatch(self)
        try:
            self._call(future)
        except Exception:  # it must not keep the others from their time
            _log.exception("the time of %r has come, and handling that failed", future)
