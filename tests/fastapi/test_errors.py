"""Errors of the package as HTTP answers."""

from __future__ import annotations

import asyncio
import uuid

import httpx
import pytest
from starlette.requests import Request

from funcx_async import (
    AuthenticationFailed,
    ExecutorClosed,
    Forbidden,
    FuncXError,
    JournalError,
    NotFound,
    ResponseLost,
    ResultExpired,
    SerializationError,
    ServiceUnavailable,
    SubmitUncertain,
    TaskExecutionFailed,
    TaskPending,
    TaskTimedOut,
    TooLarge,
    TooManyOpenTasks,
)
from funcx_async.fastapi import error_answer
from funcx_async.local import LocalService
from tests.fastapi.serving import client_of, pointing_at, served


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        pytest.param(
            error,
            status,
            retry_after,
            id=" ".join(
                [type(error).__name__, getattr(error, "code", None) or "", retry_after or ""]
            ),
        )
        for error, status, retry_after in [
            (NotFound("no such task", status=404), 404, None),
            (Forbidden("not yours", status=403), 403, None),
            (NotFound("no function", code="FUNCTION_NOT_FOUND"), 404, None),
            (NotFound("no endpoint", code="ENDPOINT_NOT_FOUND"), 502, None),
            (Forbidden("no function", code="FUNCTION_NOT_PERMITTED"), 403, None),
            (Forbidden("no endpoint", code="ENDPOINT_ACCESS_FORBIDDEN"), 502, None),
            (TooLarge("too much", status=413), 413, None),
            (SerializationError("a lock cannot travel"), 422, None),
            (ResultExpired("gone"), 410, None),
            (TaskPending("not yet"), 409, "5"),
            (TooManyOpenTasks("full"), 503, "5"),
            (ServiceUnavailable("busy"), 503, "5"),
            (ServiceUnavailable("busy", retry_after=11.2), 503, "12"),
            (ExecutorClosed("closed"), 503, "5"),
            (TaskTimedOut("late", timeout=1.0), 504, None),
            (ResponseLost("cut"), 502, None),
            (SubmitUncertain("who knows"), 502, None),
            (AuthenticationFailed("log in"), 502, None),
            (TaskExecutionFailed("Traceback\nValueError: no"), 502, None),
            (JournalError("disk full"), 500, None),
        ]
    ],
)
async def test_an_error_has_a_status_that_says_what_the_client_can_do(
    error: FuncXError, status: int, retry_after: str | None
):
    answer = await error_answer(Request({"type": "http"}), error)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == retry_after


async def test_other_errors_are_left_to_others():
    with pytest.raises(KeyError, match="not ours"):
        await error_answer(Request({"type": "http"}), KeyError("not ours"))


async def test_an_answer_names_the_ids_that_it_concerns():
    error = NotFound("no such task", status=404, task_id="7", request_id="r")
    answer = await error_answer(Request({"type": "http"}), error)
    assert httpx.Response(404, content=bytes(answer.body)).json() == {
        "detail": "no such task",
        "error": "NotFound",
        "task_id": "7",
        "request_id": "r",
    }


async def test_a_service_that_is_busy_is_passed_on(
    service: LocalService, client: httpx.AsyncClient, functions: dict[str, str]
):
    task_id = (await client.post("/simulations/3")).json()["task_id"]
    service.faults.refuse("batch_status", status=429, retry_after=7, times=100)
    answer = await client.get(f"/tasks/{other_than(task_id)}")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "7"


async def test_too_many_open_tasks_are_refused_until_some_have_ended(
    service: LocalService, client: httpx.AsyncClient
):
    with service.faults.endpoint_offline():
        posts = [client.post("/simulations/1") for _ in range(50)]
        assert {answer.status_code for answer in await asyncio.gather(*posts)} == {202, 503}
        answer = await client.post("/simulations/1")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["error"] == "TooManyOpenTasks"
        open_tasks = (await client.get("/open")).json()["open"]
        assert open_tasks == 20
    await service.faults.seen("published", 20)
    await client.get("/simulate/1")


def other_than(task_id: str) -> str:
    return task_id[:-1] + ("0" if task_id[-1] != "0" else "1")


async def test_an_endpoint_that_is_gone_is_not_the_mistake_of_clients(
    service: LocalService, functions: dict[str, str]
):
    variables = pointing_at(service) | {"FUNCX_ASYNC_ENDPOINT_ID": str(uuid.uuid4())}
    async with (
        served("tests.fastapi.service:app", variables=variables) as server,
        client_of(server) as client,
    ):
        answer = await client.post("/tasks", json={"function_id": functions["simulate"]})
        assert (answer.status_code, answer.json()["error"]) == (502, "NotFound")


async def test_a_service_without_an_endpoint_says_so(
    service: LocalService, functions: dict[str, str]
):
    variables = pointing_at(service)
    del variables["FUNCX_ASYNC_ENDPOINT_ID"]
    async with (
        served("tests.fastapi.service:app", variables=variables) as server,
        client_of(server) as client,
    ):
        answer = await client.post("/tasks", json={"function_id": functions["simulate"]})
        assert answer.status_code == 500
        assert "FUNCX_ASYNC_ENDPOINT_ID" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        pytest.param('{"function_id": NaN}', ["body", "function_id"], id="no number"),
        pytest.param('{"function_id": "%s", "args": NaN}', ["body", "args"], id="no list"),
        pytest.param('{"function_id": "%s", "argz": [1]}', ["body", "argz"], id="a slip"),
    ],
)
async def test_a_wrong_body_is_answered_with_the_place_of_the_mistake(
    client: httpx.AsyncClient, functions: dict[str, str], body: str, place: list[str]
):
    content = body.replace("%s", functions["simulate"])
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/tasks", content=content, headers=headers)
    assert answer.status_code == 422
    (mistake,) = answer.json()["detail"]
    assert mistake["loc"] == place
    assert "input" not in mistake


async def test_arguments_that_are_too_large_are_refused_before_they_are_sent(
    service: LocalService, client: httpx.AsyncClient, functions: dict[str, str]
):
    sent = service.faults.count("submit")
    call = {"function_id": functions["simulate"], "args": ["x" * 11_000_000]}
    answer = await client.post("/tasks", json=call)
    assert (answer.status_code, answer.json()["error"]) == (422, "SerializationError")
    assert "The arguments make" in answer.json()["detail"]
    assert service.faults.count("submit") == sent
