"""Keeping one consumer on the result queue of a task group, and acknowledging what is done with.

It connects while results are wanted, again after each loss, without end; each time by a fresh
opening of the source. What a connection did not acknowledge, its successor delivers again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NoReturn, TypeAlias

from funcx_async._core.acks import AckLedger
from funcx_async._core.backoff import Backoff
from funcx_async._net.cancellation import is_cancelled
from funcx_async._results.members import Members
from funcx_async._results.source import Deliveries, ResultSource, SourceLost
from funcx_async.errors import FuncXError
from funcx_async.events import EventKind
from funcx_async.models import Delivery

AT_ONCE = 16
"""So many deliveries are taken between two looks at the clock."""

TURN = 0.005
"""Seconds for which deliveries are taken before other coroutines get their turn."""

RECEIPT_TURNS = 4
"""So many turns of the loop an answer takes from the socket through httpx to its receipt."""

TRIES_BEFORE_POLLING = 3
"""So often in a row the queue cannot be reached before the service is asked instead."""

PATIENCE = 3.0
"""Seconds without the queue until the service is asked instead, though no try has failed yet:
packets that are dropped on the way make a try as long as its time limit."""

ACK_PAUSE = 0.01
"""Seconds from one acknowledgement to the next: each costs as much as settling a dozen results, and
the prefetch is good for more deliveries than a client settles in this time."""

Tag: TypeAlias = tuple[AckLedger, int]
"""Names a delivery: the ledger of its channel, and its number there."""

_log = logging.getLogger("funcx_async.results")


class Consumer:
    """See the module.

    Args:
        task_group_id: whose results.
        members: the executors that share them, and connect in turn.
        take: is called with deliveries and the ledger that they are in, in which their own tags
            name them.
        reconnected: is called when deliveries come again after a loss.
        unreachable: is called when the queue cannot be reached, some time after a loss.
        awaits_receipts: gives whether submits are on the wire.
        patience: seconds without the queue that count as several failures to reach it.
    """

    def __init__(
        self,
        task_group_id: str,
        members: Members,
        *,
        take: Callable[[Sequence[Delivery], AckLedger], None],
        reconnected: Callable[[], None],
        unreachable: Callable[[], None],
        awaits_receipts: Callable[[], bool] = lambda: False,
        patience: float = PATIENCE,
    ) -> None:
        self.task_group_id = task_group_id
        self._ids = {"task_group_id": task_group_id}
        self._members = members
        self._take = take
        self._reconnected = reconnected
        self._unreachable = unreachable
        self._awaits_receipts = awaits_receipts
        self._patience = patience
        self._out_of_patience: asyncio.TimerHandle | None = None
        self._backoff = Backoff()
        self._failures = 0
        self._given_up = False
        self._parted = False
        self._wanted = asyncio.Event()
        self._deliveries: Deliveries | None = None
        self._ledger = AckLedger()
        self._acks_due = asyncio.Event()
        self._flushing = asyncio.Lock()
        self.connected = asyncio.Event()
        self.last_redelivery = float("-inf")

    @property
    def reachable(self) -> bool:
        """Whether results can be expected from the queue, or from nowhere else."""
        return not (self._given_up and self._members.asks_instead)

    @property
    def nothing_to_come(self) -> bool:
        """Whether the queue is read, or is not going to be: nothing lies in it unread."""
        return self.connected.is_set() or not self._members.connects

    def want(self, *, wanted: bool) -> None:
        """Say whether any result is awaited: without, a lost connection is not made again."""
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()

    def part(self) -> None:
        """Take nothing more; what is done with can still be acknowledged."""
        self._parted = True

    def done_with(self, tag: Tag) -> None:
        """Have a delivery acknowledged; harmless if its channel is gone."""
        ledger, number = tag
        ledger.settled(number)
        self._acks_due.set()

    def all_done_with(self, ledger: AckLedger, numbers: Sequence[int]) -> None:
        """Have deliveries of one channel acknowledged; harmless if it is gone."""
        ledger.settled(*numbers)
        self._acks_due.set()

    async def consume_for_ever(self) -> NoReturn:
        """Connect, take deliveries, and connect again."""
        try:
            while True:
                await self._wanted.wait()
                self._be_patient()
                reason = await self._consume_once(self._members.next_source())
                self._lost(reason)
                await asyncio.sleep(self._backoff.next_delay(random.random()))  # noqa: S311 - no secret
        finally:
            self._patience_over()

    async def _consume_once(self, source: ResultSource | None) -> str:
        """Take deliveries from one connection until its end, and say what ended it."""
        if source is None:
            self._give_up("that was chosen", logging.INFO)
            return "they are only asked for, by choice"
        try:
            await self._consume(source)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return "something underneath was cancelled"
        except (SourceLost, FuncXError) as error:
            return str(error)
        except Exception as error:  # a slip of ours: it connects again
            _log.exception(
                "reading results of the task group %s", self.task_group_id, extra=self._ids
            )
            return type(error).__name__

    async def acknowledge_for_ever(self) -> NoReturn:
        """Send acknowledgements as they fall due, in bulk."""
        while True:
            await self._acks_due.wait()
            await self.flush()
            await asyncio.sleep(ACK_PAUSE)

    async def flush(self) -> None:
        """Send the acknowledgements that are due."""
        self._acks_due.clear()
        if self._deliveries is None:
            return
        try:
            async with self._flushing:  # acknowledgements go in the order in which they fall due
                await self._deliveries.acknowledge(self._ledger.due())
        except SourceLost as error:  # whoever reads deliveries hears of it too
            _log.debug("acknowledging: %s", error, extra=self._ids)
        except Exception:  # likewise: they come again
            _log.exception(
                "acknowledging results of the task group %s", self.task_group_id, extra=self._ids
            )

    async def _consume(self, source: ResultSource) -> NoReturn:
        async with source.open(self.task_group_id) as deliveries:
            self._found(deliveries)
            while True:
                burst = await deliveries.next_burst()
                await self._give_way_to_receipts()
                turn_ends = perf_counter() + TURN
                for start in range(0, len(burst), AT_ONCE):
                    self._take_some(burst[start : start + AT_ONCE])
                    if perf_counter() > turn_ends:
                        await asyncio.sleep(0)
                        turn_ends = perf_counter() + TURN
                await asyncio.sleep(0)

    async def _give_way_to_receipts(self) -> None:
        """Let answers that are here be read: results that overtake theirs cost twice the work."""
        for _ in range(RECEIPT_TURNS):
            if not self._awaits_receipts():
                return
            await asyncio.sleep(0)

    def _take_some(self, deliveries: Sequence[Delivery]) -> None:
        if self._parted:
            return
        self._ledger.delivered(*[delivery.tag for delivery in deliveries])
        if any([delivery.redelivered for delivery in deliveries]):  # noqa: C419 - a list is faster
            self.last_redelivery = asyncio.get_running_loop().time()
        self._take(deliveries, self._ledger)

    def _found(self, deliveries: Deliveries) -> None:
        self._deliveries, self._ledger = deliveries, AckLedger()
        self._backoff.succeeded()
        self._patience_over()
        self.connected.set()
        self._members.note(EventKind.CONNECTED, "")
        if self._failures or self._given_up:
            self._failures, self._given_up = 0, False
            self.last_redelivery = asyncio.get_running_loop().time()
            _log.info(
                "results of the task group %s come again", self.task_group_id, extra=self._ids
            )
            self._reconnected()

    def _lost(self, reason: str) -> None:
        self._deliveries = None
        self.connected.clear()
        self._failures += 1
        if self._failures == 1 and not self._given_up:
            self._members.note(EventKind.DISCONNECTED, reason)
        level = logging.INFO if self._failures == 1 else logging.DEBUG
        _log.log(
            level,
            "no results of the task group %s come: %s",
            self.task_group_id,
            reason,
            extra=self._ids,
        )
        if self._failures >= TRIES_BEFORE_POLLING:
            self._give_up(reason)

    def _be_patient(self) -> None:
        """Wait for the queue as long as is reasonable, however long one try may take."""
        if self._out_of_patience is None and not self._given_up:
            self._out_of_patience = asyncio.get_running_loop().call_later(
                self._patience, self._give_up, "it does not answer"
            )

    def _patience_over(self) -> None:
        if self._out_of_patience is not None:
            self._out_of_patience.cancel()
            self._out_of_patience = None

    def _give_up(self, reason: str, level: int = logging.WARNING) -> None:
        """Have the service asked until the queue is found."""
        self._patience_over()
        if self._given_up:
            return
        self._given_up = True
        instead = (
            "results are asked for over REST instead, which is slower, and the queue is tried "
            "again meanwhile"
            if self._members.asks_instead
            else "it is tried again; by choice results come by the queue alone"
        )
        _log.log(
            level,
            "the result queue of the task group %s cannot be reached (%s): %s",
            self.task_group_id,
            reason,
            instead,
            extra=self._ids,
        )
        if self._members.asks_instead:
            self._members.note(EventKind.POLLING, reason)
            self._unreachable()
