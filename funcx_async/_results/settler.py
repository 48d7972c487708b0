"""From results to futures, by whatever way the results of one task group come.

Deliveries and looked-up results meet submit receipts in the matcher. A delivery is acknowledged
after its future is settled and, where there is a journal, its result is on disk. The future does
not wait for the disk: what is not acknowledged comes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

from funcx_async._core.acks import AckLedger
from funcx_async._core.matcher import Duplicate, Event, Fetch, Matcher, Noted, Orphaned, Settled
from funcx_async._futures.future import FuncXFuture
from funcx_async._results.acks import Acknowledger, Tag
from funcx_async._results.decoding import (
    OffLoopReader,
    decoded,
    read_apart,
    settle,
    spelled,
    takes_long,
)
from funcx_async._results.subscribers import Subscribers
from funcx_async._service.messages import MalformedMessage
from funcx_async.models import Delivery, Result
from funcx_async.serialize.payloads import LARGE

AnyFuture: TypeAlias = FuncXFuture[Any]

SUSPICIOUS_ORPHANS = 100
"""After so many results of unknown tasks another process must be sharing the group."""

_log = logging.getLogger("funcx_async.results")


class PendingLookups:
    """What is to be looked up over REST.

    Attributes:
        all_open: whether all open tasks are: results may have been lost.
        fetches: tasks whose results came without data, each with the delivery that waits.
        due: is set when there is something new to look up.
    """

    def __init__(self) -> None:
        self.all_open = False
        self.fetches: dict[str, Tag | None] = {}
        self.due = asyncio.Event()

    def look_up_open(self) -> None:
        """Query all open tasks soon."""
        self.all_open = True
        self.due.set()

    def fetch(self, task_id: str, tag: Tag | None) -> Tag | None:
        """Query a task soon; its delivery, if any, waits for that.

        Returns:
            An earlier delivery, which need not wait any more.
        """
        before = self.fetches.get(task_id)
        self.fetches[task_id] = tag
        self.due.set()
        return before

    def fetched(self, task_id: str) -> Tag | None:
        """Forget a task that is settled, and return the delivery that waited for it."""
        return self.fetches.pop(task_id, None)


class Settler:
    """Settles the futures that await the results of one task group.

    Args:
        task_group_id: whose results.
        subscribers: the executors that share them.
        matcher: which future a result belongs to.
        acks: acknowledges deliveries.

    Attributes:
        lookups: what is to be looked up.
        reader: reads large results.
        orphans: how many results of unknown tasks came.
    """

    def __init__(
        self,
        task_group_id: str,
        subscribers: Subscribers,
        matcher: Matcher[AnyFuture],
        acks: Acknowledger,
    ) -> None:
        self._task_group_id = task_group_id
        self._subscribers = subscribers
        self._matcher = matcher
        self._acks = acks
        self._being_read: dict[str, list[Tag | None]] = {}
        self._complaints: set[str] = set()
        self.lookups = PendingLookups()
        self.reader = OffLoopReader()
        self.orphans = 0

    @property
    def reads_some(self) -> bool:
        """Whether large results are being read."""
        return len(self.reader) > 0

    # What arrives -------------------------------------------------------------------------------

    def take(self, deliveries: Sequence[Delivery], ledger: AckLedger) -> None:
        """Take deliveries; most bring the result of an open task, which has a short way.

        Args:
            deliveries: what the queue has brought.
            ledger: of their connection; their own tags name them in it.
        """
        done: list[int] = []
        others: list[tuple[Result | MalformedMessage, Tag]] = []
        fetches, journaled = self.lookups.fetches, self._subscribers.journaled
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
                        self._done_with(self.lookups.fetched(outcome.task_id))
                    continue
            others.append((outcome, (ledger, delivery.tag)))
        self._acks.all_done_with(ledger, done)
        if others:
            self._take_decoded(others)

    def receive(self, results: Iterable[Result]) -> None:
        """Settle what awaits these results, which were looked up."""
        for result in results:
            self.do(self._received(result))

    def do(self, events: Iterable[Event[AnyFuture]]) -> None:
        """Do what the matcher has decided."""
        for event in events:
            match event:
                case Settled():
                    self._settle(event)
                    continue
                case Fetch(_, task_id, tag):
                    self._done_with(self.lookups.fetch(task_id, cast("Tag | None", tag)))
                    continue
                case Noted():
                    self._subscribers.count("noted")
                case Duplicate(task_id, tag):
                    self._subscribers.count("duplicates")
                    if task_id in self._being_read:  # it waits until the first one is read
                        self._being_read[task_id].append(cast("Tag", tag))
                        continue
                case Orphaned():
                    self._note_orphan()
            self._done_with(event.tag)

    def drop_fetch(self, task_id: str) -> None:
        """Let go of the delivery of a result without data that nobody awaits any more."""
        self._done_with(self.lookups.fetched(task_id))

    def _take_apart(self, delivery: Delivery, tag: Tag) -> None:
        self.reader.do(lambda: partial(self._take_decoded, [(decoded(delivery), tag)]))

    def _take_decoded(self, outcomes: Iterable[tuple[Result | MalformedMessage, Tag]]) -> None:
        events: list[Event[AnyFuture]] = []
        for delivered, tag in outcomes:
            outcome = spelled(delivered)
            if isinstance(outcome, Result):
                events += self._received(outcome, tag)
            else:
                self._complain(outcome)
                self._acks.done_with(tag)
        self.do(events)

    def _received(self, result: Result, tag: Tag | None = None) -> list[Event[AnyFuture]]:
        """Match a result; return what is to be done now."""
        if self._subscribers.journaled:
            task_id = result.task_id
            unattended = self._subscribers.unattended(task_id) and not self._matcher.awaits(task_id)
            self._subscribers.write(result)
            if unattended:
                self._done_with(tag)
                return []
        return self._matcher.received(result, tag)

    # Settling -----------------------------------------------------------------------------------

    def _settle(self, event: Settled[AnyFuture]) -> None:
        result = event.result
        if self._subscribers.journaled:
            self._subscribers.write(result)  # it may have overtaken its receipt
        tags = [cast("Tag | None", event.tag), self.lookups.fetched(result.task_id)]
        if takes_long(result):
            self._settle_apart(event.tickets, result, tags)
            return
        for future in event.tickets:
            settle(future, result)
        for tag in tags:
            self._done_with(tag)

    def _settle_apart(
        self, futures: Sequence[AnyFuture], result: Result, tags: Iterable[Tag | None]
    ) -> None:
        """Settle futures once a large result is read off the loop; its deliveries wait for that."""
        # Where it is being read already, for futures that were given up, all wait for this one.
        waiting = [*self._being_read.get(result.task_id, ()), *tags]
        self._being_read[result.task_id] = waiting

        def read() -> Callable[[], None]:
            outcomes = [read_apart(future, result) for future in futures]
            return partial(self._was_read, result, outcomes, waiting)

        self.reader.do(read)

    def _was_read(
        self, result: Result, outcomes: Iterable[Callable[[], bool]], waiting: list[Tag | None]
    ) -> None:
        for settle_future in outcomes:
            settle_future()
        if self._matcher.awaits(result.task_id):  # it was reloaded meanwhile
            self.do(self._matcher.received(result))
        if self._being_read[result.task_id] is waiting:
            del self._being_read[result.task_id]
            for tag in waiting:
                self._done_with(tag)

    def _done_with(self, tag: object) -> None:
        if tag is None:
            return
        if self._subscribers.journaled:
            self._subscribers.when_written(partial(self._acks.done_with, cast("Tag", tag)))
        else:
            self._acks.done_with(cast("Tag", tag))

    # Oddities -----------------------------------------------------------------------------------

    def _note_orphan(self) -> None:
        self._subscribers.count("orphans")
        self.orphans += 1
        # Where a submit is uncertain its results are orphans, too, though nobody else's.
        if self.orphans == SUSPICIOUS_ORPHANS and self._matcher.known_task_count is not None:
            self.lookups.look_up_open()
            _log.warning(
                "many results of the task group %s are for tasks that nobody here awaits: does "
                "another process use the same group? Each takes results from the other; give "
                "each its own group. Open tasks are looked up over REST.",
                self._task_group_id,
                extra={"task_group_id": self._task_group_id},
            )

    def _complain(self, error: MalformedMessage) -> None:
        self._subscribers.count("malformed")
        if error.kind == "size":  # whose it is is not known
            self.lookups.look_up_open()
        if error.kind not in self._complaints:
            self._complaints.add(error.kind)
            _log.warning(
                "a message of the task group %s is not a result (%s); it is dropped, and further "
                "messages of its kind are dropped silently",
                self._task_group_id,
                error,
                extra={"task_group_id": self._task_group_id},
            )
