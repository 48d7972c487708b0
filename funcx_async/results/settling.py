"""From results to futures, by whatever way the results of one task group come.

Deliveries and looked-up results meet submit receipts in the matcher; a delivery is acknowledged
after its future is settled and, where there is a journal, its result is on disk. The future does
not wait for the disk: what is not acknowledged comes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

from funcx_async.client import FuncXClient
from funcx_async.core.acks import AckLedger
from funcx_async.core.matcher import Matcher
from funcx_async.core.matches import Duplicate, Event, Fetch, Noted, Orphaned, Settled
from funcx_async.errors import FuncXError
from funcx_async.futures.future import FuncXFuture
from funcx_async.messages import MalformedMessage
from funcx_async.models import Delivery, Result
from funcx_async.results.aside import Aside
from funcx_async.results.consumer import Consumer, Tag
from funcx_async.results.lookup import Lookup
from funcx_async.results.members import Members
from funcx_async.results.outcome import decoded, settle, spelled, takes_long
from funcx_async.results.readings import Readings
from funcx_async.results.reconciler import Reconciler
from funcx_async.serialize.large import LARGE

AnyFuture: TypeAlias = FuncXFuture[Any]

SUSPICIOUS_ORPHANS = 100
"""After so many results of unknown tasks another process must be sharing the group."""

_log = logging.getLogger(__name__)


class Settling:
    """See the module.

    Args:
        task_group_id: whose results.

    Attributes:
        task_group_id: likewise.
        orphans: how many results of unknown tasks came.
    """

    def __init__(self, task_group_id: str) -> None:
        self.task_group_id = task_group_id
        self._members = Members(task_group_id)
        self._matcher: Matcher[AnyFuture] = Matcher()
        self._lookup = Lookup()
        self._aside = Aside()
        self._readings = Readings(self._aside, self._done_with, self._was_read)
        self._consumer = Consumer(
            task_group_id,
            self._members,
            take=self._take,
            reconnected=self._reconnected,
            unreachable=self.look_up_open,
            awaits_receipts=lambda: self._matcher.unanswered > 0,
        )
        self._reconciler = Reconciler(
            self._consumer,
            self._members,
            open_tasks=self._matcher.open_tasks,
            look_up=self._look_up,
        )
        self.orphans = 0
        self._complaints: set[str] = set()

    # What the executors say ---------------------------------------------------------------------

    def sending(self) -> int:
        """Note that a submit goes on the wire, and give its number."""
        return self._matcher.sending()

    def answered(self, submit: int, accepted: Collection[tuple[str, AnyFuture]] = ()) -> None:
        """Note the answer to a submit: the tasks that were made of it."""
        self._do(self._matcher.answered(submit, accepted))
        self._reconciler.opened()

    def expect(self, task_id: str, future: AnyFuture) -> None:
        """Note that ``future`` awaits a task."""
        self._do(self._matcher.expect(task_id, future))
        self._reconciler.opened()

    def forget(self, task_id: str, future: AnyFuture) -> None:
        """Note that ``future`` no longer awaits a task."""
        self._matcher.forget(task_id, future)
        if not self._matcher.awaits(task_id):
            self._done_with(self._reconciler.fetched(task_id))
        self._consumer.want(wanted=len(self._matcher) > 0)

    async def ask(self, client: FuncXClient, task_ids: Sequence[str]) -> list[Result]:
        """Ask for these tasks now, and give the results that are there.

        Raises:
            FuncXError: what keeps the service from answering.
        """
        consumes = client.dialect.reading_consumes
        results = await self._lookup.all_finished(client, task_ids, unknown_is_lost=not consumes)
        if consumes:  # what is not there may be in the queue; if it is not, it is lost
            self._reconciler.missed()
        return results

    def look_up_open(self) -> None:
        """Have the service asked for all that is open, soon, and again until it answers."""
        self._reconciler.missed()

    def knows(self, task_id: str) -> bool:
        """Whether this task is open here, or was not long ago."""
        return self._matcher.knows(task_id)

    @property
    def accounted(self) -> int | None:
        """How many tasks of the group came of submits here; None if some may be unknown."""
        return self._matcher.accounted

    @property
    def remembers_all(self) -> bool:
        """Whether no settled task was forgotten by now."""
        return self._matcher.remembers_all

    @property
    def unanswered(self) -> int:
        """How many submits to the group are on the wire, or in doubt."""
        return self._matcher.unanswered

    def disown(self, task_ids: Collection[str] = (), *, complete: bool) -> None:
        """Note tasks that came of submits here, though nobody awaits them.

        Args:
            task_ids: their ids; their results will be duplicates.
            complete: whether no more may turn up.
        """
        self._do(self._matcher.disown(task_ids, complete=complete))

    def awaits(self, task_id: str) -> bool:
        """Whether a future here awaits this task."""
        return self._matcher.awaits(task_id)

    def receive(self, results: Iterable[Result]) -> None:
        """Settle what awaits these results."""
        for result in results:
            self._do(self._received(result))

    async def _look_up(self, task_ids: Sequence[str]) -> int:
        done = 0
        client = self._members.client
        # A result that was read already is with whoever did, or, if that answer was lost, only in
        # the queue. When it is asked for over REST all that the queue had has come.
        to_come = len(self._aside) or not self._consumer.nothing_to_come
        lost = not (client.dialect.reading_consumes and to_come)
        try:
            async for results in self._lookup.finished(client, task_ids, unknown_is_lost=lost):
                self.receive(results)
                done += len(results)
        except FuncXError:
            self._members.rotate()
            raise
        return done

    # What happens -------------------------------------------------------------------------------

    def _take(self, deliveries: Sequence[Delivery], ledger: AckLedger) -> None:
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
        self._do(events)

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

    def _do(self, events: Iterable[Event[AnyFuture]]) -> None:
        for event in events:
            if isinstance(event, Settled):
                self._settle(event)
            else:
                self._do_without_result(event)
        self._want()

    def _want(self) -> None:
        self._consumer.want(wanted=len(self._matcher) > 0)

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
            self._do(self._matcher.received(result))

    def _done_with(self, tag: object) -> None:
        if tag is None:
            return
        if self._members.journaled:
            done_with = partial(self._consumer.done_with, cast("Tag", tag))
            self._members.journals.when_committed(done_with)
        else:
            self._consumer.done_with(cast("Tag", tag))

    def _reconnected(self) -> None:
        self._members.count("reconnects")
        self._reconciler.missed()

    def _note_orphan(self) -> None:
        self._members.count("orphans")
        self.orphans += 1
        # Where a submit is uncertain its results are orphans, too, though nobody else's.
        if self.orphans == SUSPICIOUS_ORPHANS and self.accounted is not None:
            self._reconciler.missed()
            _log.warning(
                "many results of the task group %s are for tasks that nobody here awaits: does "
                "another process use the same group? Each takes results from the other; give "
                "each its own group. Open tasks are looked up over REST.",
                self.task_group_id,
                extra={"task_group_id": self.task_group_id},
            )

    def _complain(self, error: MalformedMessage) -> None:
        self._members.count("malformed")
        if error.kind not in self._complaints:
            self._complaints.add(error.kind)
            _log.warning(
                "a message of the task group %s is not a result (%s); it is dropped, and more of "
                "its kind without a word",
                self.task_group_id,
                error,
                extra={"task_group_id": self.task_group_id},
            )
