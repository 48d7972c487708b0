"""The states of tasks, for clients that poll or follow them.

While a task is open the board holds its future. When it has finished the board keeps its JSON, up
to a limit of bytes for all tasks; the oldest are evicted. The board fetches other tasks from the
service: those that another process submitted, and those that were evicted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final

from funcx_async._futures.future import FuncXFuture
from funcx_async._service.outcomes import outcome_of, value_of
from funcx_async._service.rest import budget_share
from funcx_async.errors import (
    FuncXError,
    NotFound,
    ResultExpired,
    ServiceUnavailable,
    SubmitUncertain,
)
from funcx_async.executor.executor import FuncXExecutor
from funcx_async.fastapi.answers import TaskView
from funcx_async.models import TaskStatus

SUBMIT_TIMEOUT: Final = 30.0
"""Seconds to wait until the service has accepted a task."""

KEEP_BYTES: Final = 64 * 1024 * 1024
"""Memory for the results of finished tasks, in bytes."""

POLL_INTERVAL: Final = 2.0
"""Seconds between two polls for watched tasks that other processes submitted."""

ENTRY_OVERHEAD: Final = 350
"""Bytes of memory of an entry besides its document, measured on CPython 3.11."""

BUDGET_SHARE: Final = 0.25
"""The share of the request budget that lookups of other processes' tasks may use."""

LOOKUP_BATCH: Final = 1_024
"""Tasks that one lookup request names."""

MAX_LOOKUPS: Final = 4_096
"""Tasks that may wait for a lookup; clients that ask for more get 503."""

LOOKUP_RETRY_AFTER: Final = 10.0
"""Seconds after which such a client may retry."""

_log = logging.getLogger(__name__)

Subscription = asyncio.Queue[TaskView]


