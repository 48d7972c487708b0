"""The results of one task group, from whatever way they come into their futures.

One stream, so one consumer, for each task group in a process: several executors may share it.
Deliveries and looked-up results meet submit receipts in the matcher; a delivery is acknowledged
after its future is settled and, where there is a journal, its result is on disk. The future does
not wait for the disk: what is not acknowledged comes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeAlias, cast
from weakref import WeakKeyDictionary

from funcx_async.client import FuncXClient
from funcx_async.core.matcher import Duplicate, Event, Fetch, Matcher, Noted, Orphaned, Settled
from funcx_async.errors import FuncXError
from funcx_async.events import EventKind
from funcx_async.futures import FuncXFuture
from funcx_async.messages import MalformedMessage, decode_result
from funcx_async.models import Delivery, Result
from funcx_async.results.consumer import Consumer, Tag
from funcx_async.results.journals import Journals
from funcx_async.results.lookup import Lookup
from funcx_async.results.member import Member
from funcx_async.results.outcome import settle
from funcx_async.results.reconciler import Reconciler
from funcx_async.results.source import ResultSource

AnyFuture: TypeAlias = FuncXFuture[Any]

AFTER_A_SLIP = 1.0
"""Seconds until it goes on, should something in here have failed."""

SUSPICIOUS_ORPHANS = 100
"""After so many results of unknown tasks another process must be sharing the group."""

_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], ResultStream]] = (
    WeakKeyDictionary()
)

_log = logging.getLogger(__name__)


def shared_stream(service_url: str, task_group_id: str) -> ResultStream:
    """Give the running loop's stream of a task group: a second would take results from it."""
    streams = _shared.setdefault(asyncio.get_running_loop(), {})
    key = (service_url, task_group_id)
    if key not in streams:
        streams[key] = ResultStream(service_url, task_group_id)
    return streams[key]


