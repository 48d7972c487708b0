"""What a journal has to write down of each task, and what it holds for the next process.

Rules: a key is taken from its submit to its confirmation. An intent is written before the request
that it is about, a receipt before its future counts as accepted, an outcome before its delivery
is acknowledged. What the service certainly did not take is withdrawn, as if it had never been
tried. Outcomes find their entry by task id, whether the task is awaited or not. Writes take effect
in the order in which they are given: a crash loses the last ones, never one from the middle.

    RESERVED    submitted; nothing is written, or only how an attempt before this one failed
    INTENDED    the intent is written: after a crash it is unknown whether the task runs
    ACCEPTED    the receipt is written: the task runs, and its outcome will come
    SETTLED     the outcome is written, and kept until the key is confirmed

A ticket is whatever the caller wants back for a task; the book never looks into it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeAlias, TypeVar

from funcx_async.models import Result

K = TypeVar("K")


class Stage(enum.Enum):
    """The stages of a task, in their order."""

    RESERVED = enum.auto()
    INTENDED = enum.auto()
    ACCEPTED = enum.auto()
    SETTLED = enum.auto()


@dataclass(slots=True, eq=False)
class Entry(Generic[K]):
    """One task of the book.

    Attributes:
        number: its number in the journal, which is never given to another task of this process.
        key: the application's name of the task.
        endpoint_id: where it runs.
        stage: how far it has come.
        ticket: what awaits it; None once it is settled, and for a task of an earlier process.
        function_id: what it runs; None until it is known.
        task_group_id: the group that it belongs to; None until it is known.
        task_id: the service's id of it; None until the receipt.
        request: what submits it again, and until when; None for a task without a policy.
        written: whether anything of it is on disk.
    """

    number: int
    key: str
    endpoint_id: str
    stage: Stage = Stage.RESERVED
    ticket: K | None = None
    function_id: str | None = None
    task_group_id: str | None = None
    task_id: str | None = None
    request: str | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task has no result of the service's.

    Attributes:
        kind: the name of the error's class.
        message: its text.
        attributes: what else it carries, made of JSON's types.
    """

    kind: str
    message: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


Outcome: TypeAlias = Result | Failure


