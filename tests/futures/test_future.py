"""The future: its states, its awaiters, and its manners among threads and loops."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import sys
import threading
import weakref
from typing import Any

import pytest

from funcx_async._futures.future import FuncXFuture
from funcx_async.errors import DeserializationError, FuncXError
from funcx_async.models import TaskStatus
from tests.callbacks import callbacks_of

TIMEOUT = 30


class Executor:
    """What an executor is to its futures."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.pid = os.getpid()
        self.settled: list[FuncXFuture[Any]] = []
        self.owned: list[FuncXFuture[Any]] = []

    def read(self, payload: str) -> str:
        if payload == "unreadable":
            raise FuncXError("cannot be read")
        if payload == "exits":
            sys.exit("a result that leaves")
        return f"value of {payload}"

    async def task_status(self, task_id: str) -> TaskStatus:
        return TaskStatus(task_id, "running")

    def fail_open(self) -> None:
        for future in self.owned:
            future.fail(FuncXError("the loop is gone"))

    def done(self, future: FuncXFuture[Any], here: object) -> None:
        self.settled.append(future)


def owned() -> FuncXFuture[Any]:
    future: FuncXFuture[Any] = FuncXFuture()
    executor = Executor()
    executor.owned.append(future)
    future.bind(executor)
    return future


async def in_thread(call: Any, *args: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(call, *args), TIMEOUT)


# States -----------------------------------------------------------------------------------------


async def test_a_queued_future_can_be_cancelled():
    future = owned()
    assert future.cancel()
    assert future.cancelled()
    assert future.cancel(), "cancelled it is"


async def test_a_claimed_future_is_pending_but_cannot_be_cancelled():
    future = owned()
    assert future.claim()
    assert not future.cancel()
    assert not future.running()
    assert not future.done()


async def test_a_released_future_can_be_cancelled_again_and_claimed_no_more():
    future = owned()
    future.claim()
    future.release()
    assert future.cancel()
    assert not future.claim()


async def test_an_accepted_future_runs_and_cannot_be_cancelled():
    future = owned()
    future.claim()
    future.accept("a task", 12.5)
    assert future.running()
    assert not future.cancel()
    assert (future.task_id, future.accepted_at) == ("a task", 12.5)


async def test_a_future_in_whatever_state_can_be_given_up_unless_it_is_settled():
    running, done = owned(), owned()
    running.accept("a task", 0)
    done.succeed("x")
    assert running.give_up()
    assert running.cancelled()
    assert not running.give_up()
    assert not done.give_up()
    assert done.result() == "value of x"


async def test_a_future_settles_once():
    future = owned()
    assert future.succeed("x")
    assert not future.succeed("y")
    assert not future.fail(ValueError())
    assert await future == "value of x"


async def test_a_given_up_future_takes_no_result_any_more():
    future = owned()
    future.give_up()
    assert not future.succeed("x")
    assert not future.fail(ValueError())


async def test_a_value_that_cannot_be_read_is_the_futures_error():
    future = owned()
    assert future.succeed("unreadable")
    with pytest.raises(FuncXError, match="cannot be read"):
        await future


async def test_reading_that_leaves_the_program_is_the_futures_error_and_nobody_elses():
    future = owned()
    assert future.succeed("exits")
    with pytest.raises(DeserializationError, match="SystemExit") as caught:
        await future
    assert caught.value.payload == "exits"


async def test_a_future_without_an_executor_cannot_read_a_payload():
    with pytest.raises(RuntimeError, match="No executor"):
        FuncXFuture().succeed("x")


async def test_the_executor_hears_of_every_end_once():
    executor = Executor()
    futures: list[FuncXFuture[Any]] = [FuncXFuture() for _ in range(4)]
    for future in futures:
        future.bind(executor)
    futures[0].succeed("x")
    futures[1].fail(ValueError())
    futures[2].cancel()
    futures[3].give_up()
    assert executor.settled == futures


async def test_the_repr_tells_state_and_task():
    future = owned()
    assert "state=pending" in repr(future)
    future.accept("a-task-id", 0)
    assert "state=running task_id=a-task-id>" in repr(future)


# Awaiting ---------------------------------------------------------------------------------------


async def test_several_coroutines_may_await_one_future():
    future = owned()

    async def wait() -> Any:
        return await future

    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        future.succeed("x")
    assert {task.result() for task in waiting} == {"value of x"}


async def test_awaiting_a_cancelled_future_is_a_cancellation_in_asyncios_words():
    future = owned()
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()


async def test_a_cancelled_awaiter_leaves_the_task_alone():
    future = owned()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future, 0.001)
    assert not future.done()
    future.succeed("x")
    assert await future == "value of x"


async def test_two_hundred_timed_out_waits_leave_no_callback_behind():
    future: FuncXFuture[int] = FuncXFuture()
    for _ in range(200):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await future
        await asyncio.wait([future], timeout=0)
    assert callbacks_of(future) == 0


