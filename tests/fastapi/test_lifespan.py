"""The lifespan and the dependencies, in the process of the tests."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from funcx_async import FuncXExecutor
from funcx_async.fastapi import (
    FuncX,
    FuncXTasks,
    get_funcx,
    health_router,
    lifespan_for,
    task_router,
)
from funcx_async.local import LocalService


def triple(number: int) -> int:
    return 3 * number


def application(**options: Any) -> FastAPI:
    app = FastAPI(**options)
    app.include_router(task_router())
    app.include_router(health_router())

    @app.post("/triples/{number}", status_code=202)
    async def begin(number: int, executor: FuncX, tasks: FuncXTasks) -> dict[str, str]:
        return {"task_id": await tasks.accepted(executor.submit(triple, number))}

    return app


def test_the_executor_is_made_in_the_lifespan_which_a_test_client_runs():
    made: list[FuncXExecutor] = []

    def make() -> FuncXExecutor:
        made.append(FuncXExecutor())
        return made[-1]

    app = application(lifespan=lifespan_for(make))
    assert not made
    for count in (1, 2):
        with TestClient(app) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert len(made) == count


def test_a_service_of_ones_own_and_the_executor_on_it_share_a_lifespan():
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with (
            LocalService(workers=1) as service,
            lifespan_for(service.executor)(app) as state,
        ):
            yield state

    with TestClient(application(lifespan=lifespan)) as client:
        task_id = client.post("/triples/4").json()["task_id"]
        followed = client.get("/tasks/events", params={"task_id": task_id})
        assert followed.text.endswith("event: end\ndata: {}\n\n")
        assert client.get(f"/tasks/{task_id}").json()["result"] == 12


async def test_an_executor_can_be_put_in_the_place_of_the_applications(service: LocalService):
    app = application()
    async with service.executor() as executor:
        app.dependency_overrides[get_funcx] = lambda: executor
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            task_id = (await client.post("/triples/5")).json()["task_id"]
            assert executor.stats.open + executor.stats.done == 1
            await client.get("/tasks/events", params={"task_id": task_id})
            assert (await client.get(f"/tasks/{task_id}")).json()["result"] == 15
            ready = (await client.get("/readyz")).json()
            assert (ready["ready"], ready["results"]) == (True, "unknown")


async def test_only_the_functions_that_are_named_may_be_called(service: LocalService):
    async with service.executor() as executor:
        allowed = await executor.register_function(triple)
        other = await executor.register_function(len)
        app = FastAPI()
        app.include_router(task_router(functions=[allowed]), prefix="/v1")
        app.dependency_overrides[get_funcx] = lambda: executor
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = [
                await client.post("/v1/tasks", json={"function_id": each, "args": [1]})
                for each in (allowed, other)
            ]
        assert [answer.status_code for answer in answers] == [202, 403]
        location = answers[0].headers["location"]
        assert location == f"/v1/tasks/{answers[0].json()['task_id']}"


async def test_a_request_waits_for_a_service_only_so_long(service: LocalService):
    async with service.executor() as executor:
        function_id = await executor.register_function(triple)
        app = FastAPI()
        app.include_router(task_router(submit_timeout=0.2))
        app.dependency_overrides[get_funcx] = lambda: executor
        transport = httpx.ASGITransport(app)
        call = {"function_id": function_id, "args": [1]}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            service.faults.refuse("submit", status=503, retry_after=100)
            refused = await client.post("/tasks", json=call)
            assert refused.status_code == 503
            assert "not sent" in refused.json()["detail"]


def test_without_the_lifespan_the_error_names_it():
    connection = HTTPConnection({"type": "http", "state": {}})
    with pytest.raises(RuntimeError, match=r"lifespan=lifespan_for\(\)"):
        get_funcx(connection)


def test_without_fastapi_the_error_names_the_extra():
    program = textwrap.dedent("""
        import sys
        sys.modules["fastapi"] = None
        try:
            from funcx_async.fastapi import task_router
        except ImportError as error:
            assert "pip install 'funcx-async[fastapi]'" in str(error), error
        else:
            raise SystemExit("it was imported")
    """)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_the_documentation_of_the_application_tells_of_the_routes():
    paths = application().openapi()["paths"]
    assert set(paths) == {
        "/tasks",
        "/tasks/events",
        "/tasks/{task_id}",
        "/healthz",
        "/readyz",
        "/triples/{number}",
    }
    assert "text/event-stream" in paths["/tasks/events"]["get"]["responses"]["200"]["content"]


def test_the_documentation_of_the_application_tells_of_errors():
    document = application().openapi()
    submit = document["paths"]["/tasks"]["post"]["responses"]
    assert set(submit) == {"202", "403", "404", "413", "422", "500", "502", "503"}
    look = document["paths"]["/tasks/{task_id}"]["get"]["responses"]
    assert set(look) == {"200", "403", "404", "422", "502", "503"}
    assert set(document["paths"]["/tasks/events"]["get"]["responses"]) == {"200", "422"}
    told = submit["422"]["content"]["application/json"]["schema"]["anyOf"]
    assert [each["$ref"].rpartition("/")[2] for each in told] == ["ValidationProblems", "Error"]


async def test_a_service_whose_tasks_name_their_endpoints_needs_none_to_be_ready(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("FUNCX_ASYNC_ENDPOINT_ID", raising=False)
    app = FastAPI()
    app.include_router(health_router(needs_endpoint=False))
    async with service.client() as funcx, FuncXExecutor(funcx_client=funcx) as executor:
        app.dependency_overrides[get_funcx] = lambda: executor
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["endpoint"] == "none"
