"""A service on a file that is killed while it works, and the next one on the same file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from funcx_async import TaskExecutionFailed, gather
from tests.executor.tasks import add, fail
from tests.local.dialogue import LIMIT
from tests.local.restarts import Gate, Restarted, pass_through


@pytest.fixture
async def restarted(tmp_path: Path) -> AsyncIterator[Restarted]:
    service = Restarted(tmp_path)
    await service.start()
    yield service
    await service.aclose()


class Earlier(NamedTuple):
    """What a program remembers that ended before its tasks did."""

    group: str
    function_id: str
    done: list[str]
    failing: str
    waiting: str
    behind: str


async def earlier_program(restarted: Restarted, gate: Gate) -> Earlier:
    """Leave a group with tasks that are done, one that runs and one that waits."""
    async with restarted.client() as client:
        executor = restarted.executor(client)
        done = [executor.submit(add, number) for number in range(20)]
        failing = executor.submit(fail, "on purpose")
        await asyncio.wait_for(gather(*done, failing, return_exceptions=True), LIMIT)
        waiting = executor.submit(pass_through, gate.begun, gate.go)
        behind = executor.submit(add, 100)
        await gate.reached()
        last = await behind.submitted()
        function_id = await executor.register_function(max)
        ids = [await future.submitted() for future in (*done, failing, waiting)]
        return Earlier(str(executor.task_group_id), function_id, ids[:-2], *ids[-2:], last)


async def test_after_a_kill_another_program_reloads_every_task(restarted, tmp_path):
    gate = Gate(tmp_path)
    earlier = await asyncio.to_thread(asyncio.run, earlier_program(restarted, gate))
    told = restarted.told
    await restarted.kill()

    await restarted.start()
    assert restarted.told == told, "endpoint, port and token are those of before"
    async with restarted.client() as client, restarted.executor(client) as later:
        futures = {future.task_id: future for future in await later.reload_tasks(earlier.group)}
        assert len(futures) == 23
        values = [await futures[task_id] for task_id in earlier.done]
        assert values == [number + 1 for number in range(20)]
        with pytest.raises(TaskExecutionFailed, match="on purpose"):
            await futures[earlier.failing]
        await gate.reached()  # what was not finished began anew
        assert not futures[earlier.waiting].done()
        await gate.open()
        assert await asyncio.wait_for(futures[earlier.waiting], LIMIT) == "go"
        assert await asyncio.wait_for(futures[earlier.behind], LIMIT) == 101
        again = later.submit_to_registered_function(earlier.function_id, (1, 2, 3))
        assert await asyncio.wait_for(again, LIMIT) == 3


async def test_an_executor_that_is_open_goes_on_after_a_kill(restarted, tmp_path):
    gate = Gate(tmp_path)
    async with restarted.client() as client, restarted.executor(client) as executor:
        assert await asyncio.wait_for(executor.submit(add, 1), LIMIT) == 2
        waiting = executor.submit(pass_through, gate.begun, gate.go)
        behind = executor.submit(add, 100)
        await gate.reached()
        await behind.submitted()
        await restarted.kill()
        meanwhile = executor.submit(add, 200)
        await restarted.start()
        await gate.reached()
        await gate.open()
        assert await asyncio.wait_for(waiting, LIMIT) == "go"
        assert await asyncio.wait_for(behind, LIMIT) == 101
        assert await asyncio.wait_for(meanwhile, LIMIT) == 201
