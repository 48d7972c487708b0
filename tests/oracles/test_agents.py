"""The official endpoint agent runs what our executor submits, configured as the guide says."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from funcx_async import ExecutorClosed, FuncXExecutor, TaskExecutionFailed, gather
from funcx_async.local import LocalService
from tests import brokers
from tests.local.dialogue import rest_of, value
from tests.oracles.agent_process import (
    AgentProcess,
    agent_process,
    bin_directory,
    from_the_guide,
)

pytestmark = [pytest.mark.oracle, pytest.mark.proof, pytest.mark.timeout(240)]

LIMIT = 90.0
HERE = Path(__file__).parent


def double(number):
    return 2 * number


def refuse(number):
    raise ValueError(f"{number} is refused")


def large(length):
    return "x" * length


def crash():

    os._exit(3)


def ask(port):
    """Say that the task runs, and return what is answered."""

    with socket.create_connection(("127.0.0.1", port)) as connection:
        return connection.recv(100).decode()


class Switchboard:
    """What running tasks connect to."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(
            lambda _, writer: self.calls.put_nowait(writer), "127.0.0.1", 0
        )
        self.port = server.sockets[0].getsockname()[1]
        return server


@pytest.fixture(params=brokers.with_rabbitmq("embedded"))
async def service(request: pytest.FixtureRequest) -> AsyncIterator[LocalService]:
    amqp_url = brokers.require() if request.param == "rabbitmq" else None
    async with LocalService(workers=1, amqp_url=amqp_url, agents=True) as running:
        yield running
        await running.faults.delete_queues()


@pytest.fixture
async def switchboard() -> AsyncIterator[Switchboard]:
    board = Switchboard()
    server = await board.start()
    yield board
    server.close()


async def endpoint_of(service: LocalService) -> str:
    """The id of the one agent that has registered."""
    (endpoint_id,) = [
        each.endpoint_id
        for each in await service.client().get_endpoints()
        if each.endpoint_id != service.endpoint_id
    ]
    return endpoint_id


async def status_of(service: LocalService, endpoint_id: str) -> str:
    return (await service.client().get_endpoint_status(endpoint_id)).status


async def run_a_thousand(executor: FuncXExecutor) -> None:
    """990 values, nine remote errors and a result of 5 MB."""
    futures = [executor.submit(double, number) for number in range(990)]
    errors = [executor.submit(refuse, number) for number in range(9)]
    big = executor.submit(large, 5_000_000)
    async with asyncio.timeout(LIMIT):
        assert await gather(*futures) == [2 * number for number in range(990)]
        for number, error in enumerate(errors):
            with pytest.raises(TaskExecutionFailed, match=f"ValueError: {number} is refused"):
                await error
        assert await big == "x" * 5_000_000


async def survive_a_kill(
    agent: AgentProcess, service: LocalService, executor: FuncXExecutor, board: Switchboard
) -> None:
    """Kill the agent under a running task, start it again, and have the task finish."""
    async with asyncio.timeout(LIMIT):
        asking = executor.submit(ask, board.port)
        unanswered = await board.calls.get()  # it runs
        await agent.kill()
        unanswered.close()
        behind = [executor.submit(double, number) for number in range(10)]
        await behind[-1].submitted()
        await agent.start(service)
        writer = await board.calls.get()
        writer.write(b"answered")
        writer.close()
        assert await asking == "answered"
        assert await gather(*behind) == [2 * number for number in range(10)]


@pytest.mark.parametrize("engine", ["Threads", "Processes"])
async def test_a_thousand_tasks_a_crash_and_a_killed_agent(tmp_path, service, switchboard, engine):
    async with agent_process(tmp_path, engine) as agent:
        await agent.start(service)
        endpoint_id = await endpoint_of(service)
        assert await status_of(service, endpoint_id) == "online"
        try:
            async with service.executor(endpoint_id=endpoint_id) as executor:
                await run_a_thousand(executor)
                if engine == "Processes":
                    with pytest.raises(TaskExecutionFailed, match="BrokenProcessPool"):
                        await asyncio.wait_for(executor.submit(crash), LIMIT)
                    assert await agent.stop() == 0
                    assert await status_of(service, endpoint_id) == "offline"
                    waiting = executor.submit(double, 21)
                    await waiting.submitted()
                    await agent.start(service)
                    assert await asyncio.wait_for(waiting, LIMIT) == 42
                await survive_a_kill(agent, service, executor, switchboard)
            async with rest_of(service) as rest:
                await rest.http.post(f"/v3/endpoints/{endpoint_id}/lock")
            await agent.ended()
        except BaseException:
            print(agent.log)
            raise


def sleep(seconds):
    time.sleep(seconds)
    return seconds


async def test_agent_outlives_a_service_with_an_embedded_broker(tmp_path):
    database = tmp_path / "service.db"
    async with agent_process(tmp_path, "Threads") as agent:
        async with LocalService(workers=1, agents=True, database=database) as first:
            port = httpx.URL(first.url).port or 0
            await agent.start(first)
            endpoint_id = await endpoint_of(first)
            client = first.client()
            async with FuncXExecutor(endpoint_id=endpoint_id, funcx_client=client) as executor:
                assert await asyncio.wait_for(executor.submit(double, 21), LIMIT) == 42
            executor = FuncXExecutor(endpoint_id=endpoint_id, funcx_client=client)
            running = executor.submit(sleep, 5)
            task_id = await asyncio.wait_for(running.submitted(), LIMIT)
        with pytest.raises(ExecutorClosed):
            await running
        options = {"agents": True, "database": database, "port": port}
        async with LocalService(workers=1, **options) as again, rest_of(again) as rest:
            try:
                async with (
                    asyncio.timeout(LIMIT),
                    again.executor(endpoint_id=endpoint_id) as executor,
                ):
                    await again.faults.seen("agent_online")
                    assert await executor.submit(double, 21) == 42
                    await again.faults.seen("executed", 2)
                assert value((await rest.documents([task_id]))[0]) == 5
            except BaseException:
                print(agent.log)
                raise


async def test_parsl_starts_workers_and_a_crash_is_the_error_of_its_task(tmp_path, service):
    async with agent_process(tmp_path, "Parsl on one machine") as agent:
        await agent.start(service)
        endpoint_id = await endpoint_of(service)
        try:
            async with service.executor(endpoint_id=endpoint_id) as executor:
                async with asyncio.timeout(LIMIT):
                    futures = [executor.submit(double, number) for number in range(50)]
                    assert await gather(*futures) == [2 * number for number in range(50)]
                    with pytest.raises(TaskExecutionFailed, match="WorkerLost"):
                        await executor.submit(crash)
                    assert await executor.submit(double, 21) == 42
        except BaseException:
            print(agent.log)
            raise


async def test_the_agent_understands_the_guides_templates_for_clusters():
    headings = ["Parsl on one machine", "Slurm", "Slurm with MPI", "PBS", "Kubernetes"]
    templates = {heading: from_the_guide(heading) for heading in headings}
    process = await asyncio.create_subprocess_exec(
        *(str(bin_directory() / "python"), str(HERE / "agent_templates.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(templates).encode())
    assert json.loads(output) == {
        "Parsl on one machine": "LocalProvider",
        "Slurm": "SlurmProvider",
        "Slurm with MPI": "SlurmProvider",
        "PBS": "PBSProProvider",
        "Kubernetes": "KubernetesProvider",
    }
