"""What stands between the core and the toy world: a stream of results, as thin as can be.

It does what the events of the matcher ask for, and checks on the way that they keep the promises.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from funcx_async._core.acks import AckLedger
from funcx_async._core.batcher import Batch
from funcx_async._core.matcher import (
    HELD_OVERHEAD,
    Duplicate,
    Event,
    Fetch,
    Matcher,
    Noted,
    Orphaned,
    Settled,
)
from funcx_async.models import Receipt, Result
from tests.core.toy import Queue, Task, Ticket

Tag = tuple[AckLedger, int]


class Stream:
    """The results of one task group; ``awaited`` is what the model knows to be open."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.queue = Queue()
        self.ledger = AckLedger()
        self.matcher: Matcher[Ticket] = Matcher(
            max_held=3, max_held_size=3 * HELD_OVERHEAD + 20, remembered=3
        )
        self.awaited: defaultdict[str, list[Ticket]] = defaultdict(list)
        self.on_the_wire: set[str] = set()
        self.fetching: dict[str, Tag | None] = {}
        self.undecided: set[Tag] = set()
        self.newest: dict[str, Tag] = {}
        self.finished: set[str] = set()
        self.excused: set[Tag] = set()
        self.orphans = 0

    # What happens -------------------------------------------------------------------------------

    def answered(self, submit: int, accepted: Sequence[tuple[str, Ticket]] = ()) -> None:
        for task_id, ticket in accepted:
            self.awaited[task_id].append(ticket)
        self.do(self.matcher.answered(submit, accepted))

    def expect(self, task_id: str, ticket: Ticket) -> None:
        self.awaited[task_id].append(ticket)
        self.do(self.matcher.expect(task_id, ticket))

    def forget(self, ticket: Ticket) -> None:
        for task_id, tickets in self.awaited.items():
            if ticket in tickets:
                tickets.remove(ticket)
                self.matcher.forget(task_id, ticket)
                if not tickets:
                    self.finished.add(task_id)
                    self.done_with(self.fetching.pop(task_id, None))

    def disown(self, task_ids: Sequence[str] = (), *, complete: bool) -> None:
        self.finished.update(task_ids)
        self.do(self.matcher.disown(task_ids, complete=complete))

    def deliver(self, index: int) -> None:
        result = self.queue.deliver(index)
        self.ledger.delivered(self.queue.tag)
        tag = (self.ledger, self.queue.tag)
        self.undecided.add(tag)
        self.newest[result.task_id] = tag
        ticket = self.matcher.settle(result)  # the short way first, as the stream does
        if ticket is None:
            self.do(self.matcher.received(result, tag))
        else:
            self.do([Settled((ticket,), result, tag)])

    def look_up(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if task.done:
                self.do(self.matcher.received(task.result))

    def flush(self) -> None:
        """Acknowledge what is due: nothing that somebody still waits for, and nothing twice."""
        due = self.ledger.due()
        before = set(self.queue.unacknowledged)
        covered = self.queue.acknowledge(due)
        assert set(self.queue.unacknowledged) == before - set(covered)
        for number, result in covered.items():
            tag = (self.ledger, number)
            assert tag in self.excused or not self.awaited[result.task_id], f"{result} is open"
            assert tag not in self.undecided
        assert self.ledger.due() == []

    def disconnect(self) -> None:
        self.queue.disconnect()
        self.ledger = AckLedger()

    # What the core decides ----------------------------------------------------------------------

    def do(self, events: Iterable[Event[Ticket]]) -> None:
        for event in events:
            tag = self.decided(event.tag)
            match event:
                case Settled(tickets, result):
                    self.settle(tickets, result)
                    self.done_with(self.fetching.pop(result.task_id, None))
                case Fetch(tickets, task_id):
                    assert list(tickets) == self.awaited[task_id]
                    before, self.fetching[task_id] = self.fetching.get(task_id), tag
                    self.done_with(before, excused=True)
                    continue
                case Duplicate(task_id):
                    assert task_id in self.finished or tag != self.newest[task_id]
                case Noted():
                    pass
                case Orphaned(task_id):
                    assert task_id not in self.on_the_wire, "its receipt may still come"
                    assert not self.awaited[task_id]
                    self.orphans += 1
            self.done_with(tag, excused=not isinstance(event, Settled))

    def decided(self, tag: object) -> Tag | None:
        """Note that a delivery is given back, which may happen once."""
        if tag is None:
            return None
        assert isinstance(tag, tuple)
        assert tag in self.undecided
        self.undecided.remove(tag)
        return tag

    def done_with(self, tag: Tag | None, *, excused: bool = False) -> None:
        if tag is not None:
            if excused:
                self.excused.add(tag)
            tag[0].settled(tag[1])

    def settle(self, tickets: Sequence[Ticket], result: Result) -> None:
        assert list(tickets) == self.awaited.pop(result.task_id)
        self.finished.add(result.task_id)
        for ticket in tickets:
            assert result.data == ticket.value, f"{ticket} gets another's result: {result}"
            ticket.settle(result.data)

    # What always holds --------------------------------------------------------------------------

    def check(self) -> None:
        matcher = self.matcher
        open_tasks = {task_id: tickets for task_id, tickets in self.awaited.items() if tickets}
        assert {task_id: list(tickets) for task_id, tickets in matcher.open_tasks()} == open_tasks
        assert len(matcher) == len(open_tasks)
        assert all(matcher.awaits(task_id) and matcher.knows(task_id) for task_id in open_tasks)
        assert matcher.held == 0 or matcher.unanswered
        assert matcher.held >= len({tag for tag in self.undecided if tag[0] is self.ledger})
        assert len(self.ledger) == len(self.queue.unacknowledged)
        assert set(self.fetching) <= set(open_tasks)


@dataclass(slots=True, eq=False)
class Post:
    """A batch on the wire, or in doubt.

    Attributes:
        batch: what was sent.
        stream: that of the group it went to; None while the service makes one.
        submit: the stream's number for it.
        group: the group that it was taken into, and
        receipt: which tasks it became, once the service has taken it.
    """

    batch: Batch[Ticket, str]
    stream: Stream | None
    submit: int
    group: str | None = None
    receipt: Receipt | None = None

    @property
    def task_ids(self) -> list[str]:
        tasks = self.receipt.tasks.values() if self.receipt else ()
        return [task_id for ids in tasks for task_id in ids]
