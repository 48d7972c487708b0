"""Which tasks of a group are those of submits whose answer was lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funcx_async._core.batcher import Submission
from funcx_async._core.uncertain import Verdict, judge
from funcx_async.models import ListedTask


def sent(*payloads: str, function: str = "f") -> list[Submission[str, str]]:
    return [Submission(f"ticket {number}", function, text) for number, text in enumerate(payloads)]


def listed(*task_ids: str) -> list[ListedTask]:
    """Tasks, the older ones first."""
    return [ListedTask(task_id, f"{number:04}") for number, task_id in enumerate(task_ids)]


def known(*task_ids: str):
    return set(task_ids).__contains__


def test_the_only_new_task_is_that_of_the_only_submission():
    verdict = judge(sent("a"), listed("old", "new"), knows=known("old"), known_task_count=1)
    assert verdict == Verdict((("new", "ticket 0"),), ("new",), complete=True)


def test_of_equal_submissions_any_task_is_anyones():
    verdict = judge(sent("a", "a"), listed("x", "y"), knows=known(), known_task_count=0)
    assert verdict.adopted == (("x", "ticket 0"), ("y", "ticket 1"))


@pytest.mark.parametrize(
    "doubtful",
    [
        pytest.param(sent("a", "b"), id="other arguments"),
        pytest.param([*sent("a"), *sent("a", function="g")], id="another function"),
    ],
)
def test_of_different_submissions_nobody_knows_whose_is_whose(doubtful):
    verdict = judge(doubtful, listed("x", "y"), knows=known(), known_task_count=0)
    assert verdict == Verdict((), ("x", "y"), complete=True)


@pytest.mark.parametrize(
    ("there", "candidates"),
    [
        pytest.param([], (), id="none"),
        pytest.param(["x"], ("x",), id="too few"),
        pytest.param(["x", "y", "z"], ("x", "y", "z"), id="too many"),
    ],
)
def test_another_number_of_tasks_proves_nothing(there, candidates):
    verdict = judge(sent("a", "a"), listed(*there), knows=known(), known_task_count=0)
    assert verdict == Verdict((), candidates, complete=False)


def test_where_others_may_have_put_tasks_there_nothing_is_adopted():
    verdict = judge(sent("a"), listed("old", "new"), knows=known("old"), known_task_count=None)
    assert verdict == Verdict((), ("new",), complete=False)


def test_what_was_settled_long_ago_is_told_from_the_new_by_its_age():
    shuffled = [ListedTask("new", "3"), ListedTask("forgotten", "1"), ListedTask("old", "2")]
    verdict = judge(sent("a"), shuffled, knows=known("old"), known_task_count=2)
    assert verdict == Verdict((("new", "ticket 0"),), ("new",), complete=True)


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param([ListedTask("x"), ListedTask("y")], id="no times"),
        pytest.param([ListedTask("x", "1"), ListedTask("y", "1")], id="equal times"),
    ],
)
def test_where_age_does_not_tell_nothing_is_adopted(tasks):
    verdict = judge(sent("a"), tasks, knows=known(), known_task_count=1)
    assert verdict.adopted == ()
    assert not verdict.complete


def test_more_accounted_for_than_listed_leaves_no_candidates():
    assert judge(sent("a"), listed("old"), knows=known("old"), known_task_count=5) == Verdict()


@given(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.booleans())
def test_only_what_was_taken_whole_and_is_alike_is_ever_adopted(forgotten, remembered, new, taken):
    there = [f"f{n}" for n in range(forgotten)] + [f"r{n}" for n in range(remembered)]
    fresh = [f"n{n}" for n in range(new)] if taken else []
    verdict = judge(
        sent(*["a"] * new),
        listed(*there, *fresh),
        knows=known(*(f"r{n}" for n in range(remembered))),
        known_task_count=len(there),
    )
    assert list(verdict.candidates) == fresh
    assert [task_id for task_id, _ in verdict.adopted] == fresh
