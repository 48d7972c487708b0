"""What became of tasks, for clients that come back and ask.

A task is known here by its id alone. While it is open its future is held, as the executor does
anyway. Once it has ended, what there is to answer is kept as JSON, within a limit of bytes for all
together: the oldest make room. A task that is not known here, since another process submitted it
or its answer made room, is asked of the service.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from funcx_async._futures.future import FuncXFuture
from funcx_async._service.outcomes import outcome_of, value_of
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

PATIENCE: Final = 30.0
"""Seconds that a request waits until the service has taken its task."""

KEEP_BYTES: Final = 64 * 1024 * 1024
"""So large are the answers that are kept, all together."""

ASK_EVERY: Final = 2.0
"""Seconds between two questions to the service about tasks of others that somebody watches."""

BESIDE: Final = 350
"""Bytes of memory that an answer takes beside its document, measured on CPython 3.11."""

SHARE: Final = 0.25
"""The part of the budget of requests that these questions may use up."""

_log = logging.getLogger(__name__)

News = asyncio.Queue[TaskView]


class TaskBoard:
    """What became of the tasks of one executor; see the module.

    In routes it is there as :data:`FuncXTasks`.

    Args:
        executor: whose tasks they are.
        keep_bytes: how large the answers for tasks that have ended may be, all together.

    Attributes:
        executor: whose tasks they are.

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
        self._watchers: dict[str, set[News]] = {}
        self._asking = False
        self._ask_at = 0.0

    def __repr__(self) -> str:
        return f"<TaskBoard {len(self._open)} open, {len(self._kept)} kept>"

    async def accepted(self, future: FuncXFuture[Any], *, patience: float = PATIENCE) -> str:
        """Wait until the service has taken a task, never for its result, and show it here.

        Args:
            future: the task.
            patience: seconds to wait while the service takes none; by then whoever asked for the
                task has gone.

        Returns:
            The task id, by which it can be asked for.

        Raises:
            ServiceUnavailable: if it was not sent by then; it is not sent any more.
            SubmitUncertain: if it was sent, and the service has not answered by then.
            FuncXError: why it was not taken.
        """
        limit = asyncio.timeout(patience)
        try:
            async with limit:
                task_id = await future.submitted()
        except TimeoutError:
            if not limit.expired():  # it is the task's own, from options(timeout=...)
                raise
            if future.cancel():
                raise ServiceUnavailable(
                    f"The funcX service has taken no task for {patience:g} s. This one was not "
                    "sent: try again later."
                ) from None
            raise SubmitUncertain(
                f"The funcX service has not answered for {patience:g} s. Nobody can know yet "
                "whether it takes this task: sent again it may run twice."
            ) from None
        self._open[task_id] = future
        # Where it is tried again the task has another id in the end; clients know this one.
        future.add_done_callback(partial(self._settled, task_id))
        return task_id

    async def look(self, task_id: str) -> TaskView:
        """Give what is known of a task; the service is asked only about what is not known here.

        Raises:
            NotFound: if nobody knows it.
            FuncXError: what keeps the service from answering.
        """
        view = self._here(task_id)
        if view is not None:
            return view
        try:
            status = await self.executor.funcx_client.get_task(task_id)
        except FuncXError as error:
            error.task_id = task_id
            raise
        return self._told(status)

    async def watch(self, task_ids: Collection[str]) -> AsyncGenerator[TaskView, None]:
        """Give what is known of each task, and then each again when it has ended.

        Whoever stops watching leaves the tasks alone.

        Args:
            task_ids: the tasks; the iteration ends when all of them have ended.

        Raises:
            FuncXError: what keeps the service from answering, at the beginning; later that is
                waited out. A task that nobody knows is a failed one here, by :class:`NotFound`.
        """
        open_ids = dict.fromkeys(task_ids)
        with self._subscribed(open_ids) as news:
            for view in await self._look_at_all(list(open_ids)):
                if view.done and view.task_id in open_ids:
                    del open_ids[view.task_id]
                    self._unsubscribe(view.task_id, news)
                yield view
            while open_ids:
                view = await self._next(news, foreign=not open_ids.keys() <= self._open.keys())
                if view.done and view.task_id in open_ids:
                    del open_ids[view.task_id]
                    yield view

    # Watching -----------------------------------------------------------------------------------

    @contextmanager
    def _subscribed(self, task_ids: Collection[str]) -> Iterator[News]:
        """A queue that gets the last word on each of these tasks.

        Before it may come that a task is pending: nobody here awaits it any more.
        """
        news: News = asyncio.Queue()
        chosen = tuple(task_ids)
        for task_id in chosen:
            self._watchers.setdefault(task_id, set()).add(news)
        try:
            yield news
        finally:
            for task_id in chosen:
                self._unsubscribe(task_id, news)

    def _unsubscribe(self, task_id: str, news: News) -> None:
        watchers = self._watchers.get(task_id, set())
        watchers.discard(news)
        if not watchers:
            self._watchers.pop(task_id, None)

    async def _next(self, news: News, *, foreign: bool) -> TaskView:
        """Wait for news; for those of tasks of others somebody has to ask, and one for all does."""
        while True:
            try:
                async with asyncio.timeout(ASK_EVERY if foreign else None):
                    return await news.get()
            except TimeoutError:
                await self._ask()

    async def _ask(self) -> None:
        """Ask for all tasks of others that anybody watches, unless somebody does so just now."""
        now = asyncio.get_running_loop().time
        if self._asking or now() < self._ask_at:
            return
        self._asking = True
        try:
            await self.executor.funcx_client.within_budget(SHARE)
            foreign = [task_id for task_id in self._watchers if self._here(task_id) is None]
            await self._ask_for(foreign)
        except FuncXError as error:
            _log.warning("Tasks of other processes cannot be looked at just now: %s", error)
        finally:
            self._asking = False
            self._ask_at = now() + ASK_EVERY / 2

    async def _look_at_all(self, task_ids: Sequence[str]) -> list[TaskView]:
        here = [view for task_id in task_ids if (view := self._here(task_id)) is not None]
        known = {view.task_id for view in here}
        return here + await self._ask_for([each for each in task_ids if each not in known])

    async def _ask_for(self, task_ids: Sequence[str]) -> list[TaskView]:
        if not task_ids:
            return []
        statuses = await self.executor.funcx_client.get_batch_status(task_ids)
        return [self._told(status) for status in statuses.values()]

    # What is known ------------------------------------------------------------------------------

    def _here(self, task_id: str) -> TaskView | None:
        if task_id in self._open:
            return TaskView.pending(task_id)
        return self._kept.get(task_id)

    def _told(self, status: TaskStatus) -> TaskView:
        """What the service says of a task."""
        outcome = outcome_of(status)
        if outcome is None:
            return TaskView.pending(status.task_id)
        try:
            value = value_of(outcome, self.executor.serializer.deserialize)
        except (
            ResultExpired
        ):  # not kept: clients could fill the memory with ids of their own making
            view = TaskView.failed(status.task_id, _unknown(status))
            self._tell(view)
            return view
        except FuncXError as error:
            view = TaskView.failed(status.task_id, error)
        else:
            view = TaskView.success(status.task_id, value)
        self._end(view)
        return view

    def _settled(self, task_id: str, future: FuncXFuture[Any]) -> None:
        self._open.pop(task_id, None)
        if future.cancelled():  # given up by reload_tasks: the service has the last word
            self._tell(TaskView.pending(task_id))  # and is to be asked for it from now on
            return
        error = future.exception()
        if error is None:
            view = TaskView.success(task_id, future.result())
        else:
            view = TaskView.failed(task_id, error)
        self._end(view)

    def _end(self, view: TaskView) -> None:
        """Keep the last word on a task, and tell all who watch it."""
        self._keep(view)
        self._tell(view)

    def _tell(self, view: TaskView) -> None:
        for news in self._watchers.get(view.task_id, ()):
            news.put_nowait(view)
        if view.done:  # else the service would be asked again for what was not kept
            self._watchers.pop(view.task_id, None)

    def _keep(self, view: TaskView) -> None:
        self._forget(view.task_id)
        if _size(view) > self._keep_bytes:  # all others would have to make room
            return
        self._kept[view.task_id] = view
        self._kept_bytes += _size(view)
        while self._kept_bytes > self._keep_bytes:
            self._forget(next(iter(self._kept)))

    def _forget(self, task_id: str) -> None:
        view = self._kept.pop(task_id, None)
        if view is not None:
            self._kept_bytes -= _size(view)


def _size(view: TaskView) -> int:
    return len(view.document) + BESIDE


def _unknown(status: TaskStatus) -> NotFound:
    return NotFound(
        f"The service does not know the task {status.task_id} ({status.reason}): check the id. If "
        "it was a task once, its result is lost, and it has to be submitted again.",
        status=404,
        task_id=status.task_id,
    )
