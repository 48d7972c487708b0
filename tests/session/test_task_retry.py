"""One timer for all deadlines: whatever becomes of one future, the others are called on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from funcx_async import FuncXFuture
from funcx_async._session.task_retry import MAX_CALLS, DeadlineTimer

TIMEOUT = 60


async def test_a_call_that_fails_keeps_no_other_from_its_time(caplog: pytest.LogCaptureFixture):
    loop = asyncio.get_running_loop()
    futures: list[FuncXFuture[Any]] = [FuncXFuture() for _ in range(MAX_CALLS + 10)]
    called: list[FuncXFuture[Any]] = []
    all_called = asyncio.Event()

    def call(future: FuncXFuture[Any]) -> None:
        called.append(future)
        if len(called) == len(futures):
            all_called.set()
        if future in (futures[0], futures[7]):
            raise RuntimeError("no breakfast")

    timer = DeadlineTimer(loop, call)
    for future in futures:
        timer.set(future, loop.time())
    await asyncio.wait_for(all_called.wait(), TIMEOUT)
    assert called == futures
    assert caplog.text.count("handling that failed") == 2
