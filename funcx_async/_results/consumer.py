"""Keeping one consumer on the result queue of a task group.

It connects while results are awaited, again after each loss, without end; each time by a fresh
opening of the source.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from time import perf_counter
from typing import NoReturn

from funcx_async._core.backoff import Backoff
from funcx_async._core.matcher import Matcher
from funcx_async._net.cancellation import is_cancelled
from funcx_async._results.acks import Acknowledger
from funcx_async._results.settler import AnyFuture, Settler
from funcx_async._results.source import Deliveries, ResultSource, SourceLost
from funcx_async._results.subscribers import Subscribers
from funcx_async.errors import FuncXError
from funcx_async.events import EventKind
from funcx_async.models import Delivery

DELIVERIES_PER_CLOCK_CHECK = 16
"""So many deliveries are taken between two looks at the clock."""

MAX_TURN = 0.005
"""Seconds for which deliveries are taken before other coroutines get their turn."""

RECEIPT_TURNS = 4
"""So many turns of the loop an answer takes from the socket through httpx to its receipt."""

FAILURES_BEFORE_POLLING = 3
"""So often in a row connecting to the queue fails before results are polled instead."""

POLLING_DELAY = 3.0
"""Seconds without the queue until results are polled instead, though no attempt has failed yet:
where packets are dropped on the way, an attempt takes as long as its timeout."""

_log = logging.getLogger("funcx_async.results")


class Consumer:
    """Takes the deliveries of one task group from its queue.

    Args:
        task_group_id: whose results.
        subscribers: the executors that share them, and connect in turn.
        matcher: tells whether results are awaited.
        settler: takes the deliveries.
        acks: acknowledges them.
        polling_delay: seconds without the queue until results are polled.

    Attributes:
        connected: whether deliveries come from the queue.
        last_redelivery: when something was delivered again, on the loop's clock.
    """

    def __init__(
        self,
        task_group_id: str,
        subscribers: Subscribers,
        matcher: Matcher[AnyFuture],
        settler: Settler,
        acks: Acknowledger,
        *,
        polling_delay: float = POLLING_DELAY,
    ) -> None:
        self._task_group_id = task_group_id
        self._ids = {"task_group_id": task_group_id}
        self._subscribers = subscribers
        self._matcher = matcher
        self._settler = settler
        self._acks = acks
        self._polling_delay = polling_delay
        self._polling_timer: asyncio.TimerHandle | None = None
        self._backoff = Backoff()
        self._failures = 0
        self._given_up = False
        self._stopped = False
        self._wanted = asyncio.Event()
        self.connected = asyncio.Event()
        self.last_redelivery = float("-inf")

    @property
    def reachable(self) -> bool:
        """Whether results can be expected from the queue, or from nowhere else."""
        return not (self._given_up and self._subscribers.poll_instead)

    @property
    def nothing_to_come(self) -> bool:
        """Whether the queue is read, or is not going to be: nothing lies in it unread."""
        return self.connected.is_set() or not self._subscribers.connects

    def want(self) -> None:
        """Connect, for a result is awaited; a lost connection is not made again without one."""
        self._wanted.set()

    def stop_taking(self) -> None:
        """Take nothing more; what is done with can still be acknowledged."""
        self._stopped = True

    async def consume_forever(self) -> NoReturn:
        """Connect, take deliveries, and connect again."""
        try:
            while True:
                await self._until_wanted()
                self._start_polling_timer()
                reason = await self._consume_once(self._subscribers.next_source())
                self._lost(reason)
                await asyncio.sleep(self._backoff.next_delay(random.random()))  # noqa: S311 - no secret
        finally:
            self._stop_polling_timer()

    async def _until_wanted(self) -> None:
        while not len(self._matcher):
            self._wanted.clear()
            await self._wanted.wait()

    async def _consume_once(self, source: ResultSource | None) -> str:
        """Take deliveries from one connection until its end, and return what ended it."""
        if source is None:
            self._give_up("polling was chosen", logging.INFO)
            return "results are polled by choice"
        try:
            await self._consume(source)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return "something underneath was cancelled"
        except (SourceLost, FuncXError) as error:
            return str(error)
        except Exception as error:  # a bug of ours: it connects again
            _log.exception(
                "reading results of the task group %s", self._task_group_id, extra=self._ids
            )
            return type(error).__name__

    async def _consume(self, source: ResultSource) -> NoReturn:
        async with source.open(self._task_group_id) as deliveries:
            self._found(deliveries)
            while True:
                burst = await deliveries.next_burst()
                await self._give_way_to_receipts()
                turn_ends = perf_counter() + MAX_TURN
                for start in range(0, len(burst), DELIVERIES_PER_CLOCK_CHECK):
                    self._take(burst[start : start + DELIVERIES_PER_CLOCK_CHECK])
                    if perf_counter() > turn_ends:
                        await asyncio.sleep(0)
                        turn_ends = perf_counter() + MAX_TURN
                await asyncio.sleep(0)

    async def _give_way_to_receipts(self) -> None:
        """Let answers that are here be read: results that overtake theirs cost twice the work."""
        for _ in range(RECEIPT_TURNS):
            if not self._matcher.unanswered:
                return
            await asyncio.sleep(0)

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        if self._stopped:
            return
        ledger = self._acks.ledger
        ledger.delivered(*[delivery.tag for delivery in deliveries])
        if any([delivery.redelivered for delivery in deliveries]):  # noqa: C419 - a list is faster
            self.last_redelivery = asyncio.get_running_loop().time()
        self._settler.take(deliveries, ledger)

    def _found(self, deliveries: Deliveries) -> None:
        self._acks.connected(deliveries)
        self._backoff.succeeded()
        self._stop_polling_timer()
        self.connected.set()
        self._subscribers.note(EventKind.CONNECTED)
        if self._failures or self._given_up:
            # After the warning that the queue cannot be reached, say that it can be again.
            level = logging.WARNING if self._given_up else logging.INFO
            self._failures, self._given_up = 0, False
            self.last_redelivery = asyncio.get_running_loop().time()
            _log.log(
                level,
                "results of the task group %s come again",
                self._task_group_id,
                extra=self._ids,
            )
            self._subscribers.count("reconnects")
            self._settler.lookups.look_up_open()

    def _lost(self, reason: str) -> None:
        self._acks.disconnected()
        self.connected.clear()
        self._failures += 1
        if self._failures == 1 and not self._given_up:
            self._subscribers.note(EventKind.DISCONNECTED, reason)
        level = logging.INFO if self._failures == 1 else logging.DEBUG
        _log.log(
            level,
            "no results of the task group %s come: %s",
            self._task_group_id,
            reason,
            extra=self._ids,
        )
        if self._failures >= FAILURES_BEFORE_POLLING:
            self._give_up(reason)

    def _start_polling_timer(self) -> None:
        """Stop waiting for the queue after some seconds, however long one attempt takes."""
        if self._polling_timer is None and not self._given_up:
            self._polling_timer = asyncio.get_running_loop().call_later(
                self._polling_delay, self._give_up, "it does not answer"
            )

    def _stop_polling_timer(self) -> None:
        if self._polling_timer is not None:
            self._polling_timer.cancel()
            self._polling_timer = None

    def _give_up(self, reason: str, level: int = logging.WARNING) -> None:
        """Poll results until the queue is found."""
        self._stop_polling_timer()
        if self._given_up:
            return
        self._given_up = True
        instead = (
            "results are polled over REST instead, which is slower; connecting to the queue is "
            "retried meanwhile"
            if self._subscribers.poll_instead
            else "connecting is retried; result_transport='amqp' rules out polling"
        )
        _log.log(
            level,
            "the result queue of the task group %s cannot be reached (%s): %s",
            self._task_group_id,
            reason,
            instead,
            extra=self._ids,
        )
        if self._subscribers.poll_instead:
            self._subscribers.note(EventKind.POLLING, reason)
            self._settler.lookups.look_up_open()
