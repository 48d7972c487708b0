"""The results of one task group: one stream of them in a process, shared by its executors.

So there is one consumer for each task group: a second would take results from the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from typing import NoReturn
from weakref import WeakKeyDictionary, WeakValueDictionary

from funcx_async._core.acks import AckLedger
from funcx_async._core.matcher import Matcher
from funcx_async._results.consumer import Consumer
from funcx_async._results.lookup import Lookup
from funcx_async._results.member import Member
from funcx_async._results.members import Members
from funcx_async._results.reconciler import Reconciler
from funcx_async._results.settler import AnyFuture, Settler
from funcx_async.client import FuncXClient
from funcx_async.errors import FuncXError
from funcx_async.models import Delivery, Result

AFTER_A_SLIP = 1.0
"""Seconds until it goes on, should something in here have failed."""

# A stream refers to its loop, so it must not be held by what the loop is the key of: those who
# have joined it hold it.
_shared: WeakKeyDictionary[
    asyncio.AbstractEventLoop, WeakValueDictionary[tuple[str, str], ResultStream]
] = WeakKeyDictionary()

_log = logging.getLogger("funcx_async.results")


def shared_stream(service_url: str, task_group_id: str) -> ResultStream:
    """Give the running loop's stream of a task group: a second would take results from it."""
    streams = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    key = (service_url, task_group_id)
    stream = streams.get(key)
    if stream is None:
        stream = streams[key] = ResultStream(service_url, task_group_id)
    return stream


class ResultStream:
    """The results of one task group; ``join`` before use, ``leave`` after.

    Args:
        service_url: the service that the group belongs to.
        task_group_id: whose results.

    Attributes:
        task_group_id: whose results.
    """

    def __init__(self, service_url: str, task_group_id: str) -> None:
        self.task_group_id = task_group_id
        self._key = (service_url, task_group_id)
        self._loop = asyncio.get_running_loop()
        self._host: asyncio.Task[None] | None = None
        self._members = Members(task_group_id)
        self._matcher: Matcher[AnyFuture] = Matcher()
        self._lookup = Lookup()
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
        self._settler = Settler(
            task_group_id, self._members, self._matcher, self._consumer, self._reconciler
        )

    def __repr__(self) -> str:
        state = "connected" if self._consumer.connected.is_set() else "not connected"
        return (
            f"<ResultStream {self.task_group_id} {state}, {len(self._matcher)} open, "
            f"{self._matcher.held} held>"
        )

    # What sessions know -------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is awaited here, or kept for who asks again."""
        busy = len(self._matcher) or self._matcher.unanswered or self._settler.reads_some
        return not (busy or self._lookup.keeps_some)

    @property
    def held(self) -> int:
        """How many results wait for the receipt of their submit."""
        return self._matcher.held

    @property
    def orphans(self) -> int:
        """How many results of unknown tasks came."""
        return self._settler.orphans

    @property
    def unanswered(self) -> int:
        """How many submits to the group are on the wire, or in doubt."""
        return self._matcher.unanswered

    @property
    def accounted(self) -> int | None:
        """How many tasks of the group came of submits here; None if some may be unknown."""
        return self._matcher.accounted

    @property
    def remembers_all(self) -> bool:
        """Whether no settled task was forgotten by now."""
        return self._matcher.remembers_all

    def knows(self, task_id: str) -> bool:
        """Whether this task is open here, or was not long ago."""
        return self._matcher.knows(task_id)

    def awaits(self, task_id: str) -> bool:
        """Whether a future here awaits this task."""
        return self._matcher.awaits(task_id)

    # What sessions say --------------------------------------------------------------------------

    def sending(self) -> int:
        """Note that a submit goes on the wire, and give its number."""
        return self._matcher.sending()

    def answered(self, submit: int, accepted: Collection[tuple[str, AnyFuture]] = ()) -> None:
        """Note the answer to a submit: the tasks that were made of it."""
        self._settler.do(self._matcher.answered(submit, accepted))
        self._reconciler.opened()

    def expect(self, task_id: str, future: AnyFuture) -> None:
        """Note that ``future`` awaits a task."""
        self._settler.do(self._matcher.expect(task_id, future))
        self._reconciler.opened()

    def forget(self, task_id: str, future: AnyFuture) -> None:
        """Note that ``future`` no longer awaits a task."""
        self._matcher.forget(task_id, future)
        if not self._matcher.awaits(task_id):
            self._settler.drop_fetch(task_id)
        self._settler.want()

    def disown(self, task_ids: Collection[str] = (), *, complete: bool) -> None:
        """Note tasks that came of submits here, though nobody awaits them.

        Args:
            task_ids: their ids; their results will be duplicates.
            complete: whether no more may turn up.
        """
        self._settler.do(self._matcher.disown(task_ids, complete=complete))

    def receive(self, results: Iterable[Result]) -> None:
        """Settle what awaits these results."""
        self._settler.receive(results)

    def look_up_open(self) -> None:
        """Have the service asked for all that is open, soon, and again until it answers."""
        self._reconciler.missed()

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

    # Life ---------------------------------------------------------------------------------------

    def join(self, member: Member) -> None:
        """Have the stream serve this executor too."""
        self._members.add(member)
        self._reconciler.joined()
        if self._host is None:
            self._host = self._loop.create_task(
                self._run(), name=f"funcx:results:{self.task_group_id}"
            )

    async def leave(self, member: Member) -> None:
        """Take an executor out; the last one ends the stream."""
        self._members.remove(member)
        host = self._host
        if self._members or host is None:
            return
        # From here on whoever wants the group makes a stream of its own. What this one has not
        # acknowledged the broker delivers there.
        self._host = None
        if _shared[self._loop].get(self._key) is self:
            del _shared[self._loop][self._key]
        self._consumer.part()
        await self._members.journals.committed()
        await self._consumer.flush()
        host.cancel()
        await asyncio.wait([host])

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self._serve()
            except* Exception:  # a slip of ours must not leave futures open for ever
                _log.exception(
                    "serving the results of the task group %s",
                    self.task_group_id,
                    extra={"task_group_id": self.task_group_id},
                )
            await asyncio.sleep(AFTER_A_SLIP)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consumer.consume_for_ever(), name="funcx:consume")
            tasks.create_task(self._consumer.acknowledge_for_ever(), name="funcx:acknowledge")
            tasks.create_task(self._reconciler.reconcile_for_ever(), name="funcx:reconcile")
            tasks.create_task(self._settler.read_for_ever(), name="funcx:aside")

    # What its parts ask -------------------------------------------------------------------------

    def _take(self, deliveries: Sequence[Delivery], ledger: AckLedger) -> None:
        self._settler.take(deliveries, ledger)

    def _reconnected(self) -> None:
        self._members.count("reconnects")
        self._reconciler.missed()

    async def _look_up(self, task_ids: Sequence[str]) -> int:
        """Ask for tasks, settle those that are done, and give how many that were."""
        done = 0
        client = self._members.client
        # A result that was read already is with whoever did, or, if that answer was lost, only in
        # the queue. When it is asked for over REST all that the queue had has come.
        to_come = self._settler.reads_some or not self._consumer.nothing_to_come
        lost = not (client.dialect.reading_consumes and to_come)
        try:
            async for results in self._lookup.finished(client, task_ids, unknown_is_lost=lost):
                self.receive(results)
                done += len(results)
        except FuncXError:
            self._members.rotate()
            raise
        return done
