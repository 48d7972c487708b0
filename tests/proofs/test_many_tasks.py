"""100,000 small tasks through one executor: each settles once with its own result, in bounds."""

from __future__ import annotations

import logging
import resource

import pytest

from funcx_async import FuncXFuture, gather
from funcx_async.local import LocalService

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]

TASKS = 100_000
MEBIBYTE = 1024 * 1024


def triple(number: int) -> int:
    return 3 * number


def peak_memory() -> int:
    """The largest size that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_every_future_settles_once_with_its_own_result(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    settled: list[int] = []
    async with LocalService(workers=2) as service, service.executor() as executor:
        await executor.submit(triple, 0)
        before = peak_memory()
        futures: list[FuncXFuture[int]] = []
        for number in range(TASKS):
            future = executor.submit(triple, number)
            future.add_done_callback(lambda _, number=number: settled.append(number))
            futures.append(future)
        results = await gather(*futures)
        stats = executor.stats
    assert results == [3 * number for number in range(TASKS)]
    assert sorted(settled) == list(range(TASKS))
    assert (stats.done, stats.failed, stats.open) == (TASKS + 1, 0, 0)
    assert (stats.orphans, stats.malformed, stats.held) == (0, 0, 0)
    assert peak_memory() - before < 800 * MEBIBYTE
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