async def test_a_later_failure_of_an_abandoned_wait_is_not_logged(caplog: Any):
    future = owned()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future, 0.001)
    future.fail(ValueError("unseen"))
    del future
    assert not caplog.records


async def test_settling_from_another_thread_wakes_an_awaiter():
    future = owned()
    waiting = asyncio.ensure_future(future)
    await in_thread(future.succeed, "x")
    assert await asyncio.wait_for(waiting, TIMEOUT) == "value of x"


async def test_settling_from_another_thread_wakes_asyncio_wait():
    future = owned()
    waiting = asyncio.create_task(asyncio.wait([future]))
    await asyncio.sleep(0)
    await in_thread(future.cancel)
    done, pending = await asyncio.wait_for(waiting, TIMEOUT)
    assert (done, pending) == ({future}, set())


async def test_asyncio_wait_comes_back_at_the_first_failure():
    futures = [owned() for _ in range(3)]
    waiting = asyncio.create_task(asyncio.wait(futures, return_when=asyncio.FIRST_EXCEPTION))
    await asyncio.sleep(0)
    futures[0].succeed("x")
    futures[1].fail(ValueError())
    done, pending = await asyncio.wait_for(waiting, TIMEOUT)
    assert (done, pending) == (set(futures[:2]), {futures[2]})


async def test_asyncio_gather_timeout_and_wrap_future_work():
    first, second, third = owned(), owned(), owned()
    gathering = asyncio.gather(first, asyncio.wrap_future(second))
    for future in (first, second, third):
        future.succeed("x")
    assert await gathering == ["value of x"] * 2
    async with asyncio.timeout(TIMEOUT):
        assert await third == "value of x"


async def test_concurrent_futures_wait_and_as_completed_work_in_another_thread():
    futures = [owned() for _ in range(3)]
    waiting = asyncio.create_task(in_thread(concurrent.futures.wait, futures, TIMEOUT))
    listing = asyncio.create_task(in_thread(list, concurrent.futures.as_completed(futures)))
    futures[0].succeed("x")
    futures[1].cancel()
    futures[2].fail(ValueError())
    done, not_done = await waiting
    assert (done, not_done) == (set(futures), set())
    assert set(await listing) == set(futures)


async def test_a_callback_that_was_added_on_a_loop_is_called_there():
    future = owned()
    called: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda _: called.set_result(threading.get_ident()))
    await in_thread(future.cancel)
    assert await asyncio.wait_for(called, TIMEOUT) == threading.get_ident()


async def test_a_callback_that_was_added_in_a_plain_thread_is_called_where_it_is_settled():
    future = owned()
    called: list[int] = []
    await in_thread(future.add_done_callback, lambda _: called.append(threading.get_ident()))
    future.succeed("x")
    assert called == [threading.get_ident()]


def test_a_callback_of_a_closed_loop_is_dropped_without_noise(caplog: Any):
    future: FuncXFuture[int] = FuncXFuture()

    async def listen() -> None:
        future.add_done_callback(lambda _: asyncio.get_running_loop())

    asyncio.run(listen())
    future.set_result(1)
    assert not caplog.records


async def test_removing_a_callback_gives_how_often_it_was_there():
    future = owned()
    called: list[Any] = []
    future.add_done_callback(called.append)
    future.add_done_callback(called.append)
    assert future.remove_done_callback(called.append) == 2
    assert future.remove_done_callback(called.append) == 0
    future.succeed("x")
    assert not called


async def test_removing_callbacks_in_one_thread_while_another_settles_loses_none():
    for _ in range(200):
        future = owned()
        others = [lambda _, n=n: n for n in range(20)]
        for callback in others:
            future.add_done_callback(callback)
        last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _, last=last: last.set_result(None))
        settling = asyncio.get_running_loop().run_in_executor(None, future.succeed, "x")
        for callback in others:
            future.remove_done_callback(callback)
        await asyncio.wait_for(last, TIMEOUT)
        await settling


async def test_a_callback_that_is_cancelled_harms_neither_the_others_nor_whoever_settles(caplog):
    future = owned()

    def cancelled(_: object) -> None:
        raise asyncio.CancelledError

    called: list[Any] = []
    future.add_done_callback(cancelled)
    future.add_done_callback(called.append)
    waiting = asyncio.ensure_future(future)
    await asyncio.sleep(0)
    assert future.succeed("x")
    assert called == [future]
    assert await asyncio.wait_for(waiting, TIMEOUT) == "value of x"
    assert "a done callback was cancelled" in caplog.text


async def test_four_thousand_awaiters_of_one_future_are_woken_and_forgotten():
    future = owned()
    waiting = [asyncio.ensure_future(future) for _ in range(4_000)]
    await asyncio.sleep(0)
    for task in waiting[:2_000]:
        task.cancel()
    await asyncio.wait(waiting[:2_000])
    future.succeed("x")
    assert await asyncio.gather(*waiting[2_000:]) == ["value of x"] * 2_000


