"""The matching table, row by row."""

from __future__ import annotations

from itertools import permutations

import pytest

from funcx_async._core.batcher import Submission
from funcx_async._core.matcher import (
    NOTED_PER_HELD,
    Duplicate,
    Fetch,
    Matcher,
    Noted,
    Orphaned,
    Settled,
)
from funcx_async._core.uncertain import judge
from funcx_async.models import ListedTask, Result


def result(task_id: str, data: str | None = "value") -> Result:
    return Result(task_id, data)


def test_a_result_for_an_open_task_settles_it():
    matcher: Matcher[str] = Matcher()
    matcher.expect("t", "ticket")
    assert matcher.received(result("t"), 7) == [Settled(("ticket",), result("t"), 7)]
    assert len(matcher) == 0


def test_the_usual_result_settles_its_one_ticket_by_the_short_way_and_once():
    matcher: Matcher[str] = Matcher()
    matcher.expect("t", "ticket")
    assert matcher.settle(result("t")) == "ticket"
    assert len(matcher) == 0
    assert matcher.settle(result("t")) is None
    assert matcher.received(result("t"), 7) == [Duplicate("t", 7)]


def test_what_is_not_the_usual_result_is_left_to_the_long_way_and_nothing_is_noted():
    matcher: Matcher[str] = Matcher()
    submit = matcher.sending()
    for task_id in ("notice", "shared", "shared"):
        matcher.expect(task_id, "ticket")
    for other in (result("notice", None), result("shared"), result("unknown")):
        assert matcher.settle(other) is None
    assert (len(matcher), matcher.held) == (2, 0)
    assert matcher.received(result("notice", None), 1) == [Fetch(("ticket",), "notice", 1)]
    assert matcher.received(result("shared"), 2) == [
        Settled(("ticket", "ticket"), result("shared"), 2)
    ]
    assert matcher.received(result("unknown"), 3) == []
    assert matcher.answered(submit) == [Orphaned("unknown", 3)]


def test_a_result_may_overtake_its_submit_reply():
    matcher: Matcher[str] = Matcher()
    submit = matcher.sending()
    assert matcher.received(result("t"), 1) == []
    assert matcher.held == 1
    assert matcher.answered(submit, [("t", "ticket")]) == [Settled(("ticket",), result("t"), 1)]
    assert matcher.held == 0


def test_an_unknown_result_is_an_orphan_while_no_submit_is_unanswered():
    matcher: Matcher[str] = Matcher()
    assert matcher.received(result("t"), 1) == [Orphaned("t", 1)]


def test_a_held_result_becomes_an_orphan_once_all_submits_of_its_arrival_are_answered():
    matcher: Matcher[str] = Matcher()
    first, second = matcher.sending(), matcher.sending()
    matcher.received(result("t"), 1)
    assert matcher.answered(first, [("other", "ticket")]) == []
    third = matcher.sending()  # came later, so it cannot explain the result
    assert matcher.answered(second) == [Orphaned("t", 1)]
    assert matcher.unanswered == 1
    assert matcher.answered(third) == []


def test_submits_may_be_answered_in_any_order():
    for order in permutations(range(3)):
        matcher: Matcher[int] = Matcher()
        submits = [matcher.sending() for _ in range(3)]
        for number in range(3):
            assert matcher.received(result(f"t{number}"), number) == []
        settled = []
        for number in order:
            events = matcher.answered(submits[number], [(f"t{number}", number)])
            settled += [event.tickets for event in events if isinstance(event, Settled)]
        assert sorted(settled) == [(0,), (1,), (2,)]
        assert matcher.held == 0


def test_a_second_result_is_a_duplicate():
    matcher: Matcher[str] = Matcher()
    matcher.expect("t", "ticket")
    matcher.received(result("t"), 1)
    assert matcher.received(result("t"), 2) == [Duplicate("t", 2)]


def test_settled_tasks_are_remembered_for_two_generations_and_no_longer():
    matcher: Matcher[int] = Matcher(remembered=2)
    for number in range(5):
        matcher.expect(f"t{number}", number)
        matcher.received(result(f"t{number}"))
    assert matcher.received(result("t4"), 1) == [Duplicate("t4", 1)]
    assert matcher.received(result("t2"), 1) == [Duplicate("t2", 1)]
    assert matcher.received(result("t0"), 1) == [Orphaned("t0", 1)]


