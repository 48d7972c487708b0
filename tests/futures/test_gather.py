"""Waiting for many futures."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable
from typing import Any

import pytest

from funcx_async._futures.future import FuncXFuture
from funcx_async._futures.gather import STEP, as_completed, gather
from tests.callbacks import callbacks_of


def pending(count: int) -> list[FuncXFuture[Any]]:
    return [FuncXFuture() for _ in range(count)]


async def test_gather_gives_results_in_the_given_order():
    futures = pending(3)
    gathering = asyncio.create_task(gather(*futures))
    await asyncio.sleep(0)
    for number in (2, 0, 1):
        futures[number].set_result(number)
    assert await gathering == [0, 1, 2]


async def test_gather_of_nothing_is_an_empty_list():
    assert await gather() == []


async def test_gather_raises_the_first_failure_at_once_and_the_others_go_on():
    futures = pending(3)
    gathering = asyncio.create_task(gather(*futures))
    await asyncio.sleep(0)
    futures[1].set_exception(ValueError("first"))
    with pytest.raises(ValueError, match="first"):
        await gathering
    assert not futures[0].done()
    assert callbacks_of(futures[0]) == 0


async def test_gather_gives_exceptions_in_place_of_results_if_asked():
    futures = pending(3)
    futures[0].set_result(0)
    futures[1].set_exception(ValueError("second"))
    futures[2].cancel()
    first, second, third = await gather(*futures, return_exceptions=True)
    assert first == 0
    assert str(second) == "second"
    assert isinstance(third, asyncio.CancelledError)


async def test_gather_of_a_cancelled_future_is_a_cancellation():
    future: FuncXFuture[int] = FuncXFuture()
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gather(future)


async def test_a_cancelled_gather_leaves_the_futures_alone():
    futures = pending(2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(gather(*futures), 0.001)
    assert not any(future.done() for future in futures)
    assert not any(callbacks_of(future) for future in futures)


async def test_one_future_may_be_gathered_twice():
    future: FuncXFuture[int] = FuncXFuture()
    future.set_result(1)
    assert await gather(future, future) == [1, 1]


async def test_gather_and_as_completed_refuse_what_is_not_a_funcx_future():
    with pytest.raises(TypeError, match="asyncio's own"):
        await gather(asyncio.get_running_loop().create_future())  # type: ignore[arg-type]


async def test_as_completed_gives_the_futures_themselves_as_they_finish():
    futures = pending(3)

    async def collect() -> list[int]:
        return [futures.index(future) async for future in as_completed(futures)]

    collecting = asyncio.create_task(collect())
    await asyncio.sleep(0)
    for number in (1, 2, 0):
        futures[number].set_result(None)
    assert await collecting == [1, 2, 0]


async def test_as_completed_can_be_left_early_without_a_trace():
    futures = pending(2)
    futures[0].set_result(None)
    finished = as_completed(futures)
    assert await anext(finished) is futures[0]
    await finished.aclose()
    assert callbacks_of(futures[1]) == 0


async def test_a_hundred_thousand_futures_are_gathered_without_a_task_each():
    futures = pending(100_000)
    gathering = asyncio.create_task(gather(*futures))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) < 10
    for number, future in enumerate(futures):
        future.set_result(number)
    assert sum(await gathering) == sum(range(100_000))


async def turns_during(waiting: Awaitable[object]) -> int:
    """How many turns another coroutine gets until ``waiting`` is over."""
    awaited = asyncio.ensure_future(waiting)
    turns = 0
    while not awaited.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


async def test_very_many_futures_leave_others_their_turns():
    futures = pending(10 * STEP)
    for future in futures:
        future.set_result(None)

    async def complete() -> None:
        assert len([future async for future in as_completed(futures)]) == len(futures)

    assert await turns_during(gather(*futures)) > 3 * 10
    assert await turns_during(complete()) > 3 * 9


async def test_waiting_for_very_many_leaves_nothing_behind():
    futures = pending(3 * STEP)
    futures[0].set_result(None)
    finished = as_completed(futures)
    assert await anext(finished) is futures[0]
    await finished.aclose()
    gathering = asyncio.create_task(gather(*futures))
    for _ in range(10):
        await asyncio.sleep(0)
    gathering.cancel()
    await asyncio.wait([gathering])
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(callbacks_of(future) for future in futures)


async def test_a_failure_is_raised_before_the_last_of_very_many_is_looked_at():
    futures = pending(3 * STEP)
    futures[0].set_exception(ValueError("first"))
    with pytest.raises(ValueError, match="first"):
        await gather(*futures)


async def test_progress_shows_a_bar(capsys: pytest.CaptureFixture[str]):
    future: FuncXFuture[int] = FuncXFuture()
    future.set_result(1)
    assert await gather(future, progress=True) == [1]
    assert "1/1" in capsys.readouterr().err


async def test_tasks_that_were_done_before_do_not_count_for_the_speed(
    capsys: pytest.CaptureFixture[str],
):
    futures: list[FuncXFuture[int]] = [FuncXFuture() for _ in range(1000)]
    for future in futures:
        future.set_result(1)
    assert len(await gather(*futures, progress=True)) == 1000
    assert len([each async for each in as_completed(futures, progress=True)]) == 1000
    shown = capsys.readouterr().err.split("\r")
    assert ["1000/1000" in line for line in shown].count(True) >= 2
    assert "?task/s" in shown[-1]
    assert not re.search(r"\dtask/s", "".join(shown))


async def test_progress_without_tqdm_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"funcx-async\[progress\]"):
        await gather(progress=True)


async def test_as_completed_ends_after_its_timeout_and_the_futures_go_on():
    done, pending_one = pending(2)
    done.set_result(1)
    completed = as_completed([pending_one, done], timeout=0.01)
    assert await anext(completed) is done
    with pytest.raises(TimeoutError, match="1 of the futures are not done"):
        await anext(completed)
    assert callbacks_of(pending_one) == 0
    pending_one.set_result(2)
    assert await pending_one == 2


async def test_as_completed_within_its_timeout_gives_all():
    futures = pending(2)
    asyncio.get_running_loop().call_soon(futures[1].set_result, 1)
    asyncio.get_running_loop().call_soon(futures[0].set_result, 0)
    seen = [await future async for future in as_completed(futures, timeout=20)]
    assert seen == [1, 0]
