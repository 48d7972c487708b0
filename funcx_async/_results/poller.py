"""Polling the service for what the queue did not bring.

Looked up over REST: tasks whose result came without data; all that is open after a reconnect, once
redelivery has gone quiet; all that is open, often, while the queue cannot be reached; and what has
been open for long, now and then. The oldest first.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from funcx_async._core.backoff import Backoff
from funcx_async._core.matcher import Matcher
from funcx_async._net.cancellation import is_cancelled
from funcx_async._results.consumer import Consumer
from funcx_async._results.settler import AnyFuture, Settler
from funcx_async._results.subscribers import Subscriber, Subscribers
from funcx_async._service.outcomes import EXPIRED, outcome_of
from funcx_async._service.rest import budget_share
from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError
from funcx_async.models import Result, TaskStatus

FIRST_POLL_INTERVAL = 0.25
MAX_POLL_INTERVAL = 2.0
"""Seconds between two polls of all open tasks while the queue cannot be reached: from the first to
the last, as long as no result comes of it."""

QUIET = 1.0
"""Seconds without a redelivery after a reconnect, before what is still open is looked up."""

MIN_CHUNK = 16
MAX_CHUNK = 1_024
SMALL_ANSWER = 500_000
LARGE_ANSWER = 4_000_000
"""Characters of results in one answer: below the one chunks double, above the other they halve."""

BUDGET_SHARE = 0.25
"""The part of the request budget that polling may use up; submits come first."""

ABSENCES_BEFORE_LOST = 5
"""An answer may leave a task out for a moment; so often in a row the service does not know it."""

_log = logging.getLogger("funcx_async.results")


class Lookup:
    """Looks up tasks over REST, in chunks that suit the size of the answers."""

    def __init__(self) -> None:
        self._chunk = 128
        self._kept: dict[str, Result] = {}
        self._left_out: Counter[str] = Counter()

    @property
    def keeps_some(self) -> bool:
        """Whether results are kept that a service would not give again."""
        return bool(self._kept)

    async def all_finished(
        self, client: FuncXClient, task_ids: Sequence[str], *, unknown_is_lost: bool
    ) -> list[Result]:
        """Query ``task_ids``, and return the results that are there, all or none.

        What was read before the service failed is kept for the next attempt: a classic service
        would not give it again.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        results = [self._kept.pop(task_id) for task_id in task_ids if task_id in self._kept]
        try:
            known = {result.task_id for result in results}
            others = [task_id for task_id in task_ids if task_id not in known]
            async for some in self.finished(client, others, unknown_is_lost=unknown_is_lost):
                results += some
        except BaseException:  # cancelled as well: it is not told twice
            if client.dialect.reading_consumes:
                self._kept.update((result.task_id, result) for result in results)
            raise
        return results

    async def finished(
        self, client: FuncXClient, task_ids: Sequence[str], *, unknown_is_lost: bool = True
    ) -> AsyncIterator[list[Result]]:
        """Query ``task_ids`` in order, and yield the results of each chunk that are there.

        Args:
            client: asks the service.
            task_ids: the tasks.
            unknown_is_lost: whether a task that the service does not know is lost, or its result
                may still come by another way.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        begin = 0
        while begin < len(task_ids):
            chunk = task_ids[begin : begin + self._chunk]
            begin += len(chunk)
            with budget_share(BUDGET_SHARE):
                statuses = await client.get_batch_status(chunk)
            results = [
                result
                for task_id in chunk
                if (result := self._outcome(task_id, statuses.get(task_id))) is not None
                and (unknown_is_lost or result.error_code != EXPIRED)
            ]
            self._adapt(sum(len(result.data or "") for result in results))
            yield results

    def _outcome(self, task_id: str, status: TaskStatus | None) -> Result | None:
        if status is not None:
            self._left_out.pop(task_id, None)
            return outcome_of(status)
        self._left_out[task_id] += 1
        if self._left_out[task_id] < ABSENCES_BEFORE_LOST:
            return None
        return Result(task_id, "its answers leave the task out", EXPIRED)

    def _adapt(self, size: int) -> None:
        if size > LARGE_ANSWER:
            self._chunk = max(MIN_CHUNK, self._chunk // 2)
        elif size < SMALL_ANSWER:
            self._chunk = min(MAX_CHUNK, self._chunk * 2)


class Poller:
    """Decides when the open tasks of one task group are looked up, and settles those that ended.

    Args:
        task_group_id: whose tasks.
        subscribers: the executors whose tasks are looked up, each in its own interval.
        matcher: has the open tasks.
        settler: receives results, and says what is to be looked up.
        consumer: of the queue that this makes up for.
    """

    def __init__(
        self,
        task_group_id: str,
        subscribers: Subscribers,
        matcher: Matcher[AnyFuture],
        settler: Settler,
        consumer: Consumer,
    ) -> None:
        self._subscribers = subscribers
        self._matcher = matcher
        self._settler = settler
        self._lookups = settler.lookups
        self._consumer = consumer
        self._lookup = Lookup()
        self._pace = Backoff(first=FIRST_POLL_INTERVAL, longest=MAX_POLL_INTERVAL)
        self._ids = {"task_group_id": task_group_id}
        self._rest: asyncio.Timeout | None = None
        self._next_sweeps: dict[Subscriber, float] = {}

    @property
    def keeps_some(self) -> bool:
        """Whether results are kept that a service would not give again."""
        return self._lookup.keeps_some

    def opened(self) -> None:
        """Poll open tasks soon if results are polled, for there are new ones."""
        if self._consumer.reachable:
            return
        self._pace.succeeded()
        soon = asyncio.get_running_loop().time() + FIRST_POLL_INTERVAL
        if self._rest is not None and not self._rest.expired():
            self._rest.reschedule(min(soon, self._rest.when() or soon))

    async def ask(self, client: FuncXClient, task_ids: Sequence[str]) -> list[Result]:
        """Query these tasks now, and return the results that are there.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        consumes = client.dialect.reading_consumes
        results = await self._lookup.all_finished(client, task_ids, unknown_is_lost=not consumes)
        if consumes:  # what is not there may be in the queue; if it is not, it is lost
            self._lookups.look_up_open()
        return results

    async def poll_forever(self) -> NoReturn:
        """Query what is due, whenever something is."""
        while True:
            await self._until_due()
            all_open = self._lookups.all_open
            try:
                if await self._settle(self._tasks_due()):
                    self._pace.succeeded()
                continue
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                _log.info("looking up open tasks was cancelled underneath", extra=self._ids)
            except FuncXError as error:
                ids = {**self._ids, "request_id": error.request_id}
                _log.info("open tasks cannot be looked up now: %s", error, extra=ids)
            except Exception:  # a bug of ours: it looks again later
                _log.exception("looking up open tasks", extra=self._ids)
            if all_open:
                self._lookups.look_up_open()
            await asyncio.sleep(self._pace.next_delay(0.5))

    async def _settle(self, task_ids: Sequence[str]) -> int:
        """Query tasks, settle those that are done, and return how many that were."""
        done = 0
        client = self._subscribers.client
        # A result that was read already is with its reader, or, if that answer was lost, only in
        # the queue. When it is asked for over REST all that the queue had has come.
        to_come = self._settler.reads_some or not self._consumer.nothing_to_come
        lost = not (client.dialect.reading_consumes and to_come)
        try:
            async for results in self._lookup.finished(client, task_ids, unknown_is_lost=lost):
                self._settler.receive(results)
                done += len(results)
        except FuncXError:
            self._subscribers.rotate()
            raise
        return done

    async def _until_due(self) -> None:
        hurry = self._lookups.fetches or not self._consumer.reachable
        interval = min((each.reconcile_interval for each in self._subscribers), default=math.inf)
        if hurry:
            interval = min(interval, self._pace.next_delay(0.5))
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout(interval) as self._rest:
                    await self._lookups.due.wait()
            finally:
                self._rest = None
        self._lookups.due.clear()
        if self._lookups.all_open:
            await self._until_quiet()

    async def _until_quiet(self) -> None:
        """Let the broker deliver again what it has, which costs nothing, before asking."""
        clock = asyncio.get_running_loop()
        rest = QUIET
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self._consumer.last_redelivery + QUIET - clock.time()

    def _tasks_due(self) -> list[str]:
        due = dict.fromkeys(self._lookups.fetches)
        now = asyncio.get_running_loop().time()
        everything = self._lookups.all_open or not self._consumer.reachable
        self._lookups.all_open = False
        youngest = self._begin_sweeps(now, everything=everything)
        if not youngest:
            return list(due)
        youngest_of_all = max(youngest.values())
        all_owners = everything or len(self._subscribers) == 1
        for task_id, futures in self._matcher.open_tasks():
            if (futures[0].accepted_at or 0) > youngest_of_all:
                break
            if all_owners or any(_is_due(future, youngest) for future in futures):
                due[task_id] = None
        return list(due)

    def _begin_sweeps(self, now: float, *, everything: bool) -> dict[Subscriber, float]:
        """Return whose tasks are to be looked up now, and how young they may be."""
        before, self._next_sweeps = self._next_sweeps, {}
        youngest: dict[Subscriber, float] = {}
        for subscriber in self._subscribers:
            interval = subscriber.reconcile_interval
            self._next_sweeps[subscriber] = before.get(subscriber, 0.0)
            if everything or now >= self._next_sweeps[subscriber]:
                self._next_sweeps[subscriber] = now + interval
                youngest[subscriber] = now if everything else now - interval
        return youngest


def _is_due(future: AnyFuture, youngest: Mapping[Subscriber, float]) -> bool:
    accepted_at = future.accepted_at or 0
    return any(
        accepted_at <= limit and future.belongs_to(subscriber.owner)
        for subscriber, limit in youngest.items()
    )
