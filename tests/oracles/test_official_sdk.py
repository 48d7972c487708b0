"""The official SDK's Executor, unmodified and in an environment of its own, on the local service.

Its base URL cannot be set: the environment ``local`` is ``http://localhost:5000``, whatever the
port of our service. So our service is its HTTP proxy, and answers itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from funcx_async.local import LocalService
from tests.brokers import require, with_rabbitmq
from tests.local.dialogue import payload, rest_of
from tests.local.restarts import Gate, Restarted, pass_through

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
LIMIT = 120.0


@pytest.fixture(params=with_rabbitmq("embedded"))
def amqp_url(request: pytest.FixtureRequest) -> str | None:
    """Where the service sends results."""
    return require() if request.param == "rabbitmq" else None


@contextlib.asynccontextmanager
async def official_session(
    python: str, service: LocalService | Restarted, home: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The official SDK's program, running."""
    process = await asyncio.create_subprocess_exec(
        *(python, str(HERE / "official_session.py"), *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={
            "HTTP_PROXY": service.url,
            "HOME": str(home),
            "LOCAL_TOKEN": service.token,
            "LOCAL_ENDPOINT": service.endpoint_id,
            "PATH": os.environ["PATH"],
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def last_words(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """What the program saw, once it has ended."""
    out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 0, "the official SDK failed; standard error says how"
    document: dict[str, Any] = json.loads(out)
    return document


async def test_the_official_executor_works_on_the_local_service(
    official_python: str, amqp_url: str | None, tmp_path: Path
):
    async with LocalService(workers=2, amqp_url=amqp_url) as service, rest_of(service) as rest:
        async with official_session(official_python, service, tmp_path, "work") as process:
            seen = await last_words(process)
        assert service.faults.count("accepted") == 303
        assert seen["values"] == [2 * number for number in range(300)]
        assert 'raise ValueError("on purpose")' in seen["error"]
        assert "exit code 3" in seen["crash"]
        assert seen["hello"] == "Hello World!"
        assert (seen["status"], seen["task"]) == ("online", "success")

        with service.faults.endpoint_offline() as offline:
            function_id = await rest.register(abs)
            await rest.submit(function_id, payload(-7), task_group_id=seen["group"])
            again = ("reload", seen["group"])
            async with official_session(official_python, service, tmp_path, *again) as process:
                assert process.stdout is not None
                line = await asyncio.wait_for(process.stdout.readline(), LIMIT)
                assert line == b"reloaded\n"
                offline.release()
                seen = await last_words(process)
        assert seen == {"reloaded": 304, "values": 301, "unfinished": 7, "afterwards": 2}


async def test_the_official_executor_reloads_its_tasks_after_the_service_was_killed(
    official_python: str, tmp_path: Path
):
    service, gate = Restarted(tmp_path), Gate(tmp_path)
    await service.start()
    try:
        async with official_session(official_python, service, tmp_path, "work") as process:
            group = (await last_words(process))["group"]
        async with service.client() as client:
            function_id = await client.register_function(pass_through)
            tasks = {function_id: [payload(gate.begun, gate.go)]}
            await client.submit(service.endpoint_id, tasks, task_group_id=group)
        await gate.reached()
        await service.kill()
        await service.start()
        again = ("reload", group)
        async with official_session(official_python, service, tmp_path, *again) as process:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), LIMIT)
            assert line == b"reloaded\n"
            await gate.reached()
            await gate.open()
            seen = await last_words(process)
    finally:
        await service.aclose()
    assert seen == {"reloaded": 304, "values": 300, "unfinished": "go", "afterwards": 2}