class TaskBoard:
    """The states and results of the tasks of one executor.

    Routes receive it as :data:`FuncXTasks`.

    Args:
        executor: the executor.
        keep_bytes: memory for the results of finished tasks, in bytes. The oldest are evicted, and
            fetched from the service on demand.

    Attributes:
        executor: the executor.

    Example::

        @app.post("/simulations", status_code=202)
        async def simulate(steps: int, executor: FuncX, tasks: FuncXTasks) -> dict[str, str]:
            return {"task_id": await tasks.accepted(executor.submit(simulation, steps))}
    """

    def __init__(self, executor: FuncXExecutor, *, keep_bytes: int = KEEP_BYTES) -> None:
        self.executor = executor
        self._keep_bytes = keep_bytes
        self._kept_bytes = 0
        self._kept: OrderedDict[str, TaskView] = OrderedDict()
        self._open: dict[str, FuncXFuture[Any]] = {}
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._polling = False
        self._next_poll = 0.0
        self._lookups: dict[str, asyncio.Future[TaskView | FuncXError]] = {}
        self._lookup_job: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<TaskBoard {len(self._open)} open, {len(self._kept)} kept>"

    async def accepted(self, future: FuncXFuture[Any], *, timeout: float = SUBMIT_TIMEOUT) -> str:
        """Wait until the service has accepted a task, and add it to the board.

        This never waits for the result.

        Args:
            future: the future of the task.
            timeout: seconds to wait.

        Returns:
            The id of the task.

        Raises:
            ServiceUnavailable: if the task was not sent in time; it is cancelled.
            SubmitUncertain: if it was sent but the service did not respond in time.
            FuncXError: if the submit failed.
        """
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                task_id = await future.submitted()
        except TimeoutError:
            if not limit.expired():  # the task's own, from options(timeout=...)
                raise
            if future.cancel():
                raise ServiceUnavailable(
                    f"The funcX service accepted no task for {timeout:g} s. This one was not sent. "
                    "Try again later."
                ) from None
            raise SubmitUncertain(
                f"The funcX service did not respond within {timeout:g} s. It may still run this "
                "task: if you submit it again, it may run twice."
            ) from None
        self._open[task_id] = future
        # A retried task has another id in the end; clients know this one.
        future.add_done_callback(partial(self._settled, task_id))
        return task_id

    async def get(self, task_id: str) -> TaskView:
        """Return the state of a task; fetch it from the service if the board does not have it.

        Args:
            task_id: the id of the task.

        Lookups use at most a quarter of the request budget, and many tasks share one request, so
        that invented ids cannot keep tasks from being submitted.

        Raises:
            NotFound: if the service does not know the task either.
            ServiceUnavailable: if the service cannot be reached, or too many tasks wait for a
                lookup.
            FuncXError: if the lookup failed in another way.
        """
        view = self._known(task_id)
        if view is not None:
            return view
        (found,) = await self._fetch([task_id])
        if isinstance(found, NotFound):
            raise found
        return found

    async def watch(self, task_ids: Collection[str]) -> AsyncGenerator[TaskView, None]:
        """Yield the state of each task, and again when it finishes.

        The iteration ends when all tasks have finished. Leaving it earlier does not affect them.

        Args:
            task_ids: the ids of the tasks. An unknown task is yielded as failed with
                :class:`NotFound`.

        Raises:
            FuncXError: if the service cannot be reached at the beginning. Later failures are
                retried.
        """
        open_ids = dict.fromkeys(task_ids)
        with self._subscribed(open_ids) as updates:
            for view in await self._get_all(list(open_ids)):
                if view.done and view.task_id in open_ids:
                    del open_ids[view.task_id]
                    self._unsubscribe(view.task_id, updates)
                yield view
            while open_ids:
                view = await self._next(updates, foreign=not open_ids.keys() <= self._open.keys())
                if view.done and view.task_id in open_ids:
                    del open_ids[view.task_id]
                    yield view

    # Watching -----------------------------------------------------------------------------------

    @contextmanager
    def _subscribed(self, task_ids: Collection[str]) -> Iterator[Subscription]:
        """Yield a queue that receives the final state of each task.

        A pending state may come before it, if the executor has given the future up.
        """
        updates: Subscription = asyncio.Queue()
        chosen = tuple(task_ids)
        for task_id in chosen:
            self._subscriptions.setdefault(task_id, set()).add(updates)
        try:
            yield updates
        finally:
            for task_id in chosen:
                self._unsubscribe(task_id, updates)

    def _unsubscribe(self, task_id: str, updates: Subscription) -> None:
        subscriptions = self._subscriptions.get(task_id, set())
        subscriptions.discard(updates)
        if not subscriptions:
            self._subscriptions.pop(task_id, None)

    async def _next(self, updates: Subscription, *, foreign: bool) -> TaskView:
        """Wait for an update; tasks of other processes are polled, by one watcher for all."""
        while True:
            try:
                async with asyncio.timeout(POLL_INTERVAL if foreign else None):
                    return await updates.get()
            except TimeoutError:
                await self._poll()

    async def _poll(self) -> None:
        """Poll all watched tasks of other processes, unless another watcher does so already."""
        now = asyncio.get_running_loop().time
        if self._polling or now() < self._next_poll:
            return
        self._polling = True
        try:
            foreign = [task_id for task_id in self._subscriptions if self._known(task_id) is None]
            for begin in range(0, len(foreign), LOOKUP_BATCH):
                await self._fetch(foreign[begin : begin + LOOKUP_BATCH])
        except FuncXError as error:
            _log.warning("Cannot poll tasks of other processes, will retry: %s", error)
        finally:
            self._polling = False
            self._next_poll = now() + POLL_INTERVAL / 2

    async def _get_all(self, task_ids: Sequence[str]) -> list[TaskView]:
        views = [view for task_id in task_ids if (view := self._known(task_id)) is not None]
        known = {view.task_id for view in views}
        foreign = [task_id for task_id in task_ids if task_id not in known]
        for task_id, found in zip(foreign, await self._fetch(foreign), strict=True):
            views.append(found if isinstance(found, TaskView) else TaskView.failed(task_id, found))
        return views

    # Lookups ------------------------------------------------------------------------------------

    async def _fetch(self, task_ids: Sequence[str]) -> list[TaskView | NotFound]:
        """Fetch the states of tasks from the service; concurrent calls share their requests.

        Raises:
            FuncXError: if a request fails.
        """
        loop = asyncio.get_running_loop()
        new = [task_id for task_id in task_ids if task_id not in self._lookups]
        if new and len(self._lookups) + len(new) > MAX_LOOKUPS:
            raise ServiceUnavailable(
                f"{len(self._lookups):,} tasks of other processes wait to be looked up. Try again "
                "later.",
                retry_after=LOOKUP_RETRY_AFTER,
            )
        self._lookups |= {task_id: loop.create_future() for task_id in new}
        futures = [self._lookups[task_id] for task_id in task_ids]
        if futures:
            if self._lookup_job is None or self._lookup_job.done():
                self._lookup_job = loop.create_task(self._look_up(), name="funcx:lookups")
            await asyncio.wait(futures)  # unlike gather it leaves them alone when cancelled
        found: list[TaskView | NotFound] = []
        for future in futures:
            each = future.result()
            if isinstance(each, FuncXError) and not isinstance(each, NotFound):
                raise each
            found.append(each)
        return found

    async def _look_up(self) -> None:
        """Look up the waiting tasks in batches, at the rate that the budget permits."""
        client = self.executor.funcx_client
        while self._lookups:
            batch: list[str] = []
            try:
                await client.within_budget(BUDGET_SHARE)  # meanwhile the batch grows
                batch = list(islice(self._lookups, LOOKUP_BATCH))
                with budget_share(BUDGET_SHARE):
                    statuses = await client.get_batch_status(batch)
            except FuncXError as error:
                found: dict[str, TaskView | FuncXError] = dict.fromkeys(batch, error)
            except BaseException:
                for future in self._lookups.values():
                    future.cancel()
                self._lookups.clear()
                raise
            else:
                found = {task_id: self._found(statuses.get(task_id), task_id) for task_id in batch}
            for task_id, each in found.items():
                future = self._lookups.pop(task_id)
                if not future.done():
                    future.set_result(each)

    # States -------------------------------------------------------------------------------------

    def _known(self, task_id: str) -> TaskView | None:
        if task_id in self._open:
            return TaskView.pending(task_id)
        return self._kept.get(task_id)

    def _found(self, status: TaskStatus | None, task_id: str) -> TaskView | NotFound:
        """Return the state that the service reports, and keep it if it is final."""
        outcome = None if status is None else outcome_of(status)
        if status is None or outcome is None:
            return TaskView.pending(task_id)
        try:
            value = value_of(outcome, self.executor.serializer.deserialize)
        except ResultExpired:  # not kept: clients could fill the memory with invented ids
            unknown = _unknown(status)
            self._publish(TaskView.failed(status.task_id, unknown))
            return unknown
        except FuncXError as error:
            view = TaskView.failed(status.task_id, error)
        else:
            view = TaskView.success(status.task_id, value)
        self._finish(view)
        return view

    def _settled(self, task_id: str, future: FuncXFuture[Any]) -> None:
        self._open.pop(task_id, None)
        if future.cancelled():  # given up by reload_tasks: poll the service for it
            self._publish(TaskView.pending(task_id))
            return
        error = future.exception()
        if error is None:
            view = TaskView.success(task_id, future.result())
        else:
            view = TaskView.failed(task_id, error)
        self._finish(view)

    def _finish(self, view: TaskView) -> None:
        """Keep the final state of a task and send it to its watchers."""
        self._keep(view)
        self._publish(view)

    def _publish(self, view: TaskView) -> None:
        for updates in self._subscriptions.get(view.task_id, ()):
            updates.put_nowait(view)
        if view.done:  # else a state that was not kept would be polled again
            self._subscriptions.pop(view.task_id, None)

    def _keep(self, view: TaskView) -> None:
        self._evict(view.task_id)
        if _size(view) > self._keep_bytes:  # it would evict all others
            return
        self._kept[view.task_id] = view
        self._kept_bytes += _size(view)
        while self._kept_bytes > self._keep_bytes:
            self._evict(next(iter(self._kept)))

    def _evict(self, task_id: str) -> None:
        view = self._kept.pop(task_id, None)
        if view is not None:
            self._kept_bytes -= _size(view)


def _size(view: TaskView) -> int:
    return len(view.document) + ENTRY_OVERHEAD


def _unknown(status: TaskStatus) -> NotFound:
    return NotFound(
        f"The service does not know the task {status.task_id} ({status.reason}). Check the id. If "
        "the task existed, its result has been deleted: submit it again.",
        status=404,
        task_id=status.task_id,
    )
