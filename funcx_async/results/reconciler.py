"""Asking the service for what the queue did not bring.

Looked up over REST: tasks whose result came without data; all that is open after a reconnect, once
redelivery has gone quiet; all that is open, often, while there is no queue to be had; and what has
been open for long, now and then. The oldest first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from typing import NoReturn, Protocol

from funcx_async.cancellation import is_cancelled
from funcx_async.core.backoff import Backoff
from funcx_async.errors import FuncXError
from funcx_async.results.consumer import Consumer, Tag

POLL_FIRST = 0.25
POLL_INTERVAL = 2.0
"""Seconds between two looks at all open tasks while the queue cannot be reached: from the first to
the last, as long as nothing comes of it."""

QUIET = 1.0
"""Seconds without a redelivery after a reconnect, before what is still open is looked up."""

_log = logging.getLogger(__name__)


class Aged(Protocol):
    """What an open task is known by here."""

    accepted_at: float | None


class Reconciler:
    """See the module.

    Args:
        consumer: whose queue this makes up for.
        interval: gives the seconds after which an open task is looked up.
        open_tasks: gives task ids with their tickets, the oldest first.
        look_up: asks for tasks, settles those that are done, and gives how many that were.
    """

    def __init__(
        self,
        consumer: Consumer,
        *,
        interval: Callable[[], float],
        open_tasks: Callable[[], Iterable[tuple[str, Aged]]],
        look_up: Callable[[list[str]], Awaitable[int]],
    ) -> None:
        self._consumer = consumer
        self._interval = interval
        self._open_tasks = open_tasks
        self._look_up = look_up
        self._pace = Backoff(first=POLL_FIRST, longest=POLL_INTERVAL)
        self._ids = {"task_group_id": consumer.task_group_id}
        self._rest: asyncio.Timeout | None = None
        self._due = asyncio.Event()
        self._missed = False
        self._to_fetch: dict[str, Tag | None] = {}
        self._next_sweep = 0.0

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
        interval = min(self._interval(), self._pace.next_delay(0.5)) if hurry else self._interval()
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
        if not everything and now < self._next_sweep:
            return list(due)
        self._next_sweep = now + self._interval()
        youngest = now if everything else now - self._interval()
        for task_id, task in self._open_tasks():
            if (task.accepted_at or 0) > youngest:
                break
            due[task_id] = None
        return list(due)
