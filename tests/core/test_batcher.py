"""Which submissions go together, and when."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from funcx_async._core import batcher as module
from funcx_async._core.batcher import ENVELOPE, Batch, Batcher, Route, Submission, read_receipt
from funcx_async.models import Receipt

GROUP = Route("an endpoint", "a group")
LEADERLESS = Route("an endpoint")


def anybody(ticket: object) -> bool:
    return True


def queued(route: Route, tickets: range | list[int], **options: int) -> Batcher[int, str]:
    batcher: Batcher[int, str] = Batcher(**options)
    for ticket in tickets:
        batcher.add(route, Submission(ticket, "f", "payload"))
    return batcher


def tickets(batch: Batch[int, str] | None) -> list[int]:
    return [] if batch is None else [submission.ticket for submission in batch.submissions]


def test_an_idle_wire_takes_whatever_is_queued():
    batcher = queued(GROUP, range(3))
    assert tickets(batcher.next_batch(128, anybody)) == [0, 1, 2]
    assert len(batcher) == 0
    assert batcher.posts == 1


def test_nothing_queued_gives_no_batch():
    assert Batcher[int, str]().next_batch(128, anybody) is None


def test_a_batch_has_no_more_than_the_batch_size():
    batcher = queued(GROUP, range(5))
    assert tickets(batcher.next_batch(2, anybody)) == [0, 1]
    assert len(batcher) == 3


def test_batches_are_numbered_and_what_is_cut_from_one_keeps_its_number():
    batcher = queued(GROUP, range(6))
    batches = [batcher.next_batch(2, anybody) for _ in range(3)]
    assert [batch.number for batch in batches if batch is not None] == [1, 2, 3]
    assert batches[1] is not None
    assert [half.number for half in batches[1].halves()] == [2, 2]


def test_while_a_post_is_on_the_wire_batches_grow_and_only_a_full_one_follows():
    batcher = queued(GROUP, range(2))
    first = batcher.next_batch(2, anybody)
    batcher.add(GROUP, Submission(2, "f", "payload"))
    assert batcher.next_batch(2, anybody) is None
    batcher.add(GROUP, Submission(3, "f", "payload"))
    assert tickets(batcher.next_batch(2, anybody)) == [2, 3]
    batcher.add(GROUP, Submission(4, "f", "payload"))
    assert first is not None
    batcher.answered(first)
    assert batcher.next_batch(2, anybody) is None


def test_once_all_posts_are_answered_the_rest_goes():
    batcher = queued(GROUP, range(3))
    first = batcher.next_batch(2, anybody)
    assert batcher.next_batch(2, anybody) is None
    assert first is not None
    batcher.answered(first)
    assert tickets(batcher.next_batch(2, anybody)) == [2]


def test_no_more_than_so_many_posts_are_on_the_wire():
    batcher = queued(GROUP, range(10), max_posts=2)
    assert tickets(batcher.next_batch(2, anybody)) == [0, 1]
    assert tickets(batcher.next_batch(2, anybody)) == [2, 3]
    assert batcher.next_batch(2, anybody) is None


def test_routes_do_not_mix_and_take_turns():
    other = GROUP._replace(endpoint_id="another endpoint")
    batcher = queued(GROUP, range(4))
    batcher.add(other, Submission(10, "f", "payload"))
    batcher.add(other, Submission(11, "f", "payload"))
    assert tickets(batcher.next_batch(2, anybody)) == [0, 1]
    assert tickets(batcher.next_batch(2, anybody)) == [10, 11]
    assert tickets(batcher.next_batch(2, anybody)) == [2, 3]


def test_the_first_batch_without_a_task_group_goes_alone_and_the_rest_follows_into_its_group():
    batcher = queued(LEADERLESS, range(4))
    leader = batcher.next_batch(2, anybody)
    assert tickets(leader) == [0, 1]
    assert batcher.next_batch(2, anybody) is None
    assert leader is not None
    batcher.answered(leader, "made")
    follower = batcher.next_batch(2, anybody)
    assert tickets(follower) == [2, 3]
    assert follower is not None
    assert follower.route.task_group_id == "made"


def test_what_waited_for_the_group_goes_before_what_knew_it():
    batcher = queued(LEADERLESS, range(3))
    leader = batcher.next_batch(1, anybody)
    batcher.add(LEADERLESS._replace(task_group_id="made"), Submission(9, "f", "payload"))
    assert leader is not None
    batcher.answered(leader, "made")
    assert tickets(batcher.next_batch(128, anybody)) == [1, 2, 9]


def test_if_the_leader_fails_the_next_batch_leads():
    batcher = queued(LEADERLESS, range(2))
    leader = batcher.next_batch(1, anybody)
    assert leader is not None
    batcher.answered(leader)
    next_leader = batcher.next_batch(1, anybody)
    assert tickets(next_leader) == [1]
    assert next_leader is not None
    assert next_leader.route.task_group_id is None


def test_a_full_batch_of_a_known_group_need_not_wait_for_a_leader():
    batcher = queued(LEADERLESS, range(1))
    batcher.next_batch(2, anybody)
    for ticket in (5, 6):
        batcher.add(GROUP, Submission(ticket, "f", "payload"))
    assert tickets(batcher.next_batch(2, anybody)) == [5, 6]


def test_a_full_batch_without_a_group_waits_for_the_leader_and_then_follows():
    batcher = queued(LEADERLESS, range(3))
    leader = batcher.next_batch(1, anybody)
    assert batcher.next_batch(1, anybody) is None
    assert leader is not None
    batcher.answered(leader)
    assert tickets(batcher.next_batch(1, anybody)) == [1]


def test_a_full_batch_without_a_group_leads_beside_one_of_a_known_group():
    batcher = queued(GROUP, range(1))
    batcher.next_batch(2, anybody)
    for ticket in (5, 6):
        batcher.add(LEADERLESS, Submission(ticket, "f", "payload"))
    assert tickets(batcher.next_batch(2, anybody)) == [5, 6]


def test_a_smaller_batch_size_fills_batches_that_were_not_full():
    batcher = queued(GROUP, range(5))
    batcher.next_batch(3, anybody)
    assert batcher.next_batch(3, anybody) is None
    assert tickets(batcher.next_batch(2, anybody)) == [3, 4]


def test_a_larger_batch_size_lets_a_batch_grow_that_was_full():
    batcher = queued(GROUP, range(4))
    batcher.next_batch(2, anybody)
    assert batcher.next_batch(3, anybody) is None


def test_a_full_batch_of_which_some_expire_is_not_full_any_more():
    batcher = queued(GROUP, range(2))
    batcher.next_batch(2, anybody)
    batcher.add(GROUP, Submission(2, "f", "payload", wait_until=1.0))
    batcher.add(GROUP, Submission(3, "f", "payload"))
    assert [submission.ticket for submission in batcher.expire(2.0)] == [2]
    assert batcher.next_batch(2, anybody) is None


def test_a_task_group_that_is_held_up_waits_and_others_go():
    other = GROUP._replace(task_group_id="another")
    batcher = queued(GROUP, range(2))
    batcher.hold("a group")
    batcher.add(GROUP, Submission(2, "f", "payload"))
    assert batcher.next_batch(3, anybody) is None
    batcher.add(other, Submission(9, "f", "payload"))
    assert tickets(batcher.next_batch(3, anybody)) == [9]
    assert batcher.next_batch(3, anybody) is None
    assert len(batcher) == 3
    batcher.release("a group")
    assert tickets(batcher.next_batch(3, anybody)) == [0, 1, 2]


def test_what_is_put_back_while_its_group_is_held_up_goes_first_afterwards():
    batcher = queued(GROUP, range(3))
    batch = batcher.next_batch(2, anybody)
    assert batch is not None
    batcher.hold("a group")
    batcher.answered(batch)
    batcher.put_back(batch.route, batch.submissions)
    assert batcher.next_batch(2, anybody) is None
    batcher.release("a group")
    assert tickets(batcher.next_batch(3, anybody)) == [0, 1, 2]


def test_what_waited_for_a_group_waits_on_if_that_is_held_up():
    batcher = queued(LEADERLESS, range(2))
    leader = batcher.next_batch(1, anybody)
    assert leader is not None
    batcher.hold("made")
    batcher.answered(leader, "made")
    assert batcher.next_batch(1, anybody) is None
    batcher.release("made")
    assert tickets(batcher.next_batch(1, anybody)) == [1]


def steps_to_send(routes: int, group: str | None) -> int:
    """Send a task on each of so many routes; how many lines of the batcher that runs."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        if frame.f_code.co_filename != module.__file__:
            return None
        steps += 1
        return trace

    batcher: Batcher[int, str] = Batcher()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for ticket in range(routes):
            batcher.add(Route(f"endpoint {ticket}", group), Submission(ticket, "f", "payload"))
        while batch := batcher.next_batch(128, anybody):
            batcher.answered(batch, "made")
            if batch.number % 10 == 1:
                batcher.put_back(batch.route, batch.submissions)
                batch = batcher.next_batch(128, anybody)
                assert batch is not None
                assert batcher.next_batch(128, anybody) is None
                batcher.answered(batch, "made")
    finally:
        sys.settrace(before)
    assert len(batcher) == 0
    return steps


