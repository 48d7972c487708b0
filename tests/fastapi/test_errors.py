"""Errors of the package as HTTP answers."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.requests import Request

from funcx_async import (
    AnswerLost,
    AuthenticationFailed,
    ExecutorClosed,
    Forbidden,
    FuncXError,
    JournalUnusable,
    NotFound,
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


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        pytest.param(error, status, retry_after, id=type(error).__name__ + (retry_after or ""))
        for error, status, retry_after in [
            (NotFound("no such task", status=404), 404, None),
            (Forbidden("not yours", status=403), 403, None),
            (TooLarge("too much", status=413), 413, None),
            (SerializationError("a lock cannot travel"), 422, None),
            (ResultExpired("gone"), 410, None),
            (TaskPending("not yet"), 409, "5"),
            (TooManyOpenTasks("full"), 503, "5"),
            (ServiceUnavailable("busy"), 503, "5"),
            (ServiceUnavailable("busy", retry_after=11.2), 503, "12"),
            (ExecutorClosed("closed"), 503, "5"),
            (TaskTimedOut("late", timeout=1.0), 504, None),
            (AnswerLost("cut"), 502, None),
            (SubmitUncertain("who knows"), 502, None),
            (AuthenticationFailed("log in"), 502, None),
            (TaskExecutionFailed("Traceback\nValueError: no"), 502, None),
            (JournalUnusable("disk full"), 500, None),
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
    service.faults.refuse("tasks", status=429, retry_after=7, times=100)
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
