"""Failures: logged if nobody retrieves them, and raised again without keeping old frames."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import funcx_async
from funcx_async import ExecutorClosed, FuncXFuture, as_completed, gather

TIMEOUT = 60
PACKAGE = str(Path(funcx_async.__file__).parent)

Retrieve = Callable[[FuncXFuture[Any]], Awaitable[Any]]


async def awaiting(future: FuncXFuture[Any]) -> None:
    await future


async def the_result(future: FuncXFuture[Any]) -> None:
    future.result(0)


async def gathering(future: FuncXFuture[Any]) -> None:
    await gather(future)


async def each_completed(future: FuncXFuture[Any]) -> None:
    async for done in as_completed([future]):
        await done


RAISING = [awaiting, the_result, gathering, each_completed]


async def the_exception(future: FuncXFuture[Any]) -> None:
    assert future.exception(0) is not None


async def gathering_exceptions(future: FuncXFuture[Any]) -> None:
    await gather(future, return_exceptions=True)


async def asyncio_gathering(future: FuncXFuture[Any]) -> None:
    await asyncio.gather(future)


async def wrapping(future: FuncXFuture[Any]) -> None:
    await asyncio.wrap_future(future)


def failed(error: Exception | None = None) -> FuncXFuture[Any]:
    future: FuncXFuture[Any] = FuncXFuture("the task")
    future.function_name = "boom"
    future.set_exception(error or ValueError("lost"))
    return future


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    gc.collect()
    return [record for record in caplog.records if record.name == "funcx_async.futures"]


async def test_failure_that_nobody_retrieves_is_logged_once(caplog: pytest.LogCaptureFixture):
    failed()
    (record,) = logged(caplog)
    assert "the task of the function 'boom' was never retrieved" in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "lost"
    assert vars(record)["task_id"] == "the task"


@pytest.mark.parametrize(
    "retrieve", [*RAISING, the_exception, gathering_exceptions, asyncio_gathering, wrapping]
)
async def test_failure_that_was_retrieved_is_not_logged(
    retrieve: Retrieve, caplog: pytest.LogCaptureFixture
):
    with suppress(ValueError):
        await retrieve(failed())
    assert logged(caplog) == []


async def test_waiting_for_a_failure_does_not_retrieve_it(caplog: pytest.LogCaptureFixture):
    concurrent.futures.wait([failed()], TIMEOUT)
    assert len(logged(caplog)) == 1


async def test_failure_after_a_cancelled_await_is_logged(caplog: pytest.LogCaptureFixture):
    future: FuncXFuture[Any] = FuncXFuture("the task")
    with suppress(TimeoutError):
        await asyncio.wait_for(future, 0)
    future.set_exception(ValueError("lost"))
    del future
    assert len(logged(caplog)) == 1


async def test_gather_raises_the_first_failure_and_no_other_is_logged(
    caplog: pytest.LogCaptureFixture,
):
    futures = [FuncXFuture[Any]() for _ in range(4)]
    waiting = asyncio.create_task(gather(*futures))
    await asyncio.sleep(0)
    futures[2].set_exception(ValueError("first"))
    futures[1].set_exception(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        await waiting
    futures[0].set_exception(ValueError("third"))
    futures[3].cancel()
    del futures, waiting
    assert logged(caplog) == []


async def test_end_of_an_executor_is_not_logged_for_each_future(
    caplog: pytest.LogCaptureFixture,
):
    failed(ExecutorClosed("the end"))
    future: FuncXFuture[Any] = FuncXFuture()
    future.cancel()
    del future
    assert logged(caplog) == []


async def frames(future: FuncXFuture[Any], retrieve: Retrieve) -> list[traceback.FrameSummary]:
    with pytest.raises(ValueError, match="lost") as caught:
        await retrieve(future)
    return list(traceback.extract_tb(caught.value.__traceback__))


@pytest.mark.parametrize("retrieve", RAISING)
async def test_raising_a_failure_again_keeps_no_frame_of_the_last_time(retrieve: Retrieve):
    future = failed()
    first = await frames(future, retrieve)
    for _ in range(3):
        assert len(await frames(future, retrieve)) == len(first)


async def test_traceback_of_the_failure_itself_is_kept():
    def fail() -> None:
        raise ValueError("lost")

    try:
        fail()
    except ValueError as error:
        future = failed(error)
    for retrieve in RAISING:
        assert [frame.name for frame in await frames(future, retrieve)][-2:] == [
            "test_traceback_of_the_failure_itself_is_kept",
            "fail",
        ]


@pytest.mark.parametrize("retrieve", RAISING)
async def test_frames_of_this_package_are_hidden_in_tracebacks(retrieve: Retrieve):
    with pytest.raises(ValueError, match="lost") as caught:
        await retrieve(failed())
    ours = [
        frame
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if frame.f_code.co_filename.startswith(PACKAGE)
    ]
    assert ours
    for frame in ours:
        assert frame.f_locals.get("__tracebackhide__"), frame
        assert set(frame.f_locals) >= set(frame.f_code.co_varnames[: frame.f_code.co_argcount])
