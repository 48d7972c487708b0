"""``funcx`` 1.0.13, unmodified and in an environment of its own, on the local service.

Its dill writes code objects only up to Python 3.10; from 3.11 on, it sends source alone.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from funcx_async import FuncXSerializer, TaskExecutionFailed, gather
from funcx_async.local import LocalService
from tests.executor.tasks import add
from tests.oracles.programs import LIMIT, last_words, running, says

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]


def session(
    python: str, service: LocalService, home: Path, *arguments: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """The original's program, running."""
    environment = {
        "HOME": str(home),
        "LOCAL_URL": service.url,
        "LOCAL_TOKEN": service.token,
        "LOCAL_ENDPOINT": service.endpoint_id,
    }
    return running(python, "funcx_session.py", *arguments, environment=environment)


async def test_the_original_executor_works_and_we_reload_its_tasks(
    funcx_python: str, amqp_url: str | None, tmp_path: Path
):
    async with LocalService(workers=2, amqp_url=amqp_url) as service:
        async with session(funcx_python, service, tmp_path, "work") as process:
            seen = await last_words(process)
        assert seen["values"] == [2 * number for number in range(200)]
        assert "on purpose" in seen["error"]
        assert seen["hello"] == "Hello World!"
        assert seen["task"] == "success"

        client = service.client(api="v2")
        async with service.executor(funcx_client=client) as executor:
            futures = await executor.reload_tasks(seen["group"])
            outcomes = await asyncio.wait_for(gather(*futures, return_exceptions=True), LIMIT)
        numbers = sorted(value for value in outcomes if isinstance(value, int))
        assert numbers == [2 * number for number in range(1, 200)], "one was read already"
        assert "Hello World!" in outcomes
        assert [type(each) for each in outcomes].count(TaskExecutionFailed) == 1
        await service.faults.delete_queues()


async def test_the_original_executor_reloads_our_tasks(
    funcx_python: str, amqp_url: str | None, tmp_path: Path
):
    async with LocalService(workers=1, amqp_url=amqp_url) as service:
        async with service.executor(funcx_client=service.client(api="v2")) as executor:
            await gather(*(executor.submit(add, number) for number in range(5)))
            group = str(executor.task_group_id)
            function_id = await executor.register_function(max)
        with service.faults.endpoint_offline() as offline:
            client = service.client(api="v2")
            arguments = FuncXSerializer().serialize_arguments((1, 2, 3), {})
            await client.submit(
                service.endpoint_id, {function_id: [arguments]}, task_group_id=group
            )
            async with session(funcx_python, service, tmp_path, "reload", group) as process:
                await says(process, "reloaded")
                offline.release()
                seen = await last_words(process)
        assert seen == {"values": [1, 2, 3, 4, 5], "unfinished": 3}
        await service.faults.delete_queues()


async def test_the_original_client_administers_containers_and_whitelists(
    funcx_python: str, tmp_path: Path
):
    async with (
        LocalService(workers=1) as service,
        session(funcx_python, service, tmp_path, "administer") as process,
    ):
        seen = await last_words(process)
    assert "whitelist" in seen.pop("refused")
    assert seen == {
        "location": "docker://x",
        "built": "ready",
        "whitelisted": True,
        "status": "online",
        "task": True,
    }
