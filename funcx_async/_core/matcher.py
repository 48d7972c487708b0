"""Which future a result belongs to, though results and receipts come in either order.

Rules: a result may overtake the answer to its submit, so while submits are unanswered an unknown
result is held, tagged with the newest of them; once all up to that one are answered it is nobody's,
an orphan. What is held is bounded: over the limit only the task id is kept, and the result is
fetched when its receipt comes. Every delivery is given back in exactly one event, or is held.

A ticket is whatever the caller wants back for a task; the matcher never looks into it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from typing import Generic, TypeAlias, TypeVar

import msgspec

from funcx_async.models import Result

K = TypeVar("K")

HELD_OVERHEAD = 256
"""Bytes that a held result costs besides its text, roughly."""

NOTED_PER_HELD = 100
"""So many task ids are kept for each result that may be held; a lookup finds what is beyond."""


# What is to be done; ``tag`` is that of the delivery that it is about, if any.


class Settled(msgspec.Struct, Generic[K]):
    """``result`` is the outcome of ``tickets``."""

    tickets: tuple[K, ...]
    result: Result
    tag: object = None


class Fetch(msgspec.Struct, Generic[K]):
    """The outcome of these tickets exists, but is to be fetched over REST."""

    tickets: tuple[K, ...]
    task_id: str
    tag: object = None


class Noted(msgspec.Struct):
    """Too much is held: only the task id is kept, and the delivery is done with."""

    task_id: str
    tag: object


class Duplicate(msgspec.Struct):
    """The task is settled already, or given up."""

    task_id: str
    tag: object


class Orphaned(msgspec.Struct):
    """Nobody here awaits this task."""

    task_id: str
    tag: object


Event: TypeAlias = Settled[K] | Fetch[K] | Noted | Duplicate | Orphaned


class _Held(msgspec.Struct):
    """A result that came before its receipt; without ``result`` only its task id is kept."""

    result: Result | None
    tag: object
    newest_submit: int
    size: int = 0


class Matcher(Generic[K]):
    """Task ids and results in either order; settled, held or orphaned out.

    Args:
        max_held: how many results are held whole.
        max_held_size: how large they may be together, in characters.
        remembered: how many settled task ids are remembered at least, to tell a second result
            from somebody else's.

    Example:
        >>> matcher = Matcher()
        >>> submit = matcher.sending()
        >>> matcher.received(Result("t1", "41"))
        []
        >>> [event.tickets for event in matcher.answered(submit, [("t1", "my ticket")])]
        [('my ticket',)]
    """

    def __init__(
        self,
        *,
        max_held: int = 1_000,
        max_held_size: int = 64 * 1024 * 1024,
        remembered: int = 10_000,
    ) -> None:
        self._max_held = max_held
        self._max_held_size = max_held_size
        self._remembered = remembered
        self._tickets: dict[str, K] = {}
        self._further_tickets: dict[str, list[K]] = {}
        self._unanswered: dict[int, None] = {}
        self._submits = 0
        self._held: dict[str, _Held] = {}
        self._held_whole = 0
        self._held_size = 0
        self._settled: set[str] = set()
        self._settled_before: set[str] = set()
        self._forgetful = False
        self._known_task_count: int | None = 0

    def __len__(self) -> int:
        """How many tasks are open."""
        return len(self._tickets)

    @property
    def held(self) -> int:
        """How many results, or ids of results, wait for their receipt."""
        return len(self._held)

    @property
    def unanswered(self) -> int:
        """How many submits are on the wire."""
        return len(self._unanswered)

    def awaits(self, task_id: str) -> bool:
        """Whether this task is open."""
        return task_id in self._tickets

    def knows(self, task_id: str) -> bool:
        """Whether this task is open, or was not long ago."""
        settled = task_id in self._settled or task_id in self._settled_before
        return settled or task_id in self._tickets

    @property
    def known_task_count(self) -> int | None:
        """How many tasks of the group came of submits here; None if some may be unknown."""
        return self._known_task_count

    @property
    def remembers_all(self) -> bool:
        """Whether no settled task has been forgotten yet."""
        return not self._forgetful

    def open_tasks(self) -> Iterator[tuple[str, Sequence[K]]]:
        """Return open tasks, the oldest first, each with its tickets."""
        for task_id, ticket in self._tickets.items():
            yield task_id, (ticket, *self._further_tickets.get(task_id, ()))

    # What happens -------------------------------------------------------------------------------

    def sending(self) -> int:
        """Note that a submit goes on the wire, and give its number."""
        self._submits += 1
        self._unanswered[self._submits] = None
        return self._submits

    def answered(self, submit: int, accepted: Collection[tuple[str, K]] = ()) -> list[Event[K]]:
        """Note the answer to a submit: the tasks that were made of it, if any."""
        del self._unanswered[submit]
        events: list[Event[K]] = []
        for task_id, ticket in accepted:
            if task_id in self._held or task_id in self._tickets:
                event = self._await(task_id, ticket)
                if event is not None:
                    events.append(event)
            else:
                self._tickets[task_id] = ticket
        if self._known_task_count is not None:
            self._known_task_count += len(accepted)
        return events + self._orphans() if self._held else events

    def disown(self, task_ids: Collection[str], *, complete: bool) -> list[Event[K]]:
        """Record tasks of submits from here that cannot be matched with a submission.

        Args:
            task_ids: their ids; their results will be duplicates.
            complete: whether no more may turn up.
        """
        events: list[Event[K]] = []
        for task_id in task_ids:
            self._remember(task_id)
            if (held := self._held.pop(task_id, None)) is not None:
                self._uncount(held)
                events.append(Duplicate(task_id, held.tag))
        if complete and self._known_task_count is not None:
            self._known_task_count += len(task_ids)
        else:
            self._known_task_count = None
        return events

    def expect(self, task_id: str, ticket: K) -> list[Event[K]]:
        """Note that ``ticket`` awaits this task, wherever it came from."""
        if not self.knows(task_id):
            # A forgotten one, somebody else's, or that of a submit here whose answer is lost: with
            # the last two known, but not accounted for, a forgotten one would pass for the lost.
            self._known_task_count = None
        event = self._await(task_id, ticket)
        return [] if event is None else [event]

    def forget(self, task_id: str, ticket: K) -> None:
        """Note that ``ticket`` no longer awaits this task; its result will be a duplicate."""
        tickets = [self._tickets.pop(task_id, None), *self._further_tickets.pop(task_id, ())]
        kept = [other for other in tickets if other is not None and other is not ticket]
        if not kept:
            self._remember(task_id)
            return
        self._tickets[task_id] = kept[0]
        if kept[1:]:
            self._further_tickets[task_id] = kept[1:]

    def settle(self, result: Result) -> K | None:
        """Note a result that settles one ticket, as nearly all do, and give that ticket.

        Returns:
            None where it is not so, for :meth:`received` to find out what is; nothing was noted.
        """
        task_id = result.task_id
        if result.data is None or task_id in self._further_tickets:
            return None
        ticket = self._tickets.pop(task_id, None)
        if ticket is not None:
            if len(self._settled) >= self._remembered:
                self._forget_oldest()
            self._settled.add(task_id)
        return ticket

    def received(self, result: Result, tag: object = None) -> list[Event[K]]:
        """Note a result, by whatever way it came; ``tag`` comes back in the event."""
        task_id = result.task_id
        if task_id in self._tickets:
            return [self._match(result, tag)]
        if task_id in self._settled or task_id in self._settled_before:
            return [Duplicate(task_id, tag)]
        if self._unanswered:
            return self._hold(result, tag)
        return [Orphaned(task_id, tag)]

    # How it is decided --------------------------------------------------------------------------

    def _await(self, task_id: str, ticket: K) -> Event[K] | None:
        if task_id in self._tickets:
            self._further_tickets.setdefault(task_id, []).append(ticket)
            return None
        held = self._held.pop(task_id, None)
        if held is None:
            self._tickets[task_id] = ticket
            return None
        self._uncount(held)
        result = held.result
        if result is None or result.data is None:
            self._tickets[task_id] = ticket
            return Fetch((ticket,), task_id, held.tag)
        self._remember(task_id)
        return Settled((ticket,), result, held.tag)

    def _match(self, result: Result, tag: object) -> Event[K]:
        task_id = result.task_id
        tickets: tuple[K, ...] = (self._tickets[task_id],)
        if self._further_tickets:
            tickets += tuple(self._further_tickets.get(task_id, ()))
        if result.data is None:
            return Fetch(tickets, task_id, tag)
        del self._tickets[task_id]
        if self._further_tickets:
            self._further_tickets.pop(task_id, None)
        self._remember(task_id)
        return Settled(tickets, result, tag)

    def _hold(self, result: Result, tag: object) -> list[Event[K]]:
        again = self._held.get(result.task_id)
        if again is not None:
            if again.result is None:
                return [Noted(result.task_id, tag)]
            # Delivered again, or twice: only the newest delivery still holds the result.
            before, again.tag = again.tag, tag
            return [Duplicate(result.task_id, before)]
        size = HELD_OVERHEAD + len(result.data or "")
        fits = self._held_size + size <= self._max_held_size
        if self._held_whole < self._max_held and fits:
            self._held[result.task_id] = _Held(result, tag, self._submits, size)
            self._held_whole += 1
            self._held_size += size
            return []
        if len(self._held) >= self._max_held * NOTED_PER_HELD:
            return [Orphaned(result.task_id, tag)]
        self._held[result.task_id] = _Held(None, None, self._submits)
        return [Noted(result.task_id, tag)]

    def _uncount(self, held: _Held) -> None:
        self._held_whole -= held.result is not None
        self._held_size -= held.size

    def _orphans(self) -> list[Event[K]]:
        """Let go of what no unanswered submit can explain any more; held ids are in tag order."""
        oldest_unanswered = next(iter(self._unanswered), self._submits + 1)
        due = list(
            takewhile(lambda entry: entry[1].newest_submit < oldest_unanswered, self._held.items())
        )
        for task_id, held in due:
            del self._held[task_id]
            self._uncount(held)
        return [Orphaned(task_id, held.tag) for task_id, held in due]

    def _remember(self, task_id: str) -> None:
        if len(self._settled) >= self._remembered:
            self._forget_oldest()
        self._settled.add(task_id)

    def _forget_oldest(self) -> None:
        self._forgetful |= bool(self._settled_before)
        self._settled_before, self._settled = self._settled, set()
