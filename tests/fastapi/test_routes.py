"""The ready routes of a FastAPI service, behind a real uvicorn."""

from __future__ import annotations

import asyncio
import uuid

import httpx

from funcx_async.local import LocalService
from tests.fastapi.serving import events


async def ended(client: httpx.AsyncClient, *task_ids: str) -> list[dict[str, object]]:
    """What became of tasks, by following them."""
    async with client.stream("GET", "/tasks/events", params={"task_id": task_ids}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = [event async for event in events(answer)]
    assert told[-1] == ("end", {})
    return [document for _, document in told[:-1] if document["status"] != "pending"]


async def test_a_registered_function_is_called_followed_and_asked_for(
    client: httpx.AsyncClient, functions: dict[str, str]
):
    call = {"function_id": functions["simulate"], "args": [4]}
    accepted = await client.post("/tasks", json=call)
    assert accepted.status_code == 202
    task_id = accepted.json()["task_id"]
    assert accepted.headers["location"] == f"/tasks/{task_id}"
    document = {"task_id": task_id, "status": "success", "result": 12}
    assert await ended(client, task_id) == [document]
    answer = await client.get(accepted.headers["location"])
    assert answer.status_code == 200
    assert answer.json() == document


async def test_accepting_a_task_does_not_wait_for_its_result(
    service: LocalService, client: httpx.AsyncClient, functions: dict[str, str]
):
    with service.faults.endpoint_offline():
        call = {"function_id": functions["simulate"], "kwargs": {"steps": 3}}
        task_id = (await client.post("/tasks", json=call)).json()["task_id"]
        answer = await client.get(f"/tasks/{task_id}")
        assert answer.json() == {"task_id": task_id, "status": "pending"}
        assert answer.headers["retry-after"] == "5"
    assert await ended(client, task_id) == [{"task_id": task_id, "status": "success", "result": 6}]


async def test_of_a_task_that_fails_the_error_is_told_and_no_traceback(
    client: httpx.AsyncClient, functions: dict[str, str]
):
    call = {"function_id": functions["divide"], "args": [1, 0]}
    task_id = (await client.post("/tasks", json=call)).json()["task_id"]
    error = {"error": "TaskExecutionFailed", "detail": "ZeroDivisionError: division by zero"}
    assert await ended(client, task_id) == [
        {"task_id": task_id, "status": "failed", "error": error}
    ]


async def test_many_tasks_are_followed_in_one_stream(
    client: httpx.AsyncClient, functions: dict[str, str]
):
    function_id = functions["simulate"]
    posts = [
        client.post("/tasks", json={"function_id": function_id, "args": [n]}) for n in range(20)
    ]
    task_ids = [answer.json()["task_id"] for answer in await asyncio.gather(*posts)]
    results = {each["task_id"]: each["result"] for each in await ended(client, *task_ids)}
    assert results == {task_id: n * (n - 1) for n, task_id in enumerate(task_ids)}


async def test_who_stops_following_leaves_the_task_alone(
    service: LocalService, client: httpx.AsyncClient
):
    with service.faults.endpoint_offline():
        task_id = (await client.post("/simulations/5")).json()["task_id"]
        async with client.stream("GET", f"/tasks/events?task_id={task_id}") as answer:
            async for event in events(answer):
                assert event == ("task", {"task_id": task_id, "status": "pending"})
                break
        assert (await client.get("/open")).json() == {"open": 1, "done": 0}
    assert (await ended(client, task_id))[0]["result"] == 20
    assert (await client.get("/open")).json() == {"open": 0, "done": 1}


async def test_a_task_that_nobody_knows_is_not_found(client: httpx.AsyncClient):
    nobodys = str(uuid.uuid4())
    answer = await client.get(f"/tasks/{nobodys}")
    assert answer.status_code == 404
    assert (answer.json()["error"], answer.json()["task_id"]) == ("NotFound", nobodys)
    (told,) = await ended(client, nobodys)
    assert told["error"]["error"] == "NotFound"
    assert (await client.get(f"/tasks/{nobodys}")).status_code == 404


async def test_a_function_that_nobody_knows_is_not_found(client: httpx.AsyncClient):
    nobodys = str(uuid.uuid4())
    answer = await client.post("/tasks", json={"function_id": nobodys})
    assert answer.status_code == 404
    assert answer.json()["error"] == "NotFound"


async def test_what_is_not_an_id_is_not_sent_on(client: httpx.AsyncClient):
    assert (await client.post("/tasks", json={"function_id": "mine"})).status_code == 422
    assert (await client.get("/tasks/mine")).status_code == 422
    assert (await client.get("/tasks/events")).status_code == 422


async def test_a_route_that_awaits_answers_with_the_result(client: httpx.AsyncClient):
    answers = await asyncio.gather(*(client.get(f"/simulate/{n}") for n in range(1, 6)))
    assert [answer.json()["result"] for answer in answers] == [0, 2, 6, 12, 20]


async def test_a_route_that_awaits_a_task_that_fails_answers_for_what_is_behind_it(
    client: httpx.AsyncClient,
):
    answer = await client.get("/divide/1/0")
    assert answer.status_code == 502
    document = answer.json()
    assert document["detail"] == "ZeroDivisionError: division by zero"
    assert document["error"] == "TaskExecutionFailed"


async def test_a_request_that_is_cut_off_leaves_task_and_executor_well(
    service: LocalService, client: httpx.AsyncClient
):
    with service.faults.endpoint_offline():
        cut_off = asyncio.create_task(client.get("/simulate/10"))
        await service.faults.seen("accepted")
        cut_off.cancel()
        await asyncio.wait([cut_off])
        assert (await client.get("/open")).json() == {"open": 1, "done": 0}
    await service.faults.seen("published")
    assert (await client.get("/simulate/3")).json() == {"result": 6}
    assert (await client.get("/open")).json() == {"open": 0, "done": 2}