def test_over_the_limit_of_held_results_only_the_id_is_kept_and_the_result_is_fetched():
    matcher: Matcher[str] = Matcher(max_held=1)
    submit = matcher.sending()
    assert matcher.received(result("t1"), 1) == []
    assert matcher.received(result("t2"), 2) == [Noted("t2", 2)]
    assert matcher.answered(submit, [("t1", "one"), ("t2", "two")]) == [
        Settled(("one",), result("t1"), 1),
        Fetch(("two",), "t2"),
    ]
    assert matcher.received(result("t2")) == [Settled(("two",), result("t2"))]


def test_large_held_results_count_by_size():
    matcher: Matcher[str] = Matcher(max_held_size=1_000)
    submit = matcher.sending()
    assert matcher.received(result("t1", "x" * 700), 1) == []
    assert matcher.received(result("t2", "x" * 700), 2) == [Noted("t2", 2)]
    matcher.answered(submit, [("t1", "one")])
    matcher.sending()
    assert matcher.received(result("t3", "x" * 700), 3) == []


def test_noted_ids_are_bounded_too():
    matcher: Matcher[str] = Matcher(max_held=1)
    matcher.sending()
    for number in range(NOTED_PER_HELD):
        matcher.received(result(f"t{number}"), number)
    assert matcher.received(result("one more"), 0) == [Orphaned("one more", 0)]
    assert matcher.held == NOTED_PER_HELD


def test_a_held_result_that_is_delivered_again_keeps_its_newest_tag_and_gives_back_the_other():
    matcher: Matcher[str] = Matcher()
    submit = matcher.sending()
    matcher.received(result("t"), "first delivery")
    assert matcher.received(result("t"), "second") == [Duplicate("t", "first delivery")]
    events = matcher.answered(submit, [("t", "ticket")])
    assert events == [Settled(("ticket",), result("t"), "second")]


def test_a_noted_result_that_is_delivered_again_is_noted_again():
    matcher: Matcher[str] = Matcher(max_held=1)
    matcher.sending()
    matcher.received(result("t1"), 1)
    assert matcher.received(result("t2"), 2) == [Noted("t2", 2)]
    assert matcher.received(result("t2"), 3) == [Noted("t2", 3)]


def test_a_noted_result_that_nobody_claims_is_an_orphan_without_a_tag():
    matcher: Matcher[str] = Matcher(max_held=1)
    submit = matcher.sending()
    matcher.received(result("t1"), 1)
    matcher.received(result("t2"), 2)
    assert matcher.answered(submit) == [Orphaned("t1", 1), Orphaned("t2", None)]


def test_a_notice_without_a_result_is_fetched_and_stays_open_until_then():
    matcher: Matcher[str] = Matcher()
    matcher.expect("t", "ticket")
    assert matcher.received(result("t", None), 5) == [Fetch(("ticket",), "t", 5)]
    assert len(matcher) == 1
    assert matcher.received(result("t")) == [Settled(("ticket",), result("t"))]


def test_a_held_notice_is_fetched_when_its_receipt_comes():
    matcher: Matcher[str] = Matcher()
    submit = matcher.sending()
    assert matcher.received(result("t", None), 5) == []
    assert matcher.answered(submit, [("t", "ticket")]) == [Fetch(("ticket",), "t", 5)]


def test_two_executors_may_await_one_task():
    matcher: Matcher[str] = Matcher()
    matcher.expect("t", "one")
    assert matcher.expect("t", "two") == []
    assert matcher.received(result("t", None), 1) == [Fetch(("one", "two"), "t", 1)]
    assert matcher.received(result("t"), 2) == [Settled(("one", "two"), result("t"), 2)]
    assert len(matcher) == 0


def test_a_task_that_is_awaited_already_may_be_that_of_a_submit():
    matcher: Matcher[str] = Matcher()
    submit = matcher.sending()
    matcher.expect("t", "reloaded")
    assert matcher.answered(submit, [("t", "submitted")]) == []
    assert matcher.received(result("t")) == [Settled(("reloaded", "submitted"), result("t"))]


def test_a_forgotten_task_is_no_longer_open_and_its_result_a_duplicate():
    matcher: Matcher[str] = Matcher()
    matcher.expect("t", "ticket")
    matcher.forget("t", "ticket")
    assert len(matcher) == 0
    assert matcher.received(result("t"), 1) == [Duplicate("t", 1)]


