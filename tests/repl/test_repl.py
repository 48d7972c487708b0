"""In ``python -m asyncio``: define, submit, await, leave; under a pseudo-terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator

import pytest

from funcx_async.local import LocalService
from tests.repl.terminal import PROMPT, Terminal, running


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def terminal(service: LocalService) -> AsyncIterator[Terminal]:
    environment = os.environ | {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
        "PYTHON_BASIC_REPL": "1",
    }
    async with running([sys.executable, "-m", "asyncio"], environment) as shown:
        await shown.until("import asyncio")
        await shown.until(PROMPT)
        yield shown


async def test_a_function_of_the_repl_is_awaited_and_leaving_prints_nothing(terminal: Terminal):
    await terminal.type("from funcx_async import FuncXExecutor")
    await terminal.type("executor = FuncXExecutor()")
    await terminal.type("ballast = b'x' * 5_000_000")
    await terminal.type("offset = 40")
    await terminal.type("def add(a): return a + offset\n")
    assert "42" in await terminal.type("await executor.submit(add, 2)")
    assert "50" in await terminal.type("future = executor.submit(add, 10); await future")
    assert "state=finished returned int" in await terminal.type("future")
    assert "0 open" in await terminal.type("executor")
    shown = await terminal.leave("exit()")
    assert re.fullmatch(r"exit\(\)\n(exiting asyncio REPL\.\.\.\n)?", shown)
    assert terminal.process.returncode == 0


async def test_leaving_with_an_open_task_prints_nothing_either(
    service: LocalService, terminal: Terminal
):
    await terminal.type("from funcx_async import FuncXExecutor")
    await terminal.type("executor = FuncXExecutor()")
    with service.faults.endpoint_offline():
        await terminal.type("future = executor.submit(pow, 2, 3)")
        await terminal.type("await future.submitted()")
        shown = await terminal.leave("exit()")
    assert re.fullmatch(r"exit\(\)\n(exiting asyncio REPL\.\.\.\n)?", shown)
    assert terminal.process.returncode == 0


async def test_a_global_that_a_function_does_not_use_stays_at_home(terminal: Terminal):
    await terminal.type("from funcx_async.serialize import FuncXSerializer")
    await terminal.type("ballast = b'x' * 5_000_000")
    await terminal.type("def add(a): return a + 1\n")
    shown = await terminal.type("'size', len(FuncXSerializer().serialize_function(add))")
    found = re.search(r"\('size', (\d+)\)", shown)
    assert found is not None
    assert int(found[1]) < 10_000
