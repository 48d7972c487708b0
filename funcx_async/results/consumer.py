"""Keeping one consumer on the result queue of a task group, and acknowledging what is done with.

It connects while results are wanted, again after each loss, without end; each time by a fresh
opening of the source. What a connection did not acknowledge, its successor delivers again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import NoReturn, TypeAlias

from funcx_async.cancellation import is_cancelled
from funcx_async.core.acks import AckLedger
from funcx_async.core.backoff import Backoff
from funcx_async.errors import FuncXError
from funcx_async.events import EventKind
from funcx_async.models import Delivery
from funcx_async.results.source import Deliveries, ResultSource, SourceLost

BURST = 200
"""So many deliveries are taken before other coroutines get their turn."""

TRIES_BEFORE_POLLING = 3
"""So often in a row the queue cannot be reached before the service is asked instead."""

Tag: TypeAlias = tuple[AckLedger, int]
"""Names a delivery: the ledger of its channel, and its number there."""

_log = logging.getLogger(__name__)


def _nobody(kind: EventKind, reason: str) -> None:
    """Tell nobody."""


class Consumer:
    """See the module.

    Args:
        task_group_id: whose results.
        source: gives what to connect with; None where results shall only be asked for.
        take: is called with each delivery and its tag.
        reconnected: is called when deliveries come again after a loss.
        unreachable: is called when the queue cannot be reached, some time after a loss.
        note: is told what happens, and why.
    """

    def __init__(
        self,
        task_group_id: str,
        *,
        source: Callable[[], ResultSource | None],
        take: Callable[[Delivery, Tag], None],
        reconnected: Callable[[], None],
        unreachable: Callable[[], None],
        note: Callable[[EventKind, str], None] = _nobody,
    ) -> None:
        self.task_group_id = task_group_id
        self._source = source
        self._take = take
        self._reconnected = reconnected
        self._unreachable = unreachable
        self._note = note
        self._backoff = Backoff()
        self._failures = 0
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
        """Whether results can be expected from the queue."""
        return self._failures < TRIES_BEFORE_POLLING

    @property
    def nothing_to_come(self) -> bool:
        """Whether the queue is read, or is never to be: nothing lies in it unread."""
        return self.connected.is_set() or self._source() is None

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

    async def consume_for_ever(self) -> NoReturn:
        """Connect, take deliveries, and connect again."""
        while True:
            await self._wanted.wait()
            source = self._source()
            try:
                if source is None:
                    self._failures = max(self._failures, TRIES_BEFORE_POLLING - 1)
                    raise SourceLost("results are only asked for, by choice")
                await self._consume(source)
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                reason = "something underneath was cancelled"
            except (SourceLost, FuncXError) as error:
                reason = str(error)
            except Exception as error:
                _log.exception("reading results of the task group %s", self.task_group_id)
                reason = type(error).__name__
            self._lost(reason, by_choice=source is None)
            await asyncio.sleep(self._backoff.next_delay(random.random()))  # noqa: S311 - no secret

    async def acknowledge_for_ever(self) -> NoReturn:
        """Send acknowledgements as they fall due, in bulk."""
        while True:
            await self._acks_due.wait()
            await self.flush()

    async def flush(self) -> None:
        """Send the acknowledgements that are due."""
        self._acks_due.clear()
        if self._deliveries is None:
            return
        try:
            async with self._flushing:  # acknowledgements go in the order in which they fall due
                await self._deliveries.acknowledge(self._ledger.due())
        except SourceLost as error:  # whoever reads deliveries hears of it too
            _log.debug("acknowledging: %s", error)
        except Exception:
            _log.exception("acknowledging results of the task group %s", self.task_group_id)

    async def _consume(self, source: ResultSource) -> NoReturn:
        async with source.open(self.task_group_id) as deliveries:
            self._found(deliveries)
            while True:
                burst = await deliveries.next_burst()
                for begin in range(0, len(burst), BURST):
                    for delivery in burst[begin : begin + BURST]:
                        self._take_one(delivery)
                    await asyncio.sleep(0)

    def _take_one(self, delivery: Delivery) -> None:
        if self._parted:
            return
        self._ledger.delivered(delivery.tag)
        if delivery.redelivered:
            self.last_redelivery = asyncio.get_running_loop().time()
        self._take(delivery, (self._ledger, delivery.tag))

    def _found(self, deliveries: Deliveries) -> None:
        self._deliveries, self._ledger = deliveries, AckLedger()
        self._backoff.succeeded()
        self.connected.set()
        self._note(EventKind.CONNECTED, "")
        if self._failures:
            self._failures = 0
            self.last_redelivery = asyncio.get_running_loop().time()
            _log.info("results of the task group %s come again", self.task_group_id)
            self._reconnected()

    def _lost(self, reason: str, *, by_choice: bool) -> None:
        self._deliveries = None
        self.connected.clear()
        self._failures += 1
        if self._failures == 1 and not by_choice:
            self._note(EventKind.DISCONNECTED, reason)
        level = logging.INFO if self._failures == 1 else logging.DEBUG
        _log.log(level, "no results of the task group %s come: %s", self.task_group_id, reason)
        if self._failures == TRIES_BEFORE_POLLING:
            _log.log(
                logging.INFO if by_choice else logging.WARNING,
                "the result queue of the task group %s cannot be reached (%s): results are asked "
                "for over REST instead, which is slower, and the queue is tried again meanwhile",
                self.task_group_id,
                reason,
            )
            self._note(EventKind.POLLING, reason)
            self._unreachable()
