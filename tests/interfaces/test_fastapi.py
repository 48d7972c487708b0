"""In a FastAPI service: the executor lives in the lifespan, requests await results."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from funcx_async.local import LocalService

TIMEOUT = 30


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
async def gateway(service: LocalService) -> AsyncIterator[str]:
    """The application behind a real server, in a process of its own; gives its address."""
    environment = os.environ | {
        "FUNCX_ASYNC_SERVICE_URL": service.url,
        "FUNCX_ASYNC_TOKEN": service.token,
        "FUNCX_ASYNC_ENDPOINT_ID": service.endpoint_id,
    }
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "uvicorn",
            "tests.interfaces.gateway:app",
            "--fd",
            str(listening.fileno()),
            env=environment,
            pass_fds=[listening.fileno()],
            stderr=asyncio.subprocess.PIPE,
        )
        yield f"http://127.0.0.1:{port}"
    process.terminate()
    _, told = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert process.returncode == -signal.SIGTERM, told.decode()
    assert b"Application shutdown complete" in told
    assert b"Traceback" not in told


async def test_a_request_is_answered_with_the_awaited_result(gateway: str):
    async with httpx.AsyncClient(base_url=gateway, timeout=TIMEOUT) as client:
        answers = await asyncio.gather(*(client.get(f"/simulate/{n}") for n in range(1, 6)))
    assert [answer.json()["result"] for answer in answers] == [0, 2, 6, 12, 20]


async def test_a_request_that_is_cut_off_leaves_task_and_executor_well(
    service: LocalService, gateway: str
):
    async with httpx.AsyncClient(base_url=gateway, timeout=TIMEOUT) as client:
        with service.faults.endpoint_offline():
            cut_off = asyncio.create_task(client.get("/simulate/10"))
            await service.faults.seen("accepted")
            cut_off.cancel()
            await asyncio.wait([cut_off])
            assert (await client.get("/open")).json() == {"open": 1, "done": 0}
        await service.faults.seen("published")
        assert (await client.get("/simulate/3")).json() == {"result": 6}
        assert (await client.get("/open")).json() == {"open": 0, "done": 2}