@pytest.mark.parametrize("group", ["a group", None])
def test_sending_costs_the_same_for_each_task_however_many_routes_there_are(group: str | None):
    assert steps_to_send(800, group) < 2.2 * steps_to_send(400, group)


def test_what_was_withdrawn_is_left_out_and_makes_room():
    batcher = queued(GROUP, range(5))
    assert tickets(batcher.next_batch(2, lambda ticket: ticket % 2 == 0)) == [0, 2]


def test_a_queue_of_withdrawn_submissions_gives_no_batch_and_is_gone():
    batcher = queued(GROUP, range(3))
    assert batcher.next_batch(2, lambda ticket: False) is None
    assert len(batcher) == 0
    assert batcher.posts == 0
    assert batcher.next_batch(2, anybody) is None


def test_what_is_put_back_goes_first():
    batcher = queued(GROUP, range(3))
    first = batcher.next_batch(2, anybody)
    assert first is not None
    batcher.add(GROUP._replace(endpoint_id="another"), Submission(9, "f", "payload"))
    batcher.answered(first)
    batcher.put_back(first.route, first.submissions)
    assert tickets(batcher.next_batch(128, anybody)) == [0, 1, 2]


def test_putting_back_nothing_changes_nothing():
    batcher = queued(GROUP, [])
    batcher.put_back(GROUP, [])
    assert batcher.next_batch(1, anybody) is None


