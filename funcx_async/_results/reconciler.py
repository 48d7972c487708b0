"""Asking the service for what the queue did not bring.

Looked up over REST: tasks whose result came without data; all that is open after a reconnect, once
redelivery has gone quiet; all that is open, often, while there is no queue to be had; and what has
been open for long, now and then. The oldest first.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from funcx_async._core.backoff import Backoff
from funcx_async._futures.future import FuncXFuture
from funcx_async._net.cancellation import is_cancelled
from funcx_async._results.consumer import Consumer, Tag
from funcx_async._results.member import Member
from funcx_async._results.members import Members
from funcx_async.errors import FuncXError

POLL_FIRST = 0.25
POLL_INTERVAL = 2.0
"""Seconds between two looks at all open tasks while the queue cannot be reached: from the first to
the last, as long as nothing comes of it."""

QUIET = 1.0
"""Seconds without a redelivery after a reconnect, before what is still open is looked up."""

_log = logging.getLogger("funcx_async.results")


class Reconciler:
    """See the module.

    Args:
        consumer: whose queue this makes up for.
        members: the executors whose tasks are looked up, each in its own interval.
        open_tasks: gives task ids with the futures that await them, the oldest first.
        look_up: asks for tasks, settles those that are done, and gives how many that were.
    """

    def __init__(
        self,
        consumer: Consumer,
        members: Members,
        *,
        open_tasks: Callable[[], Iterable[tuple[str, Sequence[FuncXFuture[Any]]]]],
        look_up: Callable[[list[str]], Awaitable[int]],
    ) -> None:
        self._consumer = consumer
        self._members = members
        self._open_tasks = open_tasks
        self._look_up = look_up
        self._pace = Backoff(first=POLL_FIRST, longest=POLL_INTERVAL)
        self._ids = {"task_group_id": consumer.task_group_id}
        self._rest: asyncio.Timeout | None = None
        self._due = asyncio.Event()
        self._missed = False
        self._to_fetch: dict[str, Tag | None] = {}
        self._next_sweeps: dict[Member, float] = {}

    def missed(self) -> None:
        """Have all open tasks looked up: results may have been lost."""
        self._missed = True
        self._due.set()

    def opened(self) -> None:
        """Note that tasks were opened: where the service is asked, look soon."""
        if self._consumer.reachable:
            return
        self._pace.succeeded()
        soon = asyncio.get_running_loop().time() + POLL_FIRST
        if self._rest is not None and not self._rest.expired():
            self._rest.reschedule(min(soon, self._rest.when() or soon))

    def joined(self) -> None:
        """Note that an executor has joined, which may want its tasks looked up sooner."""
        self._due.set()

    def fetch(self, task_id: str, tag: Tag | None) -> Tag | None:
        """Have the result of a task looked up soon; its delivery, if any, waits for that.

        Returns:
            An earlier delivery, which need not wait any more.
        """
        before = self._to_fetch.get(task_id)
        self._to_fetch[task_id] = tag
        self._due.set()
        return before

    @property
    def fetches(self) -> Collection[str]:
        """The tasks whose results are to be looked up, at any time."""
        return self._to_fetch.keys()

    def fetched(self, task_id: str) -> Tag | None:
        """Note that a task is settled, and give the delivery that waited for it."""
        return self._to_fetch.pop(task_id, None)

    async def reconcile_for_ever(self) -> NoReturn:
        """Look up what is due, whenever something is."""
        while True:
            await self._until_due()
            missed = self._missed
            try:
                if await self._look_up(self._tasks_due()):
                    self._pace.succeeded()
                continue
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                _log.info("looking up open tasks was cancelled underneath", extra=self._ids)
            except FuncXError as error:
                ids = {**self._ids, "request_id": error.request_id}
                _log.info("open tasks cannot be looked up now: %s", error, extra=ids)
            except Exception:  # a slip of ours: it looks again later
                _log.exception("looking up open tasks", extra=self._ids)
            if missed:
                self.missed()
            await asyncio.sleep(self._pace.next_delay(0.5))

    async def _until_due(self) -> None:
        hurry = self._to_fetch or not self._consumer.reachable
        interval = min((each.reconcile_interval for each in self._members), default=math.inf)
        if hurry:
            interval = min(interval, self._pace.next_delay(0.5))
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout(interval) as self._rest:
                    await self._due.wait()
            finally:
                self._rest = None
        self._due.clear()
        if self._missed:
            await self._until_quiet()

    async def _until_quiet(self) -> None:
        """Let the broker deliver again what it has, which costs nothing, before asking."""
        clock = asyncio.get_running_loop()
        rest = QUIET
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self._consumer.last_redelivery + QUIET - clock.time()

    def _tasks_due(self) -> list[str]:
        due = dict.fromkeys(self._to_fetch)
        now = asyncio.get_running_loop().time()
        everything = self._missed or not self._consumer.reachable
        self._missed = False
        youngest = self._begin_sweeps(now, everything=everything)
        if not youngest:
            return list(due)
        youngest_of_all = max(youngest.values())
        whosever = everything or len(self._members) == 1
        for task_id, futures in self._open_tasks():
            if (futures[0].accepted_at or 0) > youngest_of_all:
                break
            if whosever or any(_is_due(future, youngest) for future in futures):
                due[task_id] = None
        return list(due)

    def _begin_sweeps(self, now: float, *, everything: bool) -> dict[Member, float]:
        """Say of whom tasks are to be looked up now, and how young they may be."""
        before, self._next_sweeps = self._next_sweeps, {}
        youngest: dict[Member, float] = {}
        for member in self._members:
            interval = member.reconcile_interval
            self._next_sweeps[member] = before.get(member, 0.0)
            if everything or now >= self._next_sweeps[member]:
                self._next_sweeps[member] = now + interval
                youngest[member] = now if everything else now - interval
        return youngest


def _is_due(future: FuncXFuture[Any], youngest: Mapping[Member, float]) -> bool:
    accepted_at = future.accepted_at or 0
    return any(
        accepted_at <= limit and future.belongs_to(member) for member, limit in youngest.items()
    )
