"""In ``python -m asyncio``: define, submit, await, leave; under a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator

import pytest

from funcx_async.local import LocalService

TIMEOUT = 30
PROMPT = ">>> "


class Terminal:
    """A program on a pseudo-terminal: what is typed, and what it shows."""

    def __init__(self, process: asyncio.subprocess.Process, controller: int) -> None:
        self.process = process
        self._controller = controller
        self._shown = ""
        self._lines = 0
        self._more = asyncio.Event()
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(controller, self._read)

    def _read(self) -> None:
        try:
            text = os.read(self._controller, 65536)
        except OSError:  # the other side is closed
            text = b""
        if not text:
            asyncio.get_running_loop().remove_reader(self._controller)
            self._ended.set()
        self._shown += text.decode(errors="replace")
        self._more.set()

    async def until(self, text: str) -> str:
        """Wait until ``text`` is shown, and give all up to it."""
        async with asyncio.timeout(TIMEOUT):
            while text not in self._shown:
                self._more.clear()
                await self._more.wait()
        seen, _, self._shown = self._shown.partition(text)
        return seen

    async def type(self, line: str) -> str:
        """Type a line, and give what is shown until the next prompt after its answer."""
        self._lines += 1
        os.write(self._controller, f"{line}\nprint('answer', {self._lines})\n".encode())
        shown = await self.until(f"answer {self._lines}")
        await self.until(PROMPT)
        return shown.replace("\r", "")

    async def leave(self, line: str) -> str:
        """Type the last line, and give all that is shown until the end."""
        os.write(self._controller, line.encode() + b"\n")
        await asyncio.wait_for(self.process.wait(), TIMEOUT)
        await asyncio.wait_for(self._ended.wait(), TIMEOUT)
        return self._shown.replace("\r", "")


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
        "TERM": "dumb",
    }
    controller, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "asyncio",
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
    )
    os.close(terminal)
    shown = Terminal(process, controller)
    await shown.until("import asyncio")
    await shown.until(PROMPT)
    yield shown
    if process.returncode is None:
        process.kill()
        await process.wait()
    asyncio.get_running_loop().remove_reader(controller)
    os.close(controller)


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
    assert int(found[1]) < 2_000
