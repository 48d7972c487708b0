"""From results to futures, by whatever way the results of one task group come.

Deliveries and looked-up results meet submit receipts in the matcher; a delivery is acknowledged
after its future is settled and, where there is a journal, its result is on disk. The future does
not wait for the disk: what is not acknowledged comes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeAlias, cast

from funcx_async._core.acks import AckLedger
from funcx_async._core.matcher import Matcher
from funcx_async._core.matches import Duplicate, Event, Fetch, Noted, Orphaned, Settled
from funcx_async._futures.future import FuncXFuture
from funcx_async._results.aside import Aside
from funcx_async._results.consumer import Consumer, Tag
from funcx_async._results.members import Members
from funcx_async._results.outcome import decoded, settle, spelled, takes_long
from funcx_async._results.readings import Readings
from funcx_async._results.reconciler import Reconciler
from funcx_async._service.messages import MalformedMessage
from funcx_async.models import Delivery, Result
from funcx_async.serialize.payloads import LARGE

AnyFuture: TypeAlias = FuncXFuture[Any]

SUSPICIOUS_ORPHANS = 100
"""After so many results of unknown tasks another process must be sharing the group."""

_log = logging.getLogger("funcx_async.results")


class Settler:
    """Settles the futures that await the results of one task group.

    Args:
        task_group_id: whose results.
        members: the executors that share them.
        matcher: which future a result belongs to.
        consumer: of the queue; acknowledges deliveries, and reads while results are wanted.
        reconciler: looks up what the queue did not bring.

    Attributes:
        orphans: how many results of unknown tasks came.
    """

    def __init__(
        self,
        task_group_id: str,
        members: Members,
        matcher: Matcher[AnyFuture],
        consumer: Consumer,
        reconciler: Reconciler,
    ) -> None:
        self._task_group_id = task_group_id
        self._members = members
        self._matcher = matcher
        self._consumer = consumer
        self._reconciler = reconciler
        self._aside = Aside()
        self._readings = Readings(self._aside, self._done_with, self._was_read)
        self.orphans = 0
        self._complaints: set[str] = set()

    @property
    def reads_some(self) -> bool:
        """Whether large results are being read."""
        return len(self._aside) > 0

    async def read_for_ever(self) -> NoReturn:
        """Read large results, off the loop."""
        await self._aside.work_for_ever()

    def do(self, events: Iterable[Event[AnyFuture]]) -> None:
        """Do what the matcher has decided."""
        for event in events:
            if isinstance(event, Settled):
                self._settle(event)
            else:
                self._do_without_result(event)
        self.want()

    def want(self) -> None:
        """Have the queue read as long as any result is awaited."""
        self._consumer.want(wanted=len(self._matcher) > 0)

    def receive(self, results: Iterable[Result]) -> None:
        """Settle what awaits these results, which were looked up."""
        for result in results:
            self.do(self._received(result))

    def drop_fetch(self, task_id: str) -> None:
        """Let go of the delivery of a result without data that nobody awaits any more."""
        self._done_with(self._reconciler.fetched(task_id))

    def take(self, deliveries: Sequence[Delivery], ledger: AckLedger) -> None:
        """Take deliveries; most bring the result of an open task, which has a short way."""
        done: list[int] = []
        others: list[tuple[Result | MalformedMessage, Tag]] = []
        fetches, journaled = self._reconciler.fetches, self._members.journaled
        here = asyncio.get_running_loop()
        for delivery in deliveries:
            if len(delivery.body) >= LARGE:
                self._take_apart(delivery, (ledger, delivery.tag))
                continue
            outcome = decoded(delivery)
            if isinstance(outcome, Result) and not journaled:
                future = self._matcher.settle(outcome)
                if future is not None:
                    settle(future, outcome, here)
                    done.append(delivery.tag)
                    if fetches:
                        self._settled(outcome.task_id)
                    continue
            others.append((outcome, (ledger, delivery.tag)))
        self._consumer.all_done_with(ledger, done)
        if others or not len(self._matcher):
            self._take_decoded(others)

    def _take_apart(self, delivery: Delivery, tag: Tag) -> None:
        self._aside.do(lambda: partial(self._take_decoded, [(decoded(delivery), tag)]))

    def _take_decoded(self, outcomes: Iterable[tuple[Result | MalformedMessage, Tag]]) -> None:
        events: list[Event[AnyFuture]] = []
        for delivered, tag in outcomes:
            outcome = spelled(delivered)
            if isinstance(outcome, Result):
                events += self._received(outcome, tag)
            else:
                self._complain(outcome)
                self._consumer.done_with(tag)
        self.do(events)

    def _received(self, result: Result, tag: Tag | None = None) -> list[Event[AnyFuture]]:
        """Note a result; gives what is to be done now."""
        task_id = result.task_id
        if self._members.journaled:
            journals = self._members.journals
            unattended = journals.unattended(task_id) and not self._matcher.awaits(task_id)
            journals.receive(result)
            if unattended:
                self._done_with(tag)
                return []
        return self._matcher.received(result, tag)

    def _settle(self, event: Settled[AnyFuture]) -> None:
        result = event.result
        if self._members.journaled:
            self._members.journals.receive(result)  # it may have overtaken its receipt
        if takes_long(result):
            fetched = self._reconciler.fetched(result.task_id)
            self._readings.read(event.tickets, result, (event.tag, fetched))
            return
        for future in event.tickets:
            settle(future, result)
        self._done_with(event.tag)
        self._settled(result.task_id)

    def _settled(self, task_id: str) -> None:
        """Let go of what waited for the outcome of a task."""
        if self._reconciler.fetches:
            self._done_with(self._reconciler.fetched(task_id))

    def _do_without_result(self, event: Fetch[AnyFuture] | Noted | Duplicate | Orphaned) -> None:
        match event:
            case Fetch(_, task_id, tag):
                self._done_with(self._reconciler.fetch(task_id, cast("Tag | None", tag)))
                return
            case Noted():
                self._members.count("noted")
            case Duplicate(task_id, tag):
                self._members.count("duplicates")
                if self._readings.hold(task_id, tag):
                    return
            case Orphaned():
                self._note_orphan()
        self._done_with(event.tag)

    def _was_read(self, result: Result) -> None:
        """Have a result read again where its task was reloaded meanwhile."""
        if self._matcher.awaits(result.task_id):
            self.do(self._matcher.received(result))

    def _done_with(self, tag: object) -> None:
        if tag is None:
            return
        if self._members.journaled:
            done_with = partial(self._consumer.done_with, cast("Tag", tag))
            self._members.journals.when_committed(done_with)
        else:
            self._consumer.done_with(cast("Tag", tag))

    def _note_orphan(self) -> None:
        self._members.count("orphans")
        self.orphans += 1
        # Where a submit is uncertain its results are orphans, too, though nobody else's.
        if self.orphans == SUSPICIOUS_ORPHANS and self._matcher.accounted is not None:
            self._reconciler.missed()
            _log.warning(
                "many results of the task group %s are for tasks that nobody here awaits: does "
                "another process use the same group? Each takes results from the other; give "
                "each its own group. Open tasks are looked up over REST.",
                self._task_group_id,
                extra={"task_group_id": self._task_group_id},
            )

    def _complain(self, error: MalformedMessage) -> None:
        self._members.count("malformed")
        if error.kind not in self._complaints:
            self._complaints.add(error.kind)
            _log.warning(
                "a message of the task group %s is not a result (%s); it is dropped, and more of "
                "its kind without a word",
                self._task_group_id,
                error,
                extra={"task_group_id": self._task_group_id},
            )
