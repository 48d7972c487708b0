"""Programs that leave a service in error, and executors that a service ends."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from funcx_async import ExecutorClosed, FuncXExecutor, blocking
from funcx_async.local import LocalService
from tests.executor.tasks import add

LIMIT = 40

LEFT = re.compile(r"executor: leaving with an error; \d+ task\(s\) of the group \S+ go on .*\n")
"""What the executor says of tasks that are open when it is left in error."""

PROGRAM = """
import asyncio, time
from funcx_async import FuncXExecutor, blocking, gather
from funcx_async.local import LocalService

def inverse(x):
    time.sleep(0.05)
    return 1 / x

async def sweep(executor):
    await gather(*(executor.submit(inverse, x) for x in range(20)))

async def wait(executor):
    await executor.submit(pow, 2, 5)
    print("waiting", flush=True)
    await executor.submit(time.sleep, 1000)

async def slip(executor):
    print(await executor.submit(pow, 2, 5) + "text")

async def run(work):
    async with LocalService(workers=2) as service, service.executor() as executor:
        await work(executor)

async def run_with_a_client(work):
    async with LocalService(workers=2) as service:
        client = service.client()
        async with FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
            await work(executor)

def run_without_a_loop():
    with blocking.LocalService(workers=2) as service, service.executor() as executor:
        print(executor.submit(pow, 2, 5).result())
        print("waiting", flush=True)
        executor.submit(time.sleep, 1000).result()

"""


def begun(last_line: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM) + last_line],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("last_line", "error"),
    [
        pytest.param("asyncio.run(run(sweep))", "ZeroDivisionError: ", id="a task that fails"),
        pytest.param("asyncio.run(run(slip))", "TypeError: ", id="nothing open"),
        pytest.param("asyncio.run(run_with_a_client(slip))", "TypeError: ", id="its client"),
    ],
)
def test_a_program_that_fails_shows_its_own_traceback_and_no_other(last_line: str, error: str):
    with begun(last_line) as program:
        _, said = program.communicate(timeout=LIMIT)
    traceback = LEFT.sub("", said, count=1)
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.splitlines()[-1].lstrip().startswith(error)
    assert "aiormq" not in traceback
    assert program.returncode == 1


@pytest.mark.parametrize("last_line", ["asyncio.run(run(wait))", "run_without_a_loop()"])
def test_ctrl_c_shows_one_traceback_too(last_line: str):
    with begun(last_line) as program:
        assert program.stdout is not None
        while program.stdout.readline() != "waiting\n":
            assert program.poll() is None
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=LIMIT)
    traceback = LEFT.sub("", said, count=1)
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.splitlines()[-1] == "KeyboardInterrupt"
    assert "aiormq" not in traceback


async def test_an_executor_that_is_open_ends_with_the_service_and_its_futures_fail():
    async with LocalService(workers=1) as service:
        used = FuncXExecutor(service.endpoint_id, funcx_client=service.client())
        await used.submit(add, 1)
        service.faults.hold_results()
        sent, unsent = used.submit(add, 2), service.executor().submit(add, 3)
        await asyncio.wait_for(sent.submitted(), LIMIT)
    for future in (sent, unsent):
        with pytest.raises(ExecutorClosed):
            future.result()
    await asyncio.wait_for(used.shutdown(), LIMIT)


async def test_one_that_has_had_no_turn_yet_ends_as_well():
    service = LocalService(workers=1)
    await service.start()
    future = service.executor().submit(add, 1)
    await service.aclose()
    with pytest.raises(ExecutorClosed):
        future.result()


async def test_executors_of_others_go_on():
    async with LocalService(workers=1) as service, service.executor() as executor:
        async with LocalService(workers=1) as other:
            assert await asyncio.wait_for(other.executor().submit(add, 1), LIMIT) == 2
        assert await asyncio.wait_for(executor.submit(add, 1), LIMIT) == 2


def test_it_is_so_without_a_loop():
    with blocking.LocalService(workers=1) as service:
        executor = service.executor()
        executor.submit(add, 1).result(LIMIT)
        service.faults.hold_results()
        future = executor.submit(add, 2)
    with pytest.raises(ExecutorClosed):
        future.result(LIMIT)
    executor.shutdown()
