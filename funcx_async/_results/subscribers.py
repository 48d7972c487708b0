"""The executors that share the results of a task group, and what each gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from funcx_async._journal import Journal
from funcx_async._results.source import ResultSource
from funcx_async.client import FuncXClient
from funcx_async.errors import JournalError
from funcx_async.events import EventKind, Events
from funcx_async.models import Result


@dataclass(frozen=True, slots=True, eq=False)
class Subscriber:
    """One executor's part in the task groups whose results it awaits.

    Attributes:
        owner: the session that its futures are bound to.
        client: asks the service.
        source: connects to result queues; None: results are polled alone.
        events: receives what the application may read of the executor's connections.
        count: counts a noteworthy thing in the executor's statistics.
        journal: where its results are written; None for an executor without a journal.
        reconcile_interval: seconds after which one of its open tasks is looked up.
        polls_instead: whether results are polled while the queue cannot be reached.
    """

    owner: object
    client: FuncXClient
    source: ResultSource | None
    events: Events
    count: Callable[[str], None]
    journal: Journal | None
    reconcile_interval: float
    polls_instead: bool


class Subscribers:
    """The executors that share one task group; one of them asks and connects for all.

    Args:
        task_group_id: whose results they share.

    Attributes:
        journaled: whether any of them has a journal.
    """

    def __init__(self, task_group_id: str) -> None:
        self._task_group_id = task_group_id
        self._subscribers: dict[Subscriber, None] = {}
        self._last: Subscriber
        self._journals: tuple[Journal, ...] = ()
        self.journaled = False

    def __len__(self) -> int:
        return len(self._subscribers)

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(tuple(self._subscribers))

    def add(self, subscriber: Subscriber) -> None:
        """Add an executor."""
        self._subscribers[subscriber] = None
        self._last = subscriber
        self._find_journals()

    def remove(self, subscriber: Subscriber) -> None:
        """Remove an executor; the last one is still asked with."""
        self._subscribers.pop(subscriber, None)
        if self._subscribers:
            self._find_journals()
        else:
            self._last = subscriber

    def _find_journals(self) -> None:
        journals = [each.journal for each in self._subscribers if each.journal is not None]
        self._journals, self.journaled = tuple(journals), bool(journals)

    # One for all --------------------------------------------------------------------------------

    @property
    def _first(self) -> Subscriber:
        return next(iter(self._subscribers), self._last)

    @property
    def client(self) -> FuncXClient:
        """The client that asks the service now."""
        return self._first.client

    @property
    def poll_instead(self) -> bool:
        """Whether results are polled while the queue cannot be reached."""
        return any(each.polls_instead for each in self._subscribers)

    @property
    def connects(self) -> bool:
        """Whether the one whose turn it is connects to the queue, and does not only poll."""
        return self._first.source is not None

    def next_source(self) -> ResultSource | None:
        """Return the source to connect with, another one's each time."""
        source = self._first.source
        self.rotate()
        return source

    def rotate(self) -> None:
        """Try another executor's credentials next: one's may be bad, the other's good."""
        subscriber = self._first
        if self._subscribers.pop(subscriber, 0) is None:
            self._subscribers[subscriber] = None

    # All of them --------------------------------------------------------------------------------

    def note(self, kind: EventKind, reason: str = "") -> None:
        """Emit an event about the task group."""
        for subscriber in self:
            subscriber.events.emit(kind, self._task_group_id, reason)

    def count(self, what: str) -> None:
        """Count a noteworthy thing."""
        for subscriber in self._subscribers:
            subscriber.count(what)

    def write(self, result: Result) -> None:
        """Write a result to the journals that have its task."""
        for journal in self._journals:
            journal.receive(result)

    def unattended(self, task_id: str) -> bool:
        """Return whether the task is of an earlier process, and was not resumed yet."""
        return any(journal.unattended(task_id) for journal in self._journals)

    def when_written(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all written results are on disk; never if that fails."""
        for journal in self._journals:
            then = partial(journal.when_committed, then)
        then()

    async def written(self) -> None:
        """Wait until all written results are on disk, or cannot be written."""
        for journal in self._journals:
            with suppress(JournalError):
                await journal.committed()