def test_a_submission_is_put_back_even_when_its_queue_was_emptied():
    batcher = queued(GROUP, range(1))
    batch = batcher.next_batch(1, anybody)
    assert batch is not None
    batcher.answered(batch)
    batcher.put_back(GROUP, batch.submissions)
    assert len(batcher) == 1
    assert tickets(batcher.next_batch(1, anybody)) == [0]


def test_a_batch_stays_under_the_limit_of_bytes():
    batcher: Batcher[int, str] = Batcher(max_body=ENVELOPE + 10_000)
    for ticket in range(3):
        batcher.add(GROUP, Submission(ticket, "f", "x" * 4_000))
    assert tickets(batcher.next_batch(128, anybody)) == [0, 1]
    assert batcher.next_batch(128, anybody) is None


def test_a_queue_with_enough_bytes_counts_as_full():
    batcher: Batcher[int, str] = Batcher(max_body=ENVELOPE + 10_000)
    for ticket in range(6):
        batcher.add(GROUP, Submission(ticket, "f", "x" * 4_000))
    assert tickets(batcher.next_batch(128, anybody)) == [0, 1]
    assert tickets(batcher.next_batch(128, anybody)) == [2, 3]


def test_a_submission_beyond_the_limit_goes_alone():
    batcher: Batcher[int, str] = Batcher(max_body=ENVELOPE + 100)
    batcher.add(GROUP, Submission(0, "f", "x" * 5_000))
    batcher.add(GROUP, Submission(1, "f", "payload"))
    assert tickets(batcher.next_batch(128, anybody)) == [0]


@pytest.mark.parametrize(
    "payload",
    ["", "x" * 10, "\n" * 999, '"\\\n' * 1_000, "é☃🚀" * 1_000, "y" * 100_000],
    ids=["empty", "small", "small escapes", "large escapes", "not ASCII", "large"],
)
def test_the_size_of_a_submission_is_an_upper_bound(payload: str):
    encoded = len(payload.encode()) + sum(payload.count(character) for character in '\n"\\') + 3
    submission = Submission(0, "f", payload)
    Batcher[int, str]().add(GROUP, submission)
    assert submission.size >= encoded


