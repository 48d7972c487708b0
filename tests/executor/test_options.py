"""Tasks with a time limit, and tasks that are tried again."""

from __future__ import annotations

import asyncio
import copy
import functools
import math
import pickle
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from funcx_async import (
    ExecutorClosed,
    FuncXError,
    FuncXExecutor,
    RequestRefused,
    ResponseNotUnderstood,
    ServiceUnavailable,
    SubmitUncertain,
    TaskExecutionFailed,
    TaskTimedOut,
    TooManyOpenTasks,
    blocking,
    gather,
)
from funcx_async._core.backoff import Backoff
from funcx_async._session import task_retry
from funcx_async._session.submitter import Submitter
from funcx_async.local import LocalService
from tests.executor.tasks import add, fail

SOON = 0.2
"""Seconds that a task has which is not to be sent by then, or may be or not."""

SENT_BY_THEN = 1.5
"""Seconds that a task has which the service has by then."""

TIMEOUT = 30


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A service for each test: faults must not wander."""
    async with LocalService(workers=1) as running:
        yield running


def die_until(times: int, path: Path) -> str:
    """Kill the worker so many times, then succeed; the file counts."""
    import os

    with path.open("a") as file:
        file.write("x")
    if path.stat().st_size <= times:
        os._exit(1)
    return f"try {path.stat().st_size}"


def count_and_fail(path: Path) -> None:
    with path.open("a") as file:
        file.write("x")
    raise ValueError("too bad")


# The time limit -----------------------------------------------------------------------------------


async def test_a_task_without_a_result_in_time_fails_and_says_that_it_may_still_run(
    service: LocalService, executor: FuncXExecutor
):
    await executor.submit(add, 1)
    with service.faults.hold_results():
        future = executor.options(timeout=SENT_BY_THEN).submit(add, 1)
        with pytest.raises(TaskTimedOut, match=r"1\.5 s.*may still run.*cannot recall") as caught:
            await asyncio.wait_for(future, TIMEOUT)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.task_id == future.task_id is not None
        assert str(future.task_id) in str(caught.value)
        assert caught.value.timeout == SENT_BY_THEN
        await service.faults.seen("executed", 2)
    assert await executor.submit(add, 2) == 3
    assert executor.stats.duplicates == 1
    assert executor.stats.orphans == 0
    assert executor.stats.open == 0


async def test_a_task_whose_time_is_over_before_it_is_sent_is_not_sent_any_more(
    service: LocalService, executor: FuncXExecutor
):
    service.faults.refuse("submit", status=503, retry_after=1)
    late = executor.options(timeout=SOON).submit(add, 1)
    with pytest.raises(TaskTimedOut, match="not sent yet, and will not be") as caught:
        await asyncio.wait_for(late, TIMEOUT)
    assert caught.value.task_id is None
    assert await executor.submit(add, 2) == 3
    assert service.faults.count("accepted") == 1


async def test_a_task_whose_time_is_over_on_the_wire_may_run_and_its_result_is_a_duplicate(
    service: LocalService, executor: FuncXExecutor
):
    await executor.submit(add, 1)
    with service.faults.hold_replies("submit") as hold:
        late = executor.options(timeout=SENT_BY_THEN).submit(add, 1)
        await asyncio.wait_for(hold.seen(), TIMEOUT)
        with pytest.raises(TaskTimedOut, match="was being sent, and may run"):
            await asyncio.wait_for(late, TIMEOUT)
        await service.faults.seen("published", 2)
    assert await executor.submit(add, 2) == 3
    assert executor.stats.orphans == 0
    assert executor.stats.duplicates == 1


async def test_a_result_in_time_is_a_result(executor: FuncXExecutor):
    view = executor.options(timeout=TIMEOUT)
    assert await gather(*(view.submit(add, n) for n in range(20))) == list(range(1, 21))
    assert await executor.options(timeout=math.inf).submit(add, 1) == 2


async def test_any_number_of_limits_takes_one_timer_of_the_loop(
    service: LocalService, executor: FuncXExecutor, monkeypatch: pytest.MonkeyPatch
):
    loop = asyncio.get_running_loop()
    set_by_timer = []
    call_at = loop.call_at

    def counting(when: float, callback: Callable[..., object], *args: Any, **options: Any) -> Any:
        if "DeadlineTimer" in getattr(callback, "__qualname__", ""):
            set_by_timer.append(when)
        return call_at(when, callback, *args, **options)

    monkeypatch.setattr(loop, "call_at", counting)
    with service.faults.endpoint_offline():
        view = executor.options(timeout=1)
        futures = [view.submit(add, number) for number in range(1_000)]
        await asyncio.wait_for(futures[0].submitted(), TIMEOUT)
        assert len(set_by_timer) == 1
        outcomes = await gather(*futures, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TaskTimedOut}


async def test_a_shorter_limit_set_later_ends_first(service: LocalService, executor: FuncXExecutor):
    with service.faults.endpoint_offline():
        patient = executor.options(timeout=TIMEOUT).submit(add, 1)
        with pytest.raises(TaskTimedOut):
            await executor.options(timeout=SOON).submit(add, 1)
        assert not patient.done()
    assert await patient == 2


async def test_a_limited_task_is_cancelled_as_any_other(
    service: LocalService, executor: FuncXExecutor
):
    queued = executor.options(timeout=TIMEOUT).submit(add, 1)
    assert queued.cancel()
    with service.faults.endpoint_offline():
        running = executor.options(timeout=TIMEOUT).submit(add, 2)
        await asyncio.wait_for(running.submitted(), TIMEOUT)
        assert not running.cancel()
    assert await running == 3
    assert service.faults.count("accepted") == 1


async def test_a_submit_in_another_thread_has_its_limit_as_well(
    service: LocalService, executor: FuncXExecutor
):
    await executor.submit(add, 1)
    with service.faults.endpoint_offline():
        future = await asyncio.to_thread(executor.options(timeout=SOON).submit, add, 1)
        with pytest.raises(TaskTimedOut):
            await asyncio.wait_for(future, TIMEOUT)


async def test_registered_functions_have_the_limit_too(
    service: LocalService, executor: FuncXExecutor
):
    function_id = await executor.register_function(add)
    view = executor.options(timeout=SOON)
    with service.faults.endpoint_offline(), pytest.raises(TaskTimedOut):
        await view.submit_to_registered_function(function_id, [1])


async def test_amap_of_a_view_keeps_its_limit(service: LocalService, executor: FuncXExecutor):
    with service.faults.endpoint_offline():
        results = executor.options(timeout=SOON).amap(add, range(5), limit=2)
        with pytest.raises(TaskTimedOut):
            await anext(results)
        outcomes = executor.options(timeout=SOON).amap(add, range(3), return_exceptions=True)
        assert [type(outcome) async for outcome in outcomes] == [TaskTimedOut] * 3


async def test_the_limit_holds_while_nothing_else_can_be_submitted(service: LocalService):
    async with service.executor(max_in_flight=1) as executor:
        with service.faults.endpoint_offline():
            future = executor.options(timeout=SOON).submit(add, 1)
            with pytest.raises(TooManyOpenTasks):
                executor.options(timeout=SOON).submit(add, 1)
            with pytest.raises(TaskTimedOut):
                await future
        assert await executor.submit(add, 1) == 2


async def test_a_journal_gives_back_that_the_time_was_over(service: LocalService, tmp_path: Path):
    async with service.executor(journal=tmp_path / "tasks.journal") as executor:
        await executor.options(key="before").submit(add, 1)
        with service.faults.hold_results():
            with pytest.raises(TaskTimedOut) as caught:
                await executor.options(timeout=SENT_BY_THEN, key="late").submit(add, 1)
            await service.faults.seen("executed", 2)
        assert await executor.options(key="after").submit(add, 2) == 3
    async with service.executor(journal=tmp_path / "tasks.journal") as executor:
        resumed = {key: future async for key, future in executor.resume()}
        assert resumed["after"].result() == 3
        error = resumed["late"].exception()
        assert isinstance(error, TaskTimedOut)
        assert error.task_id == caught.value.task_id is not None
        await executor.confirm("before", "late", "after")


def test_the_error_can_be_copied_and_pickled():
    error = TaskTimedOut("too late", timeout=3.0, task_id="id")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(other), other.timeout, other.task_id) == ("too late", 3.0, "id")


# Further tries ------------------------------------------------------------------------------------


async def test_a_task_whose_worker_was_lost_is_tried_again(
    service: LocalService, executor: FuncXExecutor, tmp_path: Path
):
    future = executor.options(retries=2).submit(die_until, 1, tmp_path / "tries")
    assert await asyncio.wait_for(future, TIMEOUT) == "try 2"
    listed = await service.client().get_task_group(str(executor.task_group_id))
    assert len(listed) == 2
    assert future.task_id in listed
    status = await future.status()
    assert (status.task_id, status.status) == (future.task_id, "success")
    assert executor.stats.retried == 1
    assert executor.stats.failed == 0


async def test_after_the_last_try_the_failure_names_the_tasks_before(
    executor: FuncXExecutor, tmp_path: Path
):
    future = executor.options(retries=1).submit(die_until, 9, tmp_path / "tries")
    first = await asyncio.wait_for(future.submitted(), TIMEOUT)
    with pytest.raises(TaskExecutionFailed, match="WorkerLost") as caught:
        await asyncio.wait_for(future, TIMEOUT)
    assert caught.value.worker_lost
    assert caught.value.task_id == future.task_id != first
    assert first in caught.value.__notes__[0]


async def test_what_the_function_raises_is_not_tried_again_by_itself(
    executor: FuncXExecutor, tmp_path: Path
):
    with pytest.raises(TaskExecutionFailed, match="too bad") as caught:
        await executor.options(retries=3).submit(count_and_fail, tmp_path / "tries")
    assert not caught.value.worker_lost
    assert (tmp_path / "tries").read_text() == "x"


@pytest.mark.parametrize(
    "retry_on",
    [
        pytest.param(TaskExecutionFailed, id="a class"),
        pytest.param((SubmitUncertain, TaskExecutionFailed), id="classes"),
        pytest.param(Exception, id="whatever it is"),
        pytest.param(lambda error: "too bad" in str(error), id="a function"),
    ],
)
async def test_one_can_say_after_which_failures(
    executor: FuncXExecutor, tmp_path: Path, retry_on: Any
):
    view = executor.options(retries=1, retry_on=retry_on)
    with pytest.raises(TaskExecutionFailed, match="too bad"):
        await asyncio.wait_for(view.submit(count_and_fail, tmp_path / "tries"), TIMEOUT)
    assert (tmp_path / "tries").read_text() == "xx"


def be_cancelled(_: Exception) -> bool:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(lambda error: error.no_such_attribute, id="an error"),
        pytest.param(be_cancelled, id="a cancellation"),
    ],
)
async def test_a_question_that_fails_changes_nothing_about_the_failure(
    executor: FuncXExecutor, caplog: pytest.LogCaptureFixture, question: Callable[..., Any]
):
    view = executor.options(retries=1, retry_on=question)
    with pytest.raises(TaskExecutionFailed, match="too bad"):
        await asyncio.wait_for(view.submit(fail, "too bad"), TIMEOUT)
    assert "retry_on failed" in caplog.text


async def test_a_submit_whose_answer_is_lost_is_made_again(
    service: LocalService, executor: FuncXExecutor
):
    service.faults.lose_replies("submit")
    with pytest.raises(SubmitUncertain):
        await executor.submit(add, 1)
    service.faults.lose_replies("submit")
    assert await asyncio.wait_for(executor.options(retries=1).submit(add, 1), TIMEOUT) == 2
    assert service.faults.count("accepted") == 3


async def test_a_refusal_is_tried_again_where_that_is_wanted(
    service: LocalService, executor: FuncXExecutor
):
    service.faults.refuse("submit", status=403, code="ENDPOINT_ACCESS_FORBIDDEN")
    view = executor.options(retries=1, retry_on=RequestRefused)
    assert await asyncio.wait_for(view.submit(add, 1), TIMEOUT) == 2


async def first_failure(executor: FuncXExecutor, **options: Any) -> Any:
    """A future whose first task has failed, and whose second waits to be submitted."""
    failed = asyncio.Event()

    def again(error: Exception) -> bool:
        failed.set()
        return True

    future = executor.options(retries=100, retry_on=again, **options).submit(fail, "too bad")
    await asyncio.wait_for(failed.wait(), TIMEOUT)
    return future


async def test_between_two_tries_it_can_be_cancelled(
    service: LocalService, executor: FuncXExecutor
):
    future = await first_failure(executor)
    assert not future.done()
    assert not future.running()
    assert future.cancel()
    assert await executor.submit(add, 1) == 2
    assert service.faults.count("accepted") == 2
    assert executor.stats.open == 0


async def test_the_limit_goes_over_all_tries(executor: FuncXExecutor):
    future = await first_failure(executor, timeout=1)
    with pytest.raises(TaskTimedOut) as caught:
        await asyncio.wait_for(future, TIMEOUT)
    assert "the tasks before" in caught.value.__notes__[0]


async def test_time_that_is_over_between_two_tries_is_not_told_as_never_sent(
    executor: FuncXExecutor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(task_retry, "Backoff", lambda: Backoff(first=TIMEOUT, longest=TIMEOUT))
    await executor.submit(add, 1)
    future = await first_failure(executor, timeout=SENT_BY_THEN)
    with pytest.raises(TaskTimedOut, match="failed before, and is not submitted again") as caught:
        await asyncio.wait_for(future, TIMEOUT)
    assert future.task_id is not None
    assert f"the tasks before: {future.task_id}." in caught.value.__notes__[0]


async def test_time_that_is_over_while_a_further_try_is_on_the_wire_is_not_told_of_the_one_before(
    service: LocalService, executor: FuncXExecutor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(task_retry, "Backoff", lambda: Backoff(first=0))
    await executor.submit(add, 1)
    with service.faults.hold_results() as results:
        future = executor.options(timeout=3, retries=1, retry_on=Exception).submit(fail, "too bad")
        first = await asyncio.wait_for(future.submitted(), TIMEOUT)
        await asyncio.wait_for(results.seen(), TIMEOUT)
        with service.faults.hold_replies("submit"):
            results.release()
            with pytest.raises(TaskTimedOut, match="was being sent, and may run") as caught:
                await asyncio.wait_for(future, TIMEOUT)
    assert caught.value.task_id is None
    assert first in caught.value.__notes__[0]
    assert await executor.submit(add, 2) == 3


async def test_a_further_try_that_cannot_be_made_fails_the_future(
    executor: FuncXExecutor, monkeypatch: pytest.MonkeyPatch
):
    enqueue = Submitter.enqueue

    def enqueue_first_tries(self: Submitter, route: Any, submission: Any) -> None:
        if getattr(submission.ticket, "task_ids", None):
            raise RuntimeError("no further tries")
        enqueue(self, route, submission)

    monkeypatch.setattr(Submitter, "enqueue", enqueue_first_tries)
    futures = [await first_failure(executor) for _ in range(2)]
    for future in futures:
        with pytest.raises(FuncXError, match="no further tries"):
            await asyncio.wait_for(future, TIMEOUT)
    assert await executor.submit(add, 1) == 2


async def test_a_further_try_for_a_group_that_was_forgotten_meanwhile_goes_to_the_new_one(
    service: LocalService, executor: FuncXExecutor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(task_retry, "Backoff", lambda: Backoff(first=2))
    await executor.submit(add, 1)
    view = executor.options(retries=1, retry_on=TaskExecutionFailed)
    with service.faults.hold_results() as hold:
        future = view.submit(fail, "too bad")
        await asyncio.wait_for(hold.seen(), TIMEOUT)
    before = executor.task_group_id
    service.faults.refuse("submit", status=404, code="TASK_GROUP_NOT_FOUND")
    assert await executor.submit(add, 2) == 3
    service.faults.refuse("submit", status=404, code="TASK_GROUP_NOT_FOUND")
    with pytest.raises(TaskExecutionFailed, match="too bad"):
        await asyncio.wait_for(future, TIMEOUT)
    assert executor.task_group_id not in (None, before)
    listed = await service.client().get_task_group(str(executor.task_group_id))
    assert future.task_id in listed


async def test_leaving_waits_for_the_further_tries(service: LocalService, tmp_path: Path):
    async with service.executor() as executor:
        future = executor.options(retries=1).submit(die_until, 1, tmp_path / "tries")
    assert future.result() == "try 2"


async def test_leaving_in_haste_cancels_what_waits_to_be_tried_again(service: LocalService):
    executor = service.executor()
    future = await first_failure(executor)
    await executor.shutdown(cancel_futures=True)
    assert future.cancelled()


async def test_amap_of_a_view_tries_again(executor: FuncXExecutor, tmp_path: Path):
    paths = [tmp_path / name for name in "abc"]
    results = executor.options(retries=2).amap(die_until, [1] * 3, paths)
    assert [result async for result in results] == ["try 2"] * 3


# What cannot be asked for -------------------------------------------------------------------------


async def later(_: object) -> bool:
    return True


class Later:
    async def __call__(self, _: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        pytest.param({"timeout": 0}, ValueError, "greater than 0 seconds", id="no time"),
        pytest.param({"timeout": 10**400}, ValueError, "too large", id="more than a float holds"),
        pytest.param({"timeout": math.nan}, ValueError, "greater than 0", id="not a number"),
        pytest.param({"timeout": "5"}, TypeError, "a number of seconds", id="text"),
        pytest.param({"timeout": True}, TypeError, "a number of seconds", id="yes"),
        pytest.param({"retries": -1}, ValueError, "not be negative", id="negative"),
        pytest.param({"retries": 1.5}, TypeError, "an integer", id="half a try"),
        pytest.param({"retries": True}, TypeError, "an integer", id="just retries"),
        pytest.param({"retry_on": Exception}, ValueError, "without retries", id="no retries"),
        pytest.param(
            {"retries": 1, "retry_on": ValueError},
            ValueError,
            "arrives as TaskExecutionFailed",
            id="what the function raises",
        ),
        pytest.param({"retries": 1, "retry_on": 5}, TypeError, "error class", id="a number"),
        pytest.param({"retries": 1, "retry_on": (5,)}, TypeError, "error class", id="numbers"),
        pytest.param({"retries": 1, "retry_on": int}, TypeError, "error class", id="no error"),
        pytest.param(
            {"retries": 1, "retry_on": later},
            TypeError,
            "true whatever the error",
            id="a question that is async",
        ),
        pytest.param(
            {"retries": 1, "retry_on": functools.partial(later, "x")},
            TypeError,
            "true whatever the error",
            id="part of one",
        ),
        pytest.param(
            {"retries": 1, "retry_on": Later()},
            TypeError,
            "true whatever the error",
            id="an object that is one",
        ),
        pytest.param({"retries": 1, "retry_on": ()}, ValueError, "names no failure", id="none"),
        pytest.param(
            {"retries": 1, "retry_on": TaskTimedOut}, ValueError, "leaves no time", id="too late"
        ),
        pytest.param(
            {"retries": 1, "retry_on": (TaskTimedOut, ExecutorClosed)},
            ValueError,
            "ExecutorClosed no executor",
            id="the end",
        ),
        pytest.param(
            {"retry": 1, "time": 2},
            TypeError,
            r"the option\(s\) retry, time; it knows endpoint_id, .*retries, retry_on, key\.",
            id="unknown",
        ),
    ],
)
def test_what_is_no_option_is_refused_at_once(
    options: dict[str, Any], error: type[Exception], told: str
):
    with pytest.raises(error, match=told):
        FuncXExecutor(str(uuid4())).options(**options)


def test_errors_of_this_package_can_all_be_tried_again_after():
    executor = FuncXExecutor(str(uuid4()))
    executor.options(retries=1, retry_on=(ServiceUnavailable, ResponseNotUnderstood))
    executor.options(retries=1, retry_on=(TaskTimedOut, ServiceUnavailable))


# Views of views ----------------------------------------------------------------------------------


async def test_a_view_of_a_view_has_its_options_and_changes_on_top(
    service: LocalService, executor: FuncXExecutor, tmp_path: Path
):
    stubborn = executor.options(timeout=TIMEOUT, retries=1)
    nested = stubborn.options(resource_specification={"num_nodes": 2})
    assert await nested.submit(die_until, 1, tmp_path / "tries") == "try 2"
    once = nested.options(retries=0)
    with pytest.raises(TaskExecutionFailed):
        await once.submit(die_until, 1, tmp_path / "further tries")
    with service.faults.endpoint_offline():
        with pytest.raises(TaskTimedOut, match=r"0\.2 s"):
            await once.options(timeout=SOON).submit(add, 1)
        assert "timeout=30" in repr(stubborn)  # and is as it was
    assert "num_nodes" in repr(once.options(timeout=SOON))


async def test_what_is_not_changed_stays_and_none_takes_it_back(executor: FuncXExecutor):
    elsewhere = executor.options(endpoint_id=uuid4()).options(timeout=TIMEOUT)
    with pytest.raises(RequestRefused, match="ENDPOINT_NOT_FOUND"):
        await elsewhere.submit(add, 1)
    back = elsewhere.options(endpoint_id=executor.endpoint_id, timeout=None)
    assert await back.submit(add, 1) == 2
    assert "timeout" not in repr(back)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        pytest.param({"retry": 1}, TypeError, "it knows", id="unknown"),
        pytest.param({"timeout": 0}, ValueError, "greater than 0", id="out of range"),
        pytest.param({"retry_on": Exception}, ValueError, "without retries", id="no retries"),
        pytest.param({"key": "k"}, ValueError, "no journal", id="no journal"),
    ],
)
def test_a_view_refuses_what_its_executor_refuses(
    options: dict[str, Any], error: type[Exception], told: str
):
    view = FuncXExecutor(str(uuid4())).options(timeout=TIMEOUT)
    with pytest.raises(error, match=told):
        view.options(**options)


async def test_a_key_is_kept_by_a_view_of_its_view(service: LocalService, tmp_path: Path):
    async with service.executor(journal=tmp_path / "tasks.journal") as executor:
        view = executor.options(key="mine")
        assert await view.options(timeout=TIMEOUT).submit(add, 1) == 2
        with pytest.raises(ValueError, match="mine"):
            view.submit(add, 1)
        assert await view.options(key="another").submit(add, 1) == 2


# Without asyncio ----------------------------------------------------------------------------------


def test_the_blocking_executor_has_the_same_options(tmp_path: Path):
    with blocking.LocalService(workers=1) as service, service.executor() as executor:
        with service.asynchronous.faults.hold_results():
            future = executor.options(timeout=SOON).submit(add, 1)
            with pytest.raises(TaskTimedOut):
                future.result(TIMEOUT)
        view = executor.options(retries=1, timeout=TIMEOUT)
        assert view.submit(die_until, 1, tmp_path / "tries").result(TIMEOUT) == "try 2"