@pytest.mark.parametrize("how", ["await", "result"])
def test_a_failed_future_is_freed_without_the_garbage_collector(how: str):
    async def fail() -> bool:
        future: FuncXFuture[Any] = FuncXFuture()
        future.set_exception(ValueError("x"))
        there = weakref.ref(future)
        with contextlib.suppress(ValueError):
            if how == "await":
                await future
            future.result()
        del future
        return there() is None

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(fail())
    finally:
        gc.enable()


def test_a_future_whose_loop_is_closed_fails_instead_of_waiting_for_ever():
    async def leave() -> FuncXFuture[Any]:
        return owned()

    future = asyncio.run(leave())
    with pytest.raises(FuncXError, match="the loop is gone"):
        future.result()
    future = asyncio.run(leave())

    async def wait() -> None:
        await future

    with pytest.raises(FuncXError, match="the loop is gone"):
        asyncio.run(wait())


# Blocking ---------------------------------------------------------------------------------------


async def test_blocking_on_the_loops_own_thread_is_refused_while_unfinished():
    future = owned()
    with pytest.raises(RuntimeError, match="await future"):
        future.result()
    with pytest.raises(RuntimeError, match="await future"):
        future.exception(timeout=5)
    with pytest.raises(TimeoutError):
        future.result(timeout=0)
    future.succeed("x")
    assert future.result() == "value of x"
    assert future.exception() is None


async def test_blocking_in_another_thread_works():
    future = owned()
    waiting = asyncio.create_task(in_thread(future.result, TIMEOUT))
    await asyncio.sleep(0)
    future.succeed("x")
    assert await waiting == "value of x"


# Receipt and status -----------------------------------------------------------------------------


async def test_submitted_gives_the_task_id_once_the_receipt_is_in():
    future = owned()
    waiting = asyncio.create_task(future.submitted())
    await asyncio.sleep(0)
    future.accept("a task", 0)
    assert await asyncio.wait_for(waiting, TIMEOUT) == "a task"
    assert await future.submitted() == "a task"


async def test_submitted_raises_what_the_submit_raised():
    future = owned()
    waiting = asyncio.create_task(future.submitted())
    await asyncio.sleep(0)
    future.fail(FuncXError("refused"))
    with pytest.raises(FuncXError, match="refused"):
        await waiting


async def test_submitted_of_a_cancelled_future_is_a_cancellation():
    future = owned()
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future.submitted()


async def test_submitted_goes_on_waiting_while_the_outcome_is_uncertain():
    future = owned()
    waiting = asyncio.create_task(future.submitted())
    await asyncio.sleep(0)
    future.accept(None, 0)
    assert future.running()
    await asyncio.sleep(0)
    assert not waiting.done()
    future.accept("adopted", 1)
    assert await asyncio.wait_for(waiting, TIMEOUT) == "adopted"


async def test_a_future_that_was_settled_by_hand_never_was_a_task():
    future: FuncXFuture[int] = FuncXFuture()
    future.set_result(1)
    with pytest.raises(RuntimeError, match="by hand"):
        await future.submitted()


async def test_status_asks_the_service():
    future = owned()
    future.accept("a task", 0)
    assert await future.status() == TaskStatus("a task", "running")


async def test_status_of_a_future_without_an_executor_says_so():
    with pytest.raises(RuntimeError, match="nobody to ask"):
        await FuncXFuture("a task").status()


def test_a_future_can_be_made_by_hand_with_its_task_id():
    assert FuncXFuture("a task").task_id == "a task"
    assert FuncXFuture(task_id="a task").task_id == "a task"
    assert FuncXFuture().task_id is None


async def test_a_waiter_whose_loop_closes_at_that_very_moment_keeps_no_other_from_hearing():
    class Closing(asyncio.SelectorEventLoop):
        looked_at_before = True

        def is_closed(self) -> bool:
            return not self.looked_at_before and super().is_closed()

    future: FuncXFuture[int] = FuncXFuture()
    elsewhere = Closing()
    future.watch(elsewhere.create_future())
    elsewhere.close()
    waiting = asyncio.create_task(asyncio.wait_for(future, 30))
    await asyncio.sleep(0)
    future.set_result(42)
    assert await waiting == 42
    elsewhere.looked_at_before = False


async def test_await_goes_on_where_asyncio_future_became_another_class(
    monkeypatch: pytest.MonkeyPatch,
):
    """As ``nest_asyncio.apply()`` does in a later cell of a notebook."""
    future: FuncXFuture[int] = FuncXFuture()
    waiting = asyncio.ensure_future(future_value(future))
    elsewhere = asyncio.ensure_future(future_value(future))
    await asyncio.sleep(0)
    replacement = type("Future", (asyncio.Future,), {})
    for module in (asyncio, asyncio.futures):
        monkeypatch.setattr(module, "Future", replacement)
    future.set_result(42)
    await asyncio.wait([waiting, elsewhere], timeout=TIMEOUT)
    assert waiting.done()
    assert (waiting.result(), elsewhere.result()) == (42, 42)


async def future_value(future: FuncXFuture[int]) -> int:
    return await future
