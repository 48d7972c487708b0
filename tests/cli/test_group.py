"""What is known of a group that is watched: calls without a clock, and the picture of it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from funcx_async.cli.group import TASKS_PER_POLL, GroupView
from funcx_async.cli.watch import last_line, line, picture
from funcx_async.models import ListedTask, Result, TaskStatus


def success(task_id: str, ended: str | None = None) -> TaskStatus:
    return TaskStatus(task_id, "success", Result(task_id, "00\n", None, ended))


FRAMES = 'Traceback (most recent call last):\n  File "<string>", line 1, in f\n'


def failure(task_id: str, words: str = FRAMES + "ValueError: bad") -> TaskStatus:
    return TaskStatus(task_id, "failed", Result(task_id, words, "RemoteExecutionError"))


def view_of(*task_ids: str, created: str | None = "100.0") -> GroupView:
    view = GroupView()
    view.listed([ListedTask(task_id, created) for task_id in task_ids], 100.0)
    return view


def see(view: GroupView, now: float, *statuses: TaskStatus) -> None:
    view.polled({status.task_id: status for status in statuses}, now)


def drawn(view: GroupView, now: float, note: str = "", width: int = 110) -> str:
    out = Console(file=io.StringIO(), width=width, force_terminal=False)
    out.print(picture(view, "the-group", now, note))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_tasks_are_counted_by_state():
    view = view_of("a", "b", "c", "d")
    see(view, 101.0, success("a"), failure("b"), TaskStatus("c", "running"))
    assert view.states == {"success": 1, "failed": 1, "running": 1, "waiting": 1}
    assert (view.done, view.total) == (2, 4)


def test_a_task_that_has_ended_is_not_asked_for_again_and_counts_once():
    view = view_of("a", "b")
    see(view, 101.0, success("a"))
    see(view, 102.0, failure("a"))
    assert view.next_to_poll() == ["b"]
    assert view.states == {"success": 1, "waiting": 1}
    view.listed([ListedTask("a"), ListedTask("b"), ListedTask("c")], 103.0)
    assert (view.done, view.total) == (1, 3)


def test_of_many_open_tasks_each_look_takes_the_next():
    ids = [str(number) for number in range(TASKS_PER_POLL + 10)]
    view = view_of(*ids)
    first = view.next_to_poll()
    see(view, 101.0, *(TaskStatus(task_id, "running") for task_id in first))
    second = view.next_to_poll()
    assert sorted(first + second) == sorted(ids)
    assert view.next_to_poll() == first, "and then it begins again"


def test_no_task_is_passed_over_when_those_before_it_end():
    ids = [str(number) for number in range(TASKS_PER_POLL + 10)]
    view = view_of(*ids)
    first = view.next_to_poll()
    see(view, 101.0, *(success(task_id) for task_id in first))
    assert view.next_to_poll() == ids[TASKS_PER_POLL:]


def test_a_failure_is_the_error_at_its_end_and_a_lost_task_is_one():
    view = view_of("a", "b")
    see(view, 101.0, failure("a"), TaskStatus("b", "failed", None, "Unknown task id b"))
    assert view.failures == {"a": "ValueError: bad", "b": "Unknown task id b"}
    assert view.states == {"failed": 1, "lost": 1}


def test_what_a_task_failed_with_commands_no_terminal():
    view = view_of("a", "b")
    lost = TaskStatus("b", "failed", None, "\x1b[2Jgone")
    see(view, 101.0, failure("a", FRAMES + "\x1b[31mValueError:\tbad\x1b]0;title\x07"), lost)
    assert view.failures == {
        "a": r"\x1b[31mValueError: bad\x1b]0;title\x07",
        "b": r"\x1b[2Jgone",
    }


def test_the_throughput_is_that_of_late():
    view = view_of(*"abcdef")
    assert view.rate(100.0) is None
    see(view, 100.0, success("a"))
    see(view, 101.0, success("b"), success("c"))
    assert view.rate(101.0) == 2.0
    assert view.seconds_left(101.0) == 1.5
    assert view.rates(40) == [2.0]
    see(view, 130.0)
    see(view, 131.0)
    assert view.rate(131.0) == 0.0, "what was long ago does not count"
    assert view.seconds_left(131.0) is None


def test_the_slowest_tasks_and_how_long_all_took():
    view = view_of("quick", "slow", "open", "waits")
    see(view, 140.0, TaskStatus("open", "running"))
    see(view, 150.0, success("quick", "101.0"), success("slow", "1970-01-01T00:02:00+00:00"))
    assert view.slowest(2, 150.0) == [("open", 50.0, False), ("slow", 20.0, True)]
    assert view.duration() is None
    see(view, 160.0, success("open", "140"), success("waits", "141"))
    assert view.duration() == 41.0


@pytest.mark.parametrize("created", [None, "some day"])
def test_times_that_are_not_told_are_those_of_the_look(created: str | None):
    view = view_of("a", created=created)
    see(view, 103.0, success("a", created))
    assert view.slowest(1, 110.0) == [("a", 3.0, True)]


def test_a_line_says_it_all():
    view = view_of("a", "b", "c")
    see(view, 100.0, TaskStatus("c", "running"))
    see(view, 102.0, success("a"), failure("b"))
    told = line(view, 102.0)
    assert told.endswith("2 of 3 finished  (success 1, failed 1, running 1); 1.0/s")
    see(view, 104.0, success("c", "110"))
    assert last_line(view) == "All 3 tasks finished in 10.0 s, 0.3/s; 1 failed."
    assert last_line(GroupView()) == "The group has no tasks."


def test_a_picture_shows_states_speed_slow_tasks_and_failures():
    view = view_of("a", "b", "c")
    see(view, 100.0, TaskStatus("c", "running"))
    see(view, 102.0, success("a"), failure("b", "ValueError: a bad [sample]"))
    shown = drawn(view, 102.0, "a note")
    for words in ("the-group", "2 of 3  66 %", "1 running", "1.0 tasks/s", "about 1.0 s"):
        assert words in shown
    for words in ("a          2.0 s", "c        > 2.0 s", "ValueError: a bad [sample]", "a note"):
        assert words in shown
    see(view, 103.0, success("c", "110"))
    assert "10.0 s in total" in drawn(view, 103.0)
    assert "0 of 0" in drawn(GroupView(), 0.0)


def test_on_a_narrow_terminal_the_lists_are_one_below_the_other_and_no_number_is_cut():
    slow, bad = "51eb8a1c-slow", "4f7d3a52-fail"
    view = view_of(slow, bad)
    see(view, 100.0, TaskStatus(slow, "running"))
    see(view, 102.0, failure(bad, "ValueError: a bad sample of the third kind"))
    shown = drawn(view, 7_600.0, width=80)
    assert "51eb8a1c > 2 h 5 min " in shown
    (below,) = (line for line in shown.splitlines() if "4f7d3a52 ValueError" in line)
    assert "a bad sample of the third kind" in below
    wide = drawn(view, 7_600.0, width=100)
    assert any(
        "51eb8a1c > 2 h 5 min" in line and "ValueError" in line for line in wide.splitlines()
    )


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_long_error_cuts_neither_headings_nor_ids(width: int):
    view = view_of("51eb8a1c-slow", "4f7d3a52-fail")
    see(view, 100.0, TaskStatus("51eb8a1c-slow", "running"))
    see(view, 102.0, failure("4f7d3a52-fail", "ValueError: " + 9 * "a very bad sample "))
    shown = drawn(view, 7_600.0, width=width)
    for words in ("slowest, from submit to end", "failed", "4f7d3a52 ValueError: a very bad"):
        assert words in shown
    assert " failed  " in shown.replace("1 failed", "")


@pytest.mark.parametrize("odd", ["1e300", "-1e300", "nan", "inf", "-5", "a while ago"])
def test_times_that_cannot_be_are_left_out(odd: str):
    view = view_of("a", created=odd)
    see(view, 103.0, success("a", odd))
    assert view.duration() == 3.0
    assert drawn(view, 110.0)