@dataclass(frozen=True, slots=True)
class Intend:
    """Write down that a task is about to be sent."""

    number: int
    key: str
    endpoint_id: str
    function_id: str | None
    task_group_id: str | None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """Write down the receipt of a task."""

    number: int
    task_group_id: str
    task_id: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Write down the outcome of a task."""

    number: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Remove:
    """Strike a task out: it is confirmed, or was certainly not taken."""

    number: int


Write: TypeAlias = Intend | Accept | Settle | Remove


class Book(Generic[K]):
    """What happens in, what to write down out.

    ``reserve`` and ``release`` may be called from any thread, all else from one.

    Args:
        entries: what the journal holds of earlier processes.

    Example:
        >>> book, ticket = Book(), object()
        >>> book.reserve("run-17", ticket, "an endpoint")
        >>> [type(write).__name__ for write in book.intend([("run-17", ticket, "f")], None)]
        ['Intend']
        >>> book.accept([("run-17", ticket, "t1")], "a group")
        [Accept(number=1, task_group_id='a group', task_id='t1')]
        >>> book.confirm(["run-17"])
        [Remove(number=1)]
    """

    def __init__(self, entries: Iterable[Entry[K]] = ()) -> None:
        self._entries = {entry.key: entry for entry in entries}
        for entry in self._entries.values():
            entry.written = entry.stage is not Stage.RESERVED
        self._by_task = {
            entry.task_id: entry
            for entry in self._entries.values()
            if entry.task_id is not None and entry.stage is Stage.ACCEPTED
        }
        last = max((entry.number for entry in self._entries.values()), default=0)
        self._numbers = count(last + 1)

    def __len__(self) -> int:
        """How many keys are taken."""
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def unconfirmed(self) -> list[Entry[K]]:
        """Return all entries, the oldest first."""
        return list(self._entries.values())

    def holds(self, entry: Entry[K]) -> bool:
        """Whether this entry is not confirmed yet."""
        return self._entries.get(entry.key) is entry

    # Submitting ---------------------------------------------------------------------------------

    def reserve(self, key: str, ticket: K, endpoint_id: str, request: str | None = None) -> None:
        """Take a key for a task that is submitted; nothing is to be written yet.

        Raises:
            ValueError: if it is taken.
        """
        entry = Entry(next(self._numbers), key, endpoint_id, ticket=ticket, request=request)
        if self._entries.setdefault(key, entry) is not entry:
            raise ValueError(
                f"The journal holds a task with the key {key!r} already: `resume` gives it back, "
                "and `confirm` makes the key free."
            )

    def release(self, key: str, ticket: K) -> list[Write]:
        """Make the key free of a task that is given up, if it is not sent."""
        entry = self._of(key, ticket)
        if entry is None or entry.stage is not Stage.RESERVED:
            return []
        del self._entries[key]
        return [Remove(entry.number)] if entry.written else []

    def retry(self, key: str, ticket: K, request: str | None) -> None:
        """Reserve the key of a failed task for another attempt, which ``ticket`` awaits.

        What is on disk of the attempt before is replaced by the next intent, not removed.
        """
        entry = self._entries.get(key)
        if entry is None or entry.ticket not in (None, ticket):
            return
        if entry.task_id is not None:
            self._by_task.pop(entry.task_id, None)
        entry.stage, entry.ticket, entry.task_id = Stage.RESERVED, ticket, None
        entry.request = request

    def intend(self, tasks: Iterable[tuple[str, K, str]], task_group_id: str | None) -> list[Write]:
        """Note that tasks are about to be sent: each a key, a ticket and a function id."""
        writes: list[Write] = []
        for key, ticket, function_id in tasks:
            entry = self._of(key, ticket)
            if entry is not None and entry.stage is Stage.RESERVED:
                entry.function_id, entry.task_group_id = function_id, task_group_id
                writes.append(self._intent(entry))
        return writes

    def withdraw(self, tasks: Iterable[tuple[str, K]]) -> list[Write]:
        """Note that the service certainly did not take these tasks, each a key and a ticket."""
        writes: list[Write] = []
        for key, ticket in tasks:
            entry = self._of(key, ticket)
            if entry is not None and entry.stage is Stage.INTENDED:
                entry.stage, entry.written = Stage.RESERVED, False
                writes.append(Remove(entry.number))
        return writes

    def accept(self, tasks: Iterable[tuple[str, K, str]], task_group_id: str) -> list[Write]:
        """Note the receipt of tasks: each a key, a ticket and a task id."""
        writes: list[Write] = []
        for key, ticket, task_id in tasks:
            entry = self._of(key, ticket)
            if entry is not None and entry.stage is Stage.INTENDED:
                entry.stage = Stage.ACCEPTED
                entry.task_id, entry.task_group_id = task_id, task_group_id
                self._by_task[task_id] = entry
                writes.append(Accept(entry.number, task_group_id, task_id))
        return writes

    # Outcomes -----------------------------------------------------------------------------------

    def awaits(self, task_id: str) -> bool:
        """Whether the outcome of this task is to be written down."""
        return task_id in self._by_task

    def unattended(self, task_id: str) -> bool:
        """Whether this task is open, of an earlier process, and nobody awaits it yet."""
        entry = self._by_task.get(task_id)
        return entry is not None and entry.ticket is None

    def receive(self, result: Result) -> list[Write]:
        """Note a result; one without data is none yet, one of a task not in the book is nothing."""
        if result.data is None:
            return []
        entry = self._by_task.get(result.task_id)
        return [] if entry is None else self._settle(entry, result)

    def fail(self, key: str, ticket: K, failure: Failure) -> list[Write]:
        """Note that a task failed here: it was refused, say, or its submit is uncertain."""
        entry = self._of(key, ticket)
        if entry is None:  # settled, or confirmed
            return []
        intent = [self._intent(entry)] if entry.stage is Stage.RESERVED else []
        return intent + self._settle(entry, failure)

    def confirm(self, keys: Sequence[str]) -> list[Write]:
        """Note that the application has dealt with these tasks.

        Raises:
            KeyError: if the book does not hold one; none is confirmed then.
        """
        unknown = [key for key in keys if key not in self._entries]
        if unknown:
            named = ", ".join(map(repr, unknown))
            raise KeyError(f"The journal holds no task with the key {named}: confirmed already?")
        writes: list[Write] = []
        for key in dict.fromkeys(keys):
            entry = self._entries.pop(key)
            if entry.task_id is not None:
                self._by_task.pop(entry.task_id, None)
            if entry.written:
                writes.append(Remove(entry.number))
        return writes

    # How it is decided --------------------------------------------------------------------------

    def _of(self, key: str, ticket: K) -> Entry[K] | None:
        """Return the entry of a task, or None if its key is free or has another task."""
        entry = self._entries.get(key)
        return entry if entry is not None and entry.ticket is ticket else None

    def _intent(self, entry: Entry[K]) -> Write:
        entry.stage, entry.written = Stage.INTENDED, True
        return Intend(
            entry.number,
            entry.key,
            entry.endpoint_id,
            entry.function_id,
            entry.task_group_id,
            entry.request,
        )

    def _settle(self, entry: Entry[K], outcome: Outcome) -> list[Write]:
        if entry.task_id is not None:
            self._by_task.pop(entry.task_id, None)
        entry.stage, entry.ticket = Stage.SETTLED, None
        return [Settle(entry.number, outcome)]
