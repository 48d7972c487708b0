"""``watch``: in lines, in a real terminal, and until all tasks have ended."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from funcx_async import FuncXExecutor
from funcx_async.local import LocalService
from tests.cli.conftest import Command, variables_of

LIMIT = 30.0


@pytest.fixture(autouse=True)
async def sound(service: LocalService) -> AsyncIterator[None]:
    """Whatever a test did to the service is over with it."""
    yield
    service.faults.reset()


@asynccontextmanager
async def group_of(
    service: LocalService, *divisors: int
) -> AsyncIterator[tuple[FuncXExecutor, str]]:
    async with service.executor() as executor:
        futures = [executor.submit(divmod, 10, divisor) for divisor in divisors]
        await futures[0].submitted()
        yield executor, str(executor.task_group_id)


async def test_it_ends_when_all_have_ended(told, command: Command):
    async with group_of(told, 1, 2, 3) as (_, group):
        ended = await command("watch", group, "--every", "0.05")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[-2].endswith("3 of 3 finished  (success 3)") or "; " in lines[-2]
    assert lines[-1].startswith("All 3 tasks finished")
    assert lines[-1].endswith("none failed.")


async def test_it_follows_tasks_from_waiting_to_their_end(told, command: Command):
    looks = told.faults.count("batch_status")
    told.faults.endpoint_offline()
    async with group_of(told, 1, 0) as (_, group):
        watching = asyncio.create_task(command("watch", group, "--every", "0.05"))
        await told.faults.seen("batch_status", looks + 2)
        told.faults.refuse("batch_status", status=503)
        await told.faults.seen("batch_status", looks + 4)
        told.faults.reset()
        ended = await watching
    assert (ended.code, ended.err) == (1, "")
    lines = ended.out.splitlines()
    assert "0 of 2 finished" in lines[0]
    assert any("is unavailable, retrying" in line for line in lines)
    assert lines[-1].endswith("1 failed.")
    assert len(lines) < 10, "what has not changed is not said again"


async def test_it_takes_nothing_from_whoever_awaits_the_results(told, command: Command):
    async with told.executor() as executor:
        futures = [executor.submit(divmod, 10, divisor) for divisor in (1, 2)]
        await futures[0].submitted()
        await command("watch", str(executor.task_group_id), "--every", "0.05")
        assert [await future for future in futures] == [(10, 0), (5, 0)]


async def test_an_unknown_group_is_one_line(told, command: Command):
    ended = await command("watch", str(uuid4()))
    assert (ended.code, ended.out) == (1, "")
    assert "TASK_GROUP_NOT_FOUND" in ended.err
    assert len(ended.err.splitlines()) == 1


class Terminal:
    """A program on a real terminal.

    Attributes:
        shown: everything that it has written.
    """

    def __init__(self) -> None:
        self.shown = b""
        self._more = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._ended = False

    @asynccontextmanager
    async def running(self, service: LocalService, *words: str) -> AsyncIterator[Terminal]:
        loop = asyncio.get_running_loop()
        here, there = pty.openpty()
        environment = {**os.environ, **variables_of(service), "TERM": "xterm-256color"}
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "funcx_async", *words),
            stdin=there,
            stdout=there,
            stderr=there,
            env={**environment, "COLUMNS": "110", "LINES": "40"},
        )
        os.close(there)
        loop.add_reader(here, self._read, here)
        try:
            yield self
        finally:
            loop.remove_reader(here)
            if process.returncode is None:
                process.kill()
            await process.wait()
            os.close(here)

    def _read(self, here: int) -> None:
        try:
            self.shown += os.read(here, 65_536)
        except OSError:  # nobody writes any more
            self._ended = True
            asyncio.get_running_loop().remove_reader(here)
        self._more.set()

    async def until(self, words: str) -> None:
        async with asyncio.timeout(LIMIT):
            while words.encode() not in self.shown:
                assert not self._ended, self.shown.decode()
                self._more.clear()
                await self._more.wait()

    def interrupt(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)

    async def end(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(LIMIT):
            while not self._ended:
                self._more.clear()
                await self._more.wait()
            return await self._process.wait()


async def test_in_a_terminal_it_is_a_picture_that_changes(service: LocalService):
    service.faults.endpoint_offline()
    async with (
        group_of(service, 3) as (_, group),
        Terminal().running(service, "watch", group, "--every", "0.05") as terminal,
    ):
        await terminal.until("0 of 1")
        assert group in terminal.shown.decode()
        service.faults.reset()
        await terminal.until("1 of 1")
        assert await terminal.end() == 0
    assert "The task finished" in terminal.shown.decode()
    assert terminal.shown.decode().rstrip().endswith("none failed.")


async def test_ctrl_c_ends_it_with_one_line(service: LocalService):
    service.faults.endpoint_offline()
    async with group_of(service, 3) as (_, group):
        async with Terminal().running(service, "watch", group) as terminal:
            await terminal.until("0 of 1")
            terminal.interrupt()
            assert await terminal.end() == 130
        service.faults.reset()
    last = terminal.shown.decode().rstrip().splitlines()[-1]
    assert last.endswith("Interrupted; the tasks keep running.")
    assert "Traceback" not in terminal.shown.decode()
