"""A loss is told once, by us: aiormq's own records are for those who configured logging."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import pytest

from funcx_async.local import LocalService

LIMIT = 30.0

PROGRAM = """
import asyncio
from funcx_async import FuncXExecutor
from funcx_async.local import LocalService

async def main():
    async with LocalService(workers=1) as service:
        async with service.executor() as executor:
            await executor.submit(abs, -1)
            service.faults.disconnect()
            print(await executor.submit(abs, -2))
        client = service.client()
        async with FuncXExecutor(service.endpoint_id, funcx_client=client, amqp_port=1) as executor:
            print(await executor.submit(abs, -3))
        await client.aclose()

asyncio.run(main())
"""


async def test_where_logging_is_not_configured_a_loss_is_one_line():
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (ended.returncode, ended.stdout) == (0, "2\n3\n")
    (line,) = ended.stderr.splitlines()
    assert "results are polled over REST instead" in line


async def test_whoever_configured_logging_gets_what_aiormq_says(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "aiormq")
    async with LocalService(workers=1) as service, service.executor() as executor:
        await executor.submit(abs, -1)
        service.faults.disconnect()
        assert await executor.submit(abs, -2) == 2
    assert {record.name for record in caplog.records} == {"aiormq.connection"}