def test_a_limit_holds_for_what_is_queued_and_not_for_what_comes_later():
    batcher = queued(GROUP, range(2))
    batcher.limit(5.0)
    batcher.add(GROUP, Submission(2, "f", "payload", wait_until=9.0))
    batcher.add(GROUP, Submission(3, "f", "payload"))
    assert batcher.expire(5.0) == []
    assert [submission.ticket for submission in batcher.expire(6.0)] == [0, 1]
    assert len(batcher) == 2
    assert tickets(batcher.next_batch(128, anybody)) == [2, 3]


def test_a_lifted_limit_leaves_the_limits_of_those_that_were_refused_themselves():
    batcher = queued(GROUP, range(2))
    batcher.add(GROUP, Submission(2, "f", "payload", retry_until=5.0))
    batcher.limit(5.0)
    batcher.limit(None)
    assert [submission.ticket for submission in batcher.expire(6.0)] == [2]
    assert tickets(batcher.next_batch(128, anybody)) == [0, 1]


def test_a_queue_whose_submissions_all_expired_is_gone():
    batcher = queued(GROUP, range(3))
    batcher.limit(1.0)
    assert len(batcher.expire(2.0)) == 3
    assert len(batcher) == 0
    assert batcher.next_batch(128, anybody) is None


# Batches and receipts ---------------------------------------------------------------------------


def batch_of(*functions: str) -> Batch[int, str]:
    return Batch(GROUP, [Submission(ticket, f, "") for ticket, f in enumerate(functions)])


def test_what_is_forgotten_is_not_sent():
    batcher = queued(GROUP, range(3))
    batcher.clear()
    assert len(batcher) == 0
    assert batcher.next_batch(128, anybody) is None
    batcher.add(GROUP, Submission(3, "f", "payload"))
    assert tickets(batcher.next_batch(128, anybody)) == [3]


def test_a_batch_is_cut_in_two_halves():
    first, second = batch_of(*"abcde").halves()
    assert tickets(first) == [0, 1]
    assert tickets(second) == [2, 3, 4]
    assert (len(first), len(second)) == (2, 3)
    assert first.route == second.route == GROUP


def test_submissions_are_found_by_function():
    batch = batch_of("f", "g", "f")
    assert [entry.ticket for entry in batch.of("f")] == [0, 2]
    assert {f: [e.ticket for e in of] for f, of in batch.by_function().items()} == {
        "f": [0, 2],
        "g": [1],
    }


def test_a_receipt_names_tasks_in_the_order_of_each_functions_payloads():
    receipt = Receipt("a group", {"id-g": ["t1"], "id-f": ["t0", "t2"]})
    clear, unclear = read_receipt(batch_of("f", "g", "f"), {"f": "id-f", "g": "id-g"}, receipt)
    assert {task_id: submission.ticket for task_id, submission in clear} == {
        "t0": 0,
        "t1": 1,
        "t2": 2,
    }
    assert unclear == []


def test_functions_that_are_one_to_the_service_share_a_list_in_the_order_sent():
    receipt = Receipt("a group", {"same": ["t0", "t1", "t2"]})
    clear, unclear = read_receipt(batch_of("f", "g", "f"), {"f": "same", "g": "same"}, receipt)
    assert [(task_id, submission.ticket) for task_id, submission in clear] == [
        ("t0", 0),
        ("t1", 1),
        ("t2", 2),
    ]
    assert unclear == []


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param(None, id="function missing"),
        pytest.param([], id="no ids"),
        pytest.param(["t0"], id="too few ids"),
        pytest.param(["t0", "t2", "t3"], id="too many ids"),
        pytest.param(["t0", "t0"], id="one id twice"),
    ],
)
def test_what_a_receipt_leaves_open_is_unclear_and_the_rest_is_not(ids: list[str] | None):
    tasks = {"id-g": ["t1"]} | ({} if ids is None else {"id-f": ids})
    clear, unclear = read_receipt(
        batch_of("f", "g", "f"), {"f": "id-f", "g": "id-g"}, Receipt("a group", tasks)
    )
    assert [(task_id, submission.ticket) for task_id, submission in clear] == [("t1", 1)]
    assert [submission.ticket for submission in unclear] == [0, 2]
