"""The executors that share a stream of results."""

from __future__ import annotations

from collections.abc import Iterator

from funcx_async._results.journals import Journals
from funcx_async._results.member import Member
from funcx_async._results.source import ResultSource
from funcx_async.client import FuncXClient
from funcx_async.events import EventKind


class Members:
    """See the module; one of them asks and connects for all.

    Args:
        task_group_id: whose results they share.

    Attributes:
        journaled: whether any of them has a journal.
        journals: their journals.
    """

    def __init__(self, task_group_id: str) -> None:
        self._task_group_id = task_group_id
        self._members: dict[Member, None] = {}
        self._last: Member
        self.journals = Journals()
        self.journaled = False

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._members))

    def add(self, member: Member) -> None:
        """Take an executor in."""
        self._members[member] = None
        self._last = member
        self._find_journals()

    def remove(self, member: Member) -> None:
        """Let an executor go; the last one is still asked with."""
        self._members.pop(member, None)
        if self._members:
            self._find_journals()
        else:
            self._last = member

    def _find_journals(self) -> None:
        journals = [member.journal for member in self._members if member.journal is not None]
        self.journals, self.journaled = Journals(journals), bool(journals)

    # One for all --------------------------------------------------------------------------------

    @property
    def _first(self) -> Member:
        return next(iter(self._members), self._last)

    @property
    def client(self) -> FuncXClient:
        """Asks the service."""
        return self._first.client

    @property
    def asks_instead(self) -> bool:
        """Whether results are asked for while the queue cannot be reached."""
        return any(member.asks_instead for member in self._members)

    @property
    def connects(self) -> bool:
        """Whether the one whose turn it is connects to the queue, and does not only poll."""
        return self._first.source is not None

    def next_source(self) -> ResultSource | None:
        """Give what to connect with, of another one each time."""
        source = self._first.source
        self.rotate()
        return source

    def rotate(self) -> None:
        """Let another executor's credentials be tried: one's may be bad, the other's good."""
        member = self._first
        if self._members.pop(member, 0) is None:
            self._members[member] = None

    # All of them --------------------------------------------------------------------------------

    def note(self, kind: EventKind, reason: str) -> None:
        """Tell whoever reads their events."""
        for member in tuple(self._members):
            member.note(kind, self._task_group_id, reason)

    def count(self, what: str) -> None:
        """Count a noteworthy thing."""
        for member in self._members:
            member.count(what)
