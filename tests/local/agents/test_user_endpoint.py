from __future__ import annotations

import pytest

from funcx_async.local.agents.messages import Report
from funcx_async.local.agents.user_endpoint import (
    MISSED,
    RETRY_START,
    START_TIMEOUT_S,
    STARTS_AT_MOST,
    Do,
    UserEndpoint,
)
from funcx_async.local.store import Job

PERIOD = 5.0
DEAD = MISSED * PERIOD + 3


def jobs(*names: str) -> list[Job]:
    return [Job(name, "group", "function") for name in names]


def alive(session: str = "first", **fields: object) -> Report:
    return Report("user endpoint", PERIOD, session, **fields)


FAILED = Report("user endpoint", error="no such engine")


@pytest.fixture
def fresh() -> UserEndpoint:
    return UserEndpoint(session=None, now=0.0)


@pytest.fixture
def running(fresh) -> UserEndpoint:
    """Started at 0 for task "a", heard of at 1."""
    assert fresh.add(jobs("a"), 0.0, online=True) == [Do.BEGIN]
    assert fresh.heard(alive(), 1.0, online=True) == []
    return fresh


def test_the_first_task_starts_it(fresh):
    assert fresh.add(jobs("a"), 0.0, online=True) == [Do.BEGIN]
    assert list(fresh.open) == ["a"]


def test_tasks_for_an_agent_that_is_offline_wait_for_it(fresh):
    assert fresh.add(jobs("a"), 0.0, online=False) == []
    assert fresh.tick(1.0, online=False) == []
    assert fresh.tick(2.0, online=True) == [Do.BEGIN]


def test_what_comes_while_it_starts_is_sent_behind(fresh):
    fresh.add(jobs("a"), 0.0, online=True)
    assert fresh.add(jobs("b"), 1.0, online=True) == [Do.SEND]
    assert fresh.tick(2.0, online=True) == []


def test_one_that_does_not_come_is_started_again_after_some_patience(fresh):
    fresh.add(jobs("a"), 0.0, online=True)
    assert fresh.tick(START_TIMEOUT_S - 1, online=True) == []
    assert fresh.tick(START_TIMEOUT_S, online=True) == [Do.BEGIN]


def test_while_it_runs_a_submit_renews_the_command_now_and_then(running):
    assert running.add(jobs("b"), 2.0, online=True) == [Do.SEND]
    assert running.add(jobs("c"), 11.0, online=True) == [Do.SEND, Do.COMMAND]
    assert running.add(jobs("d"), 12.0, online=True) == [Do.SEND]


def test_one_that_is_not_heard_of_is_dead_and_another_gets_all_that_is_open(running):
    assert running.tick(1.0 + DEAD - 4, online=True) == []
    assert running.tick(1.0 + DEAD, online=True) == [Do.BEGIN]


def test_one_that_has_nothing_to_do_is_left_alone(running):
    running.open.clear()
    assert running.tick(1.0 + DEAD, online=True) == []
    assert running.heard(alive(active=False), 2.0, online=True) == []


def test_one_that_ended_when_idle_is_started_by_the_next_task(running):
    running.open.clear()
    running.heard(alive(active=False), 2.0, online=True)
    assert running.add(jobs("b"), 3.0, online=True) == [Do.BEGIN]


def test_one_that_ends_with_tasks_open_is_started_again(running):
    assert running.heard(alive(active=False), 2.0, online=True) == [Do.BEGIN]


def test_a_late_heartbeat_of_one_that_is_over_counts_for_nothing(running):
    running.agent_began()
    assert running.heard(alive(), 2.0, online=False) == []
    assert not running.alive(2.0)
    assert running.tick(3.0, online=True) == [Do.BEGIN]


def test_one_that_was_started_behind_our_back_is_sent_what_the_other_took_with_it(running):
    running.add(jobs("b"), 11.0, online=True)  # renews the command, which starts the second
    assert running.heard(alive("second"), 12.0, online=True) == [Do.SEND_AGAIN]
    assert [job.task_id for job in running.sent_before_the_command()] == ["a"]


def test_the_one_that_was_expected_was_sent_everything_already(running):
    running.tick(1.0 + DEAD, online=True)
    assert running.heard(alive("second"), 40.0, online=True) == []


def test_what_an_earlier_service_heard_of_may_live_on():
    known = UserEndpoint(session="first", now=0.0)
    assert known.add(jobs("a"), 1.0, online=False) == [Do.SEND]
    assert known.heard(alive(), 5.0, online=True) == []


def test_one_that_never_ran_and_does_not_start_fails_its_tasks(fresh):
    fresh.add(jobs("a"), 0.0, online=True)
    assert fresh.heard(FAILED, 1.0, online=True) == [Do.FAIL]


def test_one_that_ran_before_is_tried_again_while_the_other_may_be_in_its_place(running):
    running.agent_began()
    now = 10.0
    for _ in range(STARTS_AT_MOST - 1):
        assert running.tick(now, online=True) == [Do.BEGIN]
        assert running.heard(FAILED, now, online=True) == []
        assert running.tick(now + RETRY_START - 1, online=True) == []
        now += RETRY_START
    assert running.tick(now, online=True) == [Do.BEGIN]
    assert running.heard(FAILED, now, online=True) == [Do.FAIL]


def test_a_start_that_fails_beside_one_that_runs_changes_nothing(running):
    assert running.heard(FAILED, 2.0, online=True) == []
    assert running.alive(2.0)
