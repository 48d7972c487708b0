"""A server that is told to stop: streams end in time, tasks go on."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest

from funcx_async.local import LocalService
from tests.fastapi.serving import Server, client_of, events, pointing_at, served

APPLICATION = "tests.fastapi.service:app"
TOO_LATE = "timeout graceful shutdown exceeded"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, -signal.SIGTERM, id="as an orchestrator does"),
        pytest.param(signal.SIGINT, 0, id="as Ctrl-C does"),
    ],
)
async def test_open_streams_end_when_the_server_is_told_to_stop(
    service: LocalService, number: signal.Signals, code: int
):
    limit = ("--timeout-graceful-shutdown", "20")
    async with served(APPLICATION, *limit, variables=pointing_at(service)) as server:
        begun = [asyncio.Event() for _ in range(10)]

        async def follow(client: httpx.AsyncClient, first: asyncio.Event) -> int:
            count = 0
            async with client.stream("GET", "/for-ever") as answer:
                async for line in answer.aiter_lines():  # an answer that is cut off would raise
                    count += line.startswith("data")
                    first.set()
            return count

        async with client_of(server) as client:
            following = [asyncio.create_task(follow(client, each)) for each in begun]
            for each in begun:
                await each.wait()
            server.process.send_signal(number)
            told = await server.ended()
            assert await asyncio.gather(*following) == [1] * 10
        assert TOO_LATE not in told
        assert "Application shutdown complete" in told
        assert "Traceback" not in told
        assert server.process.returncode == code


async def test_tasks_go_on_when_the_server_stops_and_the_next_one_knows_them(
    service: LocalService,
):
    with service.faults.endpoint_offline():
        async with served(APPLICATION, variables=pointing_at(service)) as first:
            async with client_of(first) as client:
                task_id = (await client.post("/simulations/7")).json()["task_id"]
            told = await first.stopped()
            assert "Application shutdown complete" in told
            assert "Traceback" not in told
    async with served(APPLICATION, variables=pointing_at(service)) as second:
        async with (
            client_of(second) as client,
            client.stream("GET", f"/tasks/events?task_id={task_id}") as answer,
        ):
            told_last = [event async for event in events(answer)][-2:]
        done = {"task_id": task_id, "status": "success", "result": 42}
        assert told_last == [("task", done), ("end", {})]
        await second.stopped()


async def test_each_of_several_processes_has_a_task_group_and_answers_for_all(
    service: LocalService,
):
    async with served(APPLICATION, "--workers", "2", variables=pointing_at(service)) as server:
        groups: dict[int, str] = {}
        task_id = ""
        while len(groups) < 2:  # the system decides which process takes a connection
            answer, accepted = await asyncio.gather(
                *(asked(server, "GET", "/who"), asked(server, "POST", "/simulations/3"))
            )
            task_id = accepted["task_id"]
            if answer["task_group"] is not None:
                groups[answer["process"]] = answer["task_group"]
            assert answer["greeting"] == "from a lifespan of its own"
        assert len(set(groups.values())) == 2
        async with (
            client_of(server) as client,
            client.stream("GET", f"/tasks/events?task_id={task_id}") as answer,
        ):
            assert [name async for name, _ in events(answer)][-1] == "end"
        asked_of: set[int] = set()
        while len(asked_of) < 2:
            async with client_of(server) as client:  # one connection: one process
                document = (await client.get(f"/tasks/{task_id}")).json()
                assert document == {"task_id": task_id, "status": "success", "result": 6}
                asked_of.add((await client.get("/who")).json()["process"])
        told = await server.stopped()
        assert "Traceback" not in told


async def asked(server: Server, method: str, path: str) -> dict[str, str]:
    """An answer over a connection of its own."""
    async with client_of(server) as client:
        answer: dict[str, str] = (await client.request(method, path)).json()
        return answer
