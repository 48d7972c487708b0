"""What a journal writes down, and that no crash between two writes loses what it promised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from funcx_async._core.book import (
    Accept,
    Book,
    Entry,
    Failure,
    Intend,
    Outcome,
    Remove,
    Settle,
    Stage,
    Write,
)
from funcx_async.models import Result

REFUSED = Failure("RequestRefused", "no")
MINE, ANOTHER = "my ticket", "another ticket"


def intended(book: Book[Any], *keys: str) -> None:
    for key in keys:
        book.reserve(key, MINE, "endpoint")
    book.intend([(key, MINE, "f") for key in keys], "group")


def accepted(book: Book[Any], *keys: str) -> None:
    intended(book, *keys)
    book.accept([(key, MINE, f"task of {key}") for key in keys], "group")


def stages(book: Book[Any]) -> dict[str, Stage]:
    return {entry.key: entry.stage for entry in book.unconfirmed()}


def test_a_task_is_written_down_before_it_is_sent_when_it_is_taken_and_when_it_is_done():
    book: Book[str] = Book()
    book.reserve("k", MINE, "endpoint")
    assert book.intend([("k", MINE, "f")], None) == [Intend(1, "k", "endpoint", "f", None)]
    assert book.accept([("k", MINE, "t")], "group") == [Accept(1, "group", "t")]
    result = Result("t", "42")
    assert book.awaits("t")
    assert book.receive(result) == [Settle(1, result)]
    assert not book.awaits("t")
    assert "k" in book
    assert book.confirm(["k"]) == [Remove(1)]
    assert len(book) == 0


def test_a_key_is_taken_until_it_is_confirmed():
    book: Book[str] = Book()
    book.reserve("k", MINE, "endpoint")
    with pytest.raises(ValueError, match="'k' already: `resume`"):
        book.reserve("k", ANOTHER, "endpoint")
    book.confirm(["k"])
    book.reserve("k", ANOTHER, "endpoint")


def test_a_key_is_free_again_when_its_task_is_given_up_before_it_was_sent():
    book: Book[str] = Book()
    book.reserve("k", MINE, "endpoint")
    book.release("k", ANOTHER)
    assert "k" in book
    book.release("k", MINE)
    assert "k" not in book
    intended(book, "k")
    book.release("k", MINE)
    assert stages(book) == {"k": Stage.INTENDED}


def test_what_the_service_did_not_take_was_never_tried():
    book: Book[str] = Book()
    intended(book, "k")
    assert book.withdraw([("k", MINE)]) == [Remove(1)]
    assert book.withdraw([("k", MINE)]) == []
    assert book.intend([("k", MINE, "f")], None) == [Intend(1, "k", "endpoint", "f", None)]


def test_an_intent_is_written_once_however_often_its_batch_is_cut():
    book: Book[str] = Book()
    intended(book, "a", "b")
    assert book.intend([("a", MINE, "f")], "group") == []


def test_only_the_first_result_is_kept_and_a_notice_without_data_is_none():
    book: Book[str] = Book()
    accepted(book, "k")
    assert book.receive(Result("task of k", None)) == []
    assert book.receive(Result("task of nobody", "1")) == []
    assert book.receive(Result("task of k", "1")) == [Settle(1, Result("task of k", "1"))]
    assert book.receive(Result("task of k", "2")) == []
    assert book.fail("k", MINE, REFUSED) == []


def test_a_failure_is_an_outcome_at_whatever_stage():
    book: Book[str] = Book()
    book.reserve("a", MINE, "endpoint")
    assert book.fail("a", MINE, REFUSED) == [
        Intend(1, "a", "endpoint", None, None),
        Settle(1, REFUSED),
    ]
    accepted(book, "b")
    assert book.fail("b", MINE, REFUSED) == [Settle(2, REFUSED)]
    assert book.receive(Result("task of b", "1")) == []
    assert book.fail("c", MINE, REFUSED) == []


def test_confirming_what_is_not_there_confirms_nothing():
    book: Book[str] = Book()
    intended(book, "a")
    with pytest.raises(KeyError, match="'b', 'c'"):
        book.confirm(["a", "b", "c"])
    assert stages(book) == {"a": Stage.INTENDED}
    assert book.confirm(["a", "a"]) == [Remove(1)]


def test_a_task_confirmed_while_it_is_open_is_written_of_no_more():
    book: Book[str] = Book()
    intended(book, "a")
    accepted(book, "b")
    entry = book.unconfirmed()[0]
    assert book.holds(entry)
    book.confirm(["a", "b"])
    assert not book.holds(entry)
    book.reserve("a", ANOTHER, "endpoint")
    assert book.accept([("a", MINE, "t")], "group") == []
    assert book.receive(Result("task of b", "1")) == []
    assert stages(book) == {"a": Stage.RESERVED}


def test_the_next_process_knows_what_this_one_wrote():
    book: Book[str] = Book(
        [
            Entry(3, "a", "endpoint", Stage.INTENDED),
            Entry(5, "b", "endpoint", Stage.ACCEPTED, task_group_id="group", task_id="t"),
            Entry(6, "c", "endpoint", Stage.SETTLED, task_group_id="group", task_id="u"),
        ]
    )
    assert book.awaits("t")
    assert book.unattended("t")
    assert not book.awaits("u")
    assert not book.unattended("u")
    assert book.receive(Result("t", "1")) == [Settle(5, Result("t", "1"))]
    book.reserve("d", MINE, "endpoint")
    assert [entry.number for entry in book.unconfirmed()] == [3, 5, 6, 7]


class Disk:
    """What a journal's file is to the book: writes in order, the last of them lost in a crash."""

    def __init__(self) -> None:
        self.rows: dict[int, Entry[Any]] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.behind: list[Write] = []

    def sync(self) -> None:
        for write in self.behind:
            self._apply(write)
        self.behind = []

    def _apply(self, write: Write) -> None:
        match write:
            case Intend(number, key, endpoint_id, function_id, group):
                assert number not in self.rows, "a number is used once"
                assert key not in {entry.key for entry in self.rows.values()}, "keys are unique"
                self.rows[number] = Entry(
                    number,
                    key,
                    endpoint_id,
                    Stage.INTENDED,
                    function_id=function_id,
                    task_group_id=group,
                )
            case Accept(number, group, task_id):
                row = self.rows[number]
                row.task_group_id, row.task_id, row.stage = group, task_id, Stage.ACCEPTED
            case Settle(number, outcome):
                assert number not in self.outcomes, "an outcome is written once"
                self.rows[number].stage = Stage.SETTLED
                self.outcomes[number] = outcome
            case Remove(number):
                del self.rows[number]
                self.outcomes.pop(number, None)


