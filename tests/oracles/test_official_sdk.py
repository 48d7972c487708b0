"""The official SDK's Executor, unmodified and in an environment of its own, on the local service.

Its base URL cannot be set: the environment ``local`` is ``http://localhost:5000``, whatever the
port of our service. So our service is its HTTP proxy, and answers itself.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from funcx_async.local import LocalService
from tests.local.dialogue import payload, rest_of
from tests.local.restarts import Gate, Restarted, pass_through
from tests.oracles.programs import last_words, running, says

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]


def official_session(
    python: str, service: LocalService | Restarted, home: Path, *arguments: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """The official SDK's program, running."""
    environment = {
        "HOME": str(home),
        "HTTP_PROXY": service.url,
        "LOCAL_TOKEN": service.token,
        "LOCAL_ENDPOINT": service.endpoint_id,
    }
    return running(python, "official_session.py", *arguments, environment=environment)


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
                await says(process, "reloaded")
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
            await says(process, "reloaded")
            await gate.reached()
            await gate.open()
            seen = await last_words(process)
    finally:
        await service.aclose()
    assert seen == {"reloaded": 304, "values": 300, "unfinished": "go", "afterwards": 2}
