"""What orchestrators ask: is the process alive, and could it submit a task?"""

from __future__ import annotations

import httpx
import pytest

from funcx_async.local import LocalService
from tests.fastapi.serving import client_of, pointing_at, served

APPLICATION = "tests.fastapi.service:app"


async def test_a_service_with_all_it_needs_is_ready(client: httpx.AsyncClient):
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "service": "reachable",
        "token": "good",
        "endpoint": "online",
        "results": "idle",
        "open_tasks": 0,
    }
    await client.get("/simulate/1")
    assert (await client.get("/readyz")).json()["results"] == "connected"


async def test_the_service_is_not_asked_at_every_probe(
    service: LocalService, client: httpx.AsyncClient
):
    assert (await client.get("/readyz")).status_code == 200
    service.faults.refuse("endpoint_status", status=500, times=1_000)
    for _ in range(5):
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        pytest.param(
            "FUNCX_ASYNC_TOKEN",
            "expired",
            {"service": "reachable", "token": "bad", "endpoint": "unknown"},
            id="a bad token",
        ),
        pytest.param(
            "FUNCX_ASYNC_SERVICE_URL",
            "http://127.0.0.1:1",
            {"service": "unreachable", "token": "unknown", "endpoint": "unknown"},
            id="a service that is away",
        ),
        pytest.param(
            "FUNCX_ASYNC_ENDPOINT_ID",
            "4b116d3c-1703-4f8f-9f6f-39921e5864df",
            {"service": "reachable", "token": "good", "endpoint": "refused"},
            id="an endpoint that nobody knows",
        ),
        pytest.param(
            "FUNCX_ASYNC_ENDPOINT_ID",
            None,
            {"service": "reachable", "token": "good", "endpoint": "none"},
            id="no endpoint",
        ),
        pytest.param(
            "FUNCX_ASYNC_ENDPOINT_ID",
            "mine",
            {"service": "reachable", "token": "good", "endpoint": "refused"},
            id="what cannot be an endpoint",
        ),
    ],
)
async def test_a_service_without_what_it_needs_is_alive_but_not_ready(
    service: LocalService, variable: str, value: str | None, told: dict[str, str]
):
    variables = pointing_at(service) | {variable: value or ""}
    if value is None:
        del variables[variable]
    async with served(APPLICATION, variables=variables) as server, client_of(server) as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        document = answer.json()
        assert document["ready"] is False
        assert {name: document[name] for name in told} == told
        assert document["detail"]
        assert "expired" not in answer.text.replace("wrong or expired", "")