KEYS = st.sampled_from("abcde")


class Crashes(RuleBasedStateMachine):
    """An application, a service, a book and a disk; any of the last writes may be lost."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()
        self.tasks = 0
        self.restart()

    def restart(self) -> None:
        rows = [
            Entry(
                row.number,
                row.key,
                row.endpoint_id,
                row.stage,
                function_id=row.function_id,
                task_group_id=row.task_group_id,
                task_id=row.task_id,
            )
            for row in self.disk.rows.values()
        ]
        self.book: Book[object] = Book(sorted(rows, key=lambda row: row.number))
        self.tickets: dict[str, object] = {}
        # What was reported once its writes were on disk.
        self.promised: dict[str, str] = {
            row.key: row.task_id for row in rows if row.task_id and row.stage is Stage.ACCEPTED
        }
        self.settled: dict[str, Outcome] = {
            row.key: self.disk.outcomes[row.number] for row in rows if row.stage is Stage.SETTLED
        }
        self.confirmed: set[str] = set()

    def write(self, writes: list[Write], *, wait: bool) -> None:
        self.disk.behind += writes
        if wait:
            self.disk.sync()

    @rule(key=KEYS)
    def submit(self, key: str) -> None:
        ticket = object()
        if key in self.book:
            with pytest.raises(ValueError, match="already"):
                self.book.reserve(key, ticket, "endpoint")
        else:
            self.book.reserve(key, ticket, "endpoint")
            self.tickets[key] = ticket
            self.confirmed.discard(key)

    @rule(keys=st.sets(KEYS, min_size=1))
    def send(self, keys: set[str]) -> None:
        known = [(key, self.tickets[key], "f") for key in sorted(keys) if key in self.tickets]
        self.write(self.book.intend(known, "group"), wait=True)

    @rule(key=KEYS)
    def refuse_for_now(self, key: str) -> None:
        if key in self.tickets:
            self.write(self.book.withdraw([(key, self.tickets[key])]), wait=False)

    @rule(keys=st.sets(KEYS, min_size=1))
    def take(self, keys: set[str]) -> None:
        tasks = []
        for key in sorted(keys):
            if key in self.tickets:
                self.tasks += 1
                tasks.append((key, self.tickets[key], f"task {self.tasks}"))
        writes = self.book.accept(tasks, "group")
        self.write(writes, wait=True)
        numbers = {write.number: write for write in writes}
        for entry in self.book.unconfirmed():
            if entry.number in numbers:
                assert entry.task_id is not None
                self.promised[entry.key] = entry.task_id

    @rule(key=KEYS, data=st.sampled_from(["1", "2"]), wait=st.booleans())
    def finish(self, key: str, data: str, wait: bool) -> None:
        if key in self.promised:
            task_id = self.promised[key]
            first = self.book.awaits(task_id)
            self.write(self.book.receive(Result(task_id, data)), wait=wait)
            if first and wait:
                self.settled[key] = Result(task_id, data)
                del self.promised[key]

    @rule(key=KEYS, wait=st.booleans())
    def fail(self, key: str, wait: bool) -> None:
        ticket = self.tickets.get(key)
        if ticket is not None and key not in self.promised:
            writes = self.book.fail(key, ticket, REFUSED)
            self.write(writes, wait=wait)
            if writes and wait:
                self.settled[key] = REFUSED

    @rule(key=KEYS)
    def confirm(self, key: str) -> None:
        if key not in self.book:
            with pytest.raises(KeyError):
                self.book.confirm([key])
            return
        self.write(self.book.confirm([key]), wait=True)
        self.promised.pop(key, None)
        self.settled.pop(key, None)
        self.tickets.pop(key, None)
        self.confirmed.add(key)

    @rule()
    def catch_up(self) -> None:
        self.disk.sync()

    @rule(share=st.floats(0, 1))
    def crash(self, share: float) -> None:
        promised, settled, confirmed = self.promised, self.settled, self.confirmed
        self.disk.behind = self.disk.behind[: int(share * len(self.disk.behind))]
        self.disk.sync()
        self.restart()
        open_or_settled = {
            entry.key: entry for entry in self.book.unconfirmed() if entry.task_id is not None
        }
        for key, task_id in promised.items():
            assert open_or_settled[key].task_id == task_id, "a receipt on disk is never lost"
        for key, outcome in settled.items():
            assert self.settled[key] == outcome, "an outcome on disk is the first, and stays"
        for key in confirmed:
            assert key not in self.book, "what is confirmed does not come back"

    @precondition(lambda self: not self.disk.behind)
    @invariant()
    def the_file_holds_what_the_book_holds(self) -> None:
        held = {
            entry.key: (entry.number, entry.stage, entry.task_id)
            for entry in self.book.unconfirmed()
            if entry.stage is not Stage.RESERVED
        }
        rows = {row.key: (row.number, row.stage, row.task_id) for row in self.disk.rows.values()}
        assert held == rows


TestCrashes = Crashes.TestCase


# Further attempts ---------------------------------------------------------------------------------


def test_a_further_attempt_takes_the_place_of_the_one_before():
    book: Book[object] = Book()
    book.reserve("k", MINE, "ep", "request")
    book.intend([("k", MINE, "f")], "g")
    book.accept([("k", MINE, "t1")], "g")
    book.receive(Result("t1", None, "an error"))
    book.retry("k", MINE, "one attempt less")
    assert not book.awaits("t1")
    assert book.intend([("k", MINE, "f")], "g2") == [
        Intend(1, "k", "ep", "f", "g2", "one attempt less")
    ]
    assert book.accept([("k", MINE, "t2")], "g2") == [Accept(1, "g2", "t2")]
    assert book.confirm(["k"]) == [Remove(1)]


def test_what_is_given_up_between_two_attempts_is_struck_out():
    book: Book[object] = Book()
    book.reserve("k", MINE, "ep")
    assert book.release("k", MINE) == []
    book.reserve("k", MINE, "ep")
    book.intend([("k", MINE, "f")], "g")
    book.retry("k", MINE, None)
    assert book.release("k", MINE) == [Remove(2)]
    assert len(book) == 0


def test_a_key_that_is_confirmed_or_of_another_task_is_not_reserved_again():
    book: Book[object] = Book()
    book.retry("k", MINE, None)
    assert len(book) == 0
    book.reserve("k", MINE, "ep")
    book.retry("k", ANOTHER, None)
    assert book.release("k", ANOTHER) == []
    assert len(book) == 1
