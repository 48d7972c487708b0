"""Tickets whose time comes, in any number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from funcx_async._core.deadlines import Deadlines


def test_without_tickets_there_is_nothing_to_wait_for():
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.next is None
    assert deadlines.due(1e9) == []


def test_tickets_come_back_in_the_order_of_their_times():
    deadlines: Deadlines[str] = Deadlines()
    for ticket, due in [("c", 3.0), ("a", 1.0), ("b", 2.0)]:
        deadlines.add(ticket, due)
    assert deadlines.next == 1.0
    assert deadlines.due(2.0) == ["a", "b"]
    assert deadlines.next == 3.0
    assert len(deadlines) == 1


def test_what_was_added_first_comes_first_at_the_same_time():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.add("z", 1.0)
    deadlines.add("a", 1.0)
    assert deadlines.due(1.0) == ["z", "a"]


def test_no_more_come_back_than_are_asked_for():
    deadlines: Deadlines[str] = Deadlines()
    for ticket in "abc":
        deadlines.add(ticket, 1.0)
    assert deadlines.due(2.0, at_most=2) == ["a", "b"]
    assert deadlines.due(2.0, at_most=2) == ["c"]


def test_a_discarded_ticket_does_not_come_back_and_is_not_waited_for():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.add("a", 1.0)
    deadlines.add("b", 2.0)
    deadlines.discard("a")
    deadlines.discard("never added")
    assert deadlines.next == 2.0
    assert deadlines.due(5.0) == ["b"]


def test_a_new_time_for_a_ticket_replaces_the_old_one():
    deadlines: Deadlines[str] = Deadlines()
    deadlines.add("a", 1.0)
    deadlines.add("a", 3.0)
    assert len(deadlines) == 1
    assert deadlines.due(2.0) == []
    assert deadlines.due(3.0) == ["a"]


def test_after_many_were_discarded_the_rest_is_as_it_was():
    deadlines: Deadlines[int] = Deadlines()
    for number in range(1_000):
        deadlines.add(number, float(1_000 - number))
    for number in range(1_000):
        if number % 100:
            deadlines.discard(number)
    assert len(deadlines) == 10
    assert deadlines.next == 100.0
    assert deadlines.due(1_000.0) == list(range(900, -1, -100))


TIMES = st.floats(0, 10)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 200), TIMES),
        st.tuples(st.just("discard"), st.integers(0, 200), TIMES),
        st.tuples(st.just("due"), st.just(0), TIMES),
    ),
    max_size=300,
)


@given(STEPS)
def test_whatever_happens_it_does_as_a_plain_table_of_times_would(steps):
    deadlines: Deadlines[int] = Deadlines()
    table: dict[int, float] = {}
    for what, ticket, time in steps:
        if what == "add":
            deadlines.add(ticket, time)
            table[ticket] = time
        elif what == "discard":
            deadlines.discard(ticket)
            table.pop(ticket, None)
        else:
            given_back = deadlines.due(time)
            due = {ticket for ticket, when in table.items() if when <= time}
            assert set(given_back) == due
            times = [table.pop(ticket) for ticket in given_back]
            assert times == sorted(times)
        assert deadlines.next == min(table.values(), default=None)
        assert len(deadlines) == len(table)
