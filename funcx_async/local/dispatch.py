"""From a submit to a worker, and from a worker to the result queue."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from funcx_async.errors import last_error
from funcx_async.local.history import History
from funcx_async.local.injection import Switches
from funcx_async.local.outcomes import Notice, read_outcome, without_details
from funcx_async.local.publisher import Publisher
from funcx_async.local.store import NO_OPTIONS, Job, Store, Task, TaskOptions
from funcx_async.local.web.answers import Refusal
from funcx_async.local.workers.pool import Pool

logger = logging.getLogger(__name__)

CATCH_UP: Final = 5.0
"""Seconds at most that no task begins because results pile up."""
WAITING_FOR_ENDPOINT: Final = "waiting-for-ep"
"""How far a task is whose endpoint is offline."""
DOCUMENTS_AT_ONCE: Final = 256
"""Documents made before other coroutines have their turn."""
FORGET_EVERY: Final = 60.0
"""Seconds between two looks for results that are too old."""


class Runner(Protocol):
    """What runs the tasks of an endpoint: worker processes, or an agent elsewhere."""

    def add(self, jobs: Iterable[Job]) -> None:
        """Run tasks; each outcome goes to :meth:`Dispatch.settled`."""

    def station(self, task_id: str) -> str:
        """Return the status of an open task, as the service reports it."""
        ...


class Dispatch:
    """Takes tasks, has them run, and sends their results out.

    Attributes:
        history: what happened lately.
    """

    def __init__(self, store: Store, publisher: Publisher, switches: Switches) -> None:
        self.history = History()
        self._store = store
        self._publisher = publisher
        self._switches = switches
        self._queued: set[str] = set()
        self._pool: Pool | None = None
        self._runners: dict[str, Runner] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._catching_up: asyncio.Task[None] | None = None

    def attach(self, endpoint_id: str, runner: Runner) -> None:
        """Run an endpoint's tasks there from now on."""
        self._runners[endpoint_id] = runner

    def detach(self, endpoint_id: str) -> None:
        """Let an endpoint's tasks wait."""
        self._runners.pop(endpoint_id, None)

    async def start(self, pool: Pool) -> None:
        """Begin, with what an earlier service on the same database left unfinished."""
        self._pool = pool
        for group_id in self._store.queued_task_groups():
            await self._publisher.declare(group_id)
            self._queued.add(group_id)
        for endpoint_id, jobs in self._store.open_jobs().items():
            self.history.resumed(len(jobs))
            if endpoint_id in self._runners:
                self._runners[endpoint_id].add(jobs)
        self._forget_old()

    def close(self) -> None:
        """Stop looking for old results and for consumers that are slow."""
        if self._timer is not None:
            self._timer.cancel()
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _forget_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(FORGET_EVERY, self._forget_old)
        try:
            self._store.forget_old()
        except sqlite3.Error as error:
            logger.error("Old results cannot be deleted; this is retried: %s", error)

    async def take(
        self,
        tasks: Mapping[str, Sequence[str]],
        *,
        endpoint_id: str,
        group_id: str | None,
        create_queue: bool,
        result_serializers: Sequence[str],
        options: TaskOptions = NO_OPTIONS,
    ) -> tuple[str, dict[str, list[str]]]:
        """Accept tasks, all or none; return the task group and the ids by function.

        Raises:
            Refusal: the group is unknown, or its queue cannot be made.
        """
        if group_id is None:
            group_id = self._store.add_task_group(queued=False)
        elif self._store.is_queued(group_id) is None:
            msg = f"task group {group_id} is unknown; leave it out to have one made"
            raise Refusal("TASK_GROUP_NOT_FOUND", msg, error_args=[group_id])
        if create_queue:
            await self._give_queue(group_id)
        flat = [(function, payload) for function, some in tasks.items() for payload in some]
        ids = self._store.add_tasks(
            flat,
            group_id=group_id,
            endpoint_id=endpoint_id,
            result_serializers=result_serializers,
            options=options,
        )
        batch = self.history.taken(group_id, endpoint_id, tuple(tasks), len(flat))
        taken: dict[str, list[str]] = {function: [] for function in tasks}
        jobs = []
        for task_id, (function, _) in zip(ids, flat, strict=True):
            taken[function].append(task_id)
            jobs.append(Job(task_id, group_id, function, options=options.options, batch=batch))
        self._begin(endpoint_id, jobs)
        return group_id, taken

    async def take_classic(
        self, tasks: Mapping[str, Sequence[tuple[str, str]]], *, group_id: str, create_queue: bool
    ) -> dict[str, list[str]]:
        """Accept tasks of the classic dialect, in a group that the client made.

        Args:
            tasks: for each endpoint, function id and payload of each task.
            group_id: the group, which may be new.
            create_queue: whether the group gets a result queue.

        Returns:
            The task ids of each endpoint, in order.

        Raises:
            Refusal: the group's queue cannot be made.
        """
        if self._store.is_queued(group_id) is None:
            self._store.add_task_group(queued=False, group_id=group_id)
        if create_queue:
            await self._give_queue(group_id)
        with self._store.transaction():
            taken = {
                endpoint_id: self._store.add_tasks(
                    some, group_id=group_id, endpoint_id=endpoint_id, classic=True
                )
                for endpoint_id, some in tasks.items()
            }
        for endpoint_id, some in tasks.items():
            functions = tuple(dict.fromkeys(function for function, _ in some))
            batch = self.history.taken(group_id, endpoint_id, functions, len(some))
            jobs = [
                Job(task_id, group_id, function, classic=True, batch=batch)
                for task_id, (function, _) in zip(taken[endpoint_id], some, strict=True)
            ]
            self._begin(endpoint_id, jobs)
        return taken

    async def _give_queue(self, group_id: str) -> None:
        await self._publisher.declare(group_id)
        if group_id not in self._queued:
            self._queued.add(group_id)
            self._store.give_queue(group_id)

    def _begin(self, endpoint_id: str, jobs: Sequence[Job]) -> None:
        self._switches.counter.add("accepted", len(jobs))
        if endpoint_id in self._runners:
            self._runners[endpoint_id].add(jobs)

    def settled(self, job: Job, message: bytes, failed: bool) -> None:
        """Keep a task's result, and send it out if its group has a queue."""
        settled_at = self._store.settle(job.task_id, message, failed=failed)
        if settled_at is None:
            return
        self.history.settled(job.batch, settled_at, failed=failed)
        if failed:
            error = last_error(read_outcome(message).data)
            self.history.failure(job.task_id, job.function_id, settled_at, error)
        if job.group_id in self._queued:
            body = without_details(message) if job.classic else message
            notice = Notice(job.group_id, body, int(settled_at))
            self.publish(self._switches.outgoing(notice))
            if self._publisher.crowded and self._catching_up is None:
                self._catching_up = asyncio.create_task(
                    self._let_consumers_catch_up(), name="funcx:catching-up"
                )
        self._switches.counter.add("executed")

    async def _let_consumers_catch_up(self) -> None:
        """Begin no tasks while results pile up, but not for long: their consumer may be gone."""
        if self._pool is None:
            return
        self._pool.pause()
        try:
            async with asyncio.timeout(CATCH_UP):
                await self._publisher.room()
        except TimeoutError:
            logger.info("Results pile up: nobody consumes them, or too slowly")
        finally:
            self._catching_up = None
            if not self._switches.offline:
                self._pool.resume()

    def publish(self, notices: Iterable[Notice]) -> None:
        """Publish messages to their queues."""
        for notice in notices:
            self._publisher.publish(notice)
            self._switches.counter.add("published")

    @property
    def queued_groups(self) -> list[str]:
        """The ids of the groups that a result queue was made for."""
        return list(self._queued)

    async def delete_queues(self) -> None:
        """Delete every result queue; the next submit that asks for one makes it again."""
        for group_id in self.queued_groups:
            await self._publisher.delete(group_id)

    async def documents(self, task_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what the service says of these tasks; those unknown have a reason instead.

        The results of classic tasks are given out once, and the tasks are unknown afterwards.
        """
        documents: dict[str, dict[str, Any]] = {}
        for number, task_id in enumerate(task_ids, 1):
            if number % DOCUMENTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # others have their turn
            task = self._store.task(task_id)
            documents[task_id] = (
                {"task_id": task_id, "status": "Failed", "reason": "Unknown task id"}
                if task is None
                else self._document(task)
            )
            if task is not None and task.classic and task.message is not None:
                self._store.hand_out(task_id)
        return documents

    def _station(self, task: Task) -> str:
        runner = self._runners.get(task.endpoint_id)
        if runner is None:
            return WAITING_FOR_ENDPOINT
        station = runner.station(task.id)
        if runner is self._pool and self._switches.offline and station != "running":
            return WAITING_FOR_ENDPOINT
        return station

    def _document(self, task: Task) -> dict[str, Any]:
        document: dict[str, Any] = {"task_id": task.id}
        if task.message is None:
            document["status"] = self._station(task)
            return document
        outcome = read_outcome(task.message)
        document["status"] = "failed" if task.failed else "success"
        document["exception" if task.failed else "result"] = outcome.data
        document["completion_t"] = str(task.settled_at)
        document["details"] = {**outcome.details, "task_transitions": outcome.transitions}
        return document