def test_forgetting_one_ticket_leaves_the_others():
    matcher: Matcher[str] = Matcher()
    for ticket in ("one", "two", "three"):
        matcher.expect("t", ticket)
    matcher.forget("t", "one")
    assert list(matcher.open_tasks()) == [("t", ("two", "three"))]
    matcher.forget("t", "three")
    assert matcher.received(result("t")) == [Settled(("two",), result("t"))]


def test_open_tasks_come_oldest_first():
    matcher: Matcher[int] = Matcher()
    for number in range(3):
        matcher.expect(f"t{number}", number)
    matcher.received(result("t1"))
    assert list(matcher.open_tasks()) == [("t0", (0,)), ("t2", (2,))]


def test_a_task_is_awaited_from_its_receipt_to_its_result():
    matcher: Matcher[str] = Matcher()
    matcher.answered(matcher.sending(), [("t", "ticket")])
    assert matcher.awaits("t")
    assert not matcher.awaits("another")
    matcher.received(Result("t", "value"))
    assert not matcher.awaits("t")


# What is accounted for ----------------------------------------------------------------------------


def test_tasks_of_answered_submits_are_accounted_for():
    matcher: Matcher[str] = Matcher()
    matcher.answered(matcher.sending(), [("t", "ticket"), ("u", "another")])
    matcher.received(result("t"))
    matcher.expect("u", "the same, reloaded")
    assert matcher.known_task_count == 2
    assert [matcher.knows(task_id) for task_id in ("t", "u", "v")] == [True, True, False]


def test_results_of_released_tasks_are_duplicates_and_the_account_goes_on():
    matcher: Matcher[str] = Matcher()
    matcher.answered(matcher.sending(), [("t", "ticket")])
    matcher.disown(["u", "v"], complete=True)
    assert matcher.known_task_count == 3
    assert matcher.received(result("u"), 1) == [Duplicate("u", 1)]


def test_results_of_released_tasks_that_were_held_are_let_go():
    matcher: Matcher[str] = Matcher(max_held=1)
    submit = matcher.sending()
    matcher.received(result("t"), 1)
    matcher.received(result("u"), 2)
    assert matcher.disown(["t", "u"], complete=True) == [Duplicate("t", 1), Duplicate("u", None)]
    assert matcher.answered(submit) == []
    assert matcher.held == 0


def test_where_more_tasks_may_turn_up_there_is_no_account_any_more():
    matcher: Matcher[str] = Matcher()
    matcher.disown([], complete=False)
    matcher.answered(matcher.sending(), [("t", "ticket")])
    matcher.disown(["u"], complete=True)
    assert matcher.known_task_count is None


def test_it_says_when_it_has_forgotten_tasks():
    matcher: Matcher[str] = Matcher(remembered=2)
    for number in range(6):
        assert matcher.remembers_all is (number < 5)
        matcher.expect(f"t{number}", "ticket")
        matcher.received(result(f"t{number}"))


@pytest.mark.parametrize("on_the_wire", [True, False])
def test_an_unknown_task_that_is_reloaded_ends_the_account_for_nobody_knows_whose_it_is(
    on_the_wire,
):
    matcher: Matcher[str] = Matcher()
    if on_the_wire:
        matcher.sending()
    matcher.expect("reloaded", "ticket")
    assert matcher.known_task_count is None


def test_a_forgotten_task_is_never_taken_for_one_that_was_lost_and_reloaded_meanwhile():
    matcher: Matcher[str] = Matcher(remembered=1)
    for task_id in ("forgotten", "before", "last"):
        matcher.answered(matcher.sending(), [(task_id, "ticket")])
        matcher.received(result(task_id))
    matcher.sending()  # the answer is lost, and another executor reloads the group
    matcher.expect("lost", "another ticket")
    there = [ListedTask(name, f"{n}") for n, name in enumerate(["forgotten", "before", "last"])]
    verdict = judge(
        [Submission("my ticket", "f", "payload")],
        [*there, ListedTask("lost", "9")],
        knows=matcher.knows,
        known_task_count=matcher.known_task_count,
    )
    assert verdict.adopted == ()
    assert not verdict.complete