class ResultStream:
    """See the module; ``join`` before use, ``leave`` after.

    Args:
        service_url: the service that the group belongs to.
        task_group_id: whose results.

    Attributes:
        task_group_id: likewise.
        orphans: how many results of unknown tasks came.
    """

    def __init__(self, service_url: str, task_group_id: str) -> None:
        self.task_group_id = task_group_id
        self._key = (service_url, task_group_id)
        self._loop = asyncio.get_running_loop()
        self._members: dict[Member, None] = {}
        self._journals = Journals()
        self._last_member: Member
        self._host: asyncio.Task[None] | None = None
        self._matcher: Matcher[AnyFuture] = Matcher()
        self._lookup = Lookup()
        self._consumer = Consumer(
            task_group_id,
            source=self._next_source,
            take=self._take,
            reconnected=self._reconnected,
            unreachable=lambda: self._reconciler.missed(),
            note=self._note,
            asks_instead=lambda: any(member.asks_instead for member in self._members),
        )
        self._reconciler = Reconciler(
            self._consumer,
            interval=lambda: self._member().reconcile_interval,
            open_tasks=self._matcher.open_tasks,
            look_up=self._look_up,
        )
        self.orphans = 0
        self._complaints: set[str] = set()

    def __repr__(self) -> str:
        state = "connected" if self._consumer.connected.is_set() else "not connected"
        return (
            f"<ResultStream {self.task_group_id} {state}, {len(self._matcher)} open, "
            f"{self._matcher.held} held>"
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is awaited here, or kept for who asks again."""
        return not (len(self._matcher) or self._matcher.unanswered or self._lookup.keeps_some)

    @property
    def held(self) -> int:
        """How many results wait for the receipt of their submit."""
        return self._matcher.held

    # Life ---------------------------------------------------------------------------------------

    def join(self, member: Member) -> None:
        """Have the stream serve this executor too."""
        self._members[member] = None
        self._last_member = member
        self._keep_for_members()
        if self._host is None:
            self._host = self._loop.create_task(
                self._run(), name=f"funcx:results:{self.task_group_id}"
            )

    async def leave(self, member: Member) -> None:
        """Take an executor out; the last one ends the stream."""
        self._members.pop(member, None)
        host = self._host
        if self._members or host is None:
            self._keep_for_members()
            return
        # From here on whoever wants the group makes a stream of its own. What this one has not
        # acknowledged the broker delivers there.
        self._last_member, self._host = member, None
        if _shared[self._loop].get(self._key) is self:
            del _shared[self._loop][self._key]
        self._consumer.part()
        await self._journals.committed()
        await self._consumer.flush()
        host.cancel()
        await asyncio.wait([host])

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self._serve()
            except* Exception:  # a slip of ours must not leave futures open for ever
                _log.exception("serving the results of the task group %s", self.task_group_id)
            await asyncio.sleep(AFTER_A_SLIP)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consumer.consume_for_ever(), name="funcx:consume")
            tasks.create_task(self._consumer.acknowledge_for_ever(), name="funcx:acknowledge")
            tasks.create_task(self._reconciler.reconcile_for_ever(), name="funcx:reconcile")

    def _keep_for_members(self) -> None:
        self._journals = Journals(
            member.journal for member in self._members if member.journal is not None
        )

    def _member(self) -> Member:
        return next(iter(self._members), self._last_member)

    def _next_member(self) -> None:
        """Let another executor's credentials be tried: one's may be bad, the other's good."""
        member = self._member()
        if self._members.pop(member, 0) is None:
            self._members[member] = None

    def _next_source(self) -> ResultSource | None:
        source = self._member().source
        self._next_member()
        return source

    # What the executors say ---------------------------------------------------------------------

    def sending(self) -> int:
        """Note that a submit goes on the wire, and give its number."""
        return self._matcher.sending()

    def answered(self, submit: int, accepted: Iterable[tuple[str, AnyFuture]] = ()) -> None:
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
            self._received(result)

    async def _look_up(self, task_ids: Sequence[str]) -> int:
        done = 0
        client = self._member().client
        # A result that was read already is with whoever did, or, if that answer was lost, only in
        # the queue. When it is asked for over REST all that the queue had has come.
        lost = not client.dialect.reading_consumes or self._consumer.nothing_to_come
        try:
            async for results in self._lookup.finished(client, task_ids, unknown_is_lost=lost):
                self.receive(results)
                done += len(results)
        except FuncXError:
            self._next_member()
            raise
        return done

    # What happens -------------------------------------------------------------------------------

    def _take(self, delivery: Delivery, tag: Tag) -> None:
        try:
            result = decode_result(delivery.body)
        except MalformedMessage as error:
            self._complain(error)
            self._consumer.done_with(tag)
            return
        if delivery.high_assurance:
            result = Result(result.task_id, None)
        elif result.error_code is not None and delivery.timestamp is not None:
            result = result._replace(completion_t=str(delivery.timestamp))
        self._received(result, tag)

    def _received(self, result: Result, tag: Tag | None = None) -> None:
        task_id = result.task_id
        if self._journals:
            unattended = self._journals.unattended(task_id) and not self._matcher.awaits(task_id)
            self._journals.receive(result)
            if unattended:
                self._done_with(tag)
                return
        self._do(self._matcher.received(result, tag))

    def _do(self, events: Iterable[Event[AnyFuture]]) -> None:
        for event in events:
            match event:
                case Settled(tickets, result):
                    self._journals.receive(result)  # it may have overtaken its receipt
                    for future in tickets:
                        settle(future, result)
                    self._done_with(self._reconciler.fetched(result.task_id))
                case Fetch(_, task_id, tag):
                    self._done_with(self._reconciler.fetch(task_id, cast("Tag | None", tag)))
                    continue
                case Noted():
                    self._count("noted")
                case Duplicate():
                    self._count("duplicates")
                case Orphaned():
                    self._note_orphan()
            self._done_with(event.tag)
        self._consumer.want(wanted=len(self._matcher) > 0)

    def _done_with(self, tag: object) -> None:
        if tag is None:
            return
        if self._journals:
            self._journals.when_committed(partial(self._consumer.done_with, cast("Tag", tag)))
        else:
            self._consumer.done_with(cast("Tag", tag))

    def _reconnected(self) -> None:
        self._count("reconnects")
        self._reconciler.missed()

    def _note_orphan(self) -> None:
        self._count("orphans")
        self.orphans += 1
        # Where a submit is uncertain its results are orphans, too, though nobody else's.
        if self.orphans == SUSPICIOUS_ORPHANS and self.accounted is not None:
            self._reconciler.missed()
            _log.warning(
                "many results of the task group %s are for tasks that nobody here awaits: does "
                "another process use the same group? Each takes results from the other; give "
                "each its own group. Open tasks are looked up over REST.",
                self.task_group_id,
            )

    def _complain(self, error: MalformedMessage) -> None:
        self._count("malformed")
        if error.kind not in self._complaints:
            self._complaints.add(error.kind)
            _log.warning(
                "a message of the task group %s is not a result (%s); it is dropped, and more of "
                "its kind without a word",
                self.task_group_id,
                error,
            )

    def _note(self, kind: EventKind, reason: str) -> None:
        for member in tuple(self._members):
            member.note(kind, self.task_group_id, reason)

    def _count(self, what: str) -> None:
        for member in self._members:
            member.counts[what] += 1
