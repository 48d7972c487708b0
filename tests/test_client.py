"""The REST client: what goes on the wire, and what comes of every answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

from funcx_async import FuncXClient
from funcx_async._service.registration import Registration
from funcx_async.errors import (
    AuthenticationFailed,
    NotFound,
    RequestRefused,
    ResponseLost,
    ResponseNotUnderstood,
    ServiceUnavailable,
    SubmitUncertain,
)
from funcx_async.models import EndpointStatus, Receipt, Result, TaskStatus

VECTORS = Path(__file__).parent / "vectors"
ROOT = "https://service.test"


def answering(answer: Any, status: int = 200) -> tuple[FuncXClient, list[httpx.Request]]:
    """A client whose service gives one answer to everything, and what it was asked."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return httpx.Response(status, content=answer)
        return httpx.Response(status, json=answer)

    transport = httpx.MockTransport(handle)
    return FuncXClient(ROOT, auth="a-token", transport=transport), seen


def vectors(name: str) -> list[Any]:
    entries = json.loads((VECTORS / name).read_text())["vectors"]
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


RECEIPT = {
    "request_id": "r",
    "task_group_id": "g",
    "endpoint_id": "e",
    "tasks": {"f": ["t1", "t2"]},
}


async def test_requests_carry_token_type_and_the_version_that_the_service_looks_for():
    client, seen = answering(RECEIPT)
    await client.submit("e", {"f": ["p"]})
    headers = seen[0].headers
    assert headers["Authorization"] == "Bearer a-token"
    assert headers["Accept"] == "application/json"
    assert headers["Content-Type"] == "application/json"
    assert "globus-compute-sdk-4." in headers["User-Agent"]


@pytest.mark.parametrize("vector", vectors("submits.json"))
async def test_submits_equal_those_of_the_official_client(vector: dict[str, Any]):
    body = dict(vector["body"])
    client, seen = answering(RECEIPT)
    await client.submit("e", **{"user_runtime": {}, **body})
    assert json.loads(seen[0].content) == body
    assert seen[0].url == f"{ROOT}/v3/endpoints/e/submit"


@pytest.mark.parametrize(
    "vector", [v for v in vectors("registrations.json") if v.id != "source_code"]
)
async def test_registrations_equal_those_of_the_official_client(vector: dict[str, Any]):
    body = vector["body"]
    client, seen = answering({"function_uuid": "f"})
    registration = Registration(
        function_name=body["function_name"],
        function_code=body["function_code"],
        serde_identifier=body["meta"]["serde_identifier"],
        description=body.get("description"),
        public=body.get("public", False),
        group=body.get("group"),
    )
    assert await client.register(registration) == "f"
    sent = json.loads(seen[0].content)
    assert sent.pop("meta").keys() == body["meta"].keys()
    assert sent == {name: value for name, value in body.items() if name != "meta"}
    assert seen[0].url == f"{ROOT}/v3/functions"


async def test_a_function_is_registered_with_its_name_and_docstring():
    def shout(text: str) -> str:
        """Say it loudly."""
        return text.upper()

    client, seen = answering({"function_uuid": "f"})
    assert await client.register_function(shout, public=True) == "f"
    sent = json.loads(seen[0].content)
    assert (sent["function_name"], sent["description"], sent["public"]) == (
        "shout",
        "Say it loudly.",
        True,
    )
    assert sent["meta"]["serde_identifier"] == sent["function_code"].split("\n")[1]


async def test_registering_refuses_what_cannot_be_run_or_excludes_itself():
    client, seen = answering({"function_uuid": "f"})
    with pytest.raises(TypeError, match="function to run"):
        await client.register_function(42)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="excludes"):
        await client.register_function(print, ha_endpoint_id="e", public=True)
    assert not seen


async def test_a_submit_gives_a_receipt():
    client, _ = answering(RECEIPT)
    assert await client.submit("e", {"f": ["p", "q"]}) == Receipt(
        "g", {"f": ["t1", "t2"]}, "r", endpoint_id="e"
    )


Call = Callable[[FuncXClient], Any]


@pytest.mark.parametrize(
    ("call", "answer", "method", "path", "gives"),
    [
        pytest.param(
            lambda c: c.get_task("t"),
            {"task_id": "t", "status": "success", "result": "x"},
            "GET",
            "/v2/tasks/t",
            TaskStatus("t", "success", Result("t", "x")),
            id="task",
        ),
        pytest.param(
            lambda c: c.get_batch_status(["t"]),
            {"response": "batch", "results": {"t": {"task_id": "t", "status": "running"}}},
            "POST",
            "/v2/batch_status",
            {"t": TaskStatus("t", "running")},
            id="batch status",
        ),
        pytest.param(
            lambda c: c.get_task_group("g"),
            {"taskgroup_id": "g", "tasks": [{"id": "t", "created_at": "now"}]},
            "GET",
            "/v2/taskgroup/g",
            ["t"],
            id="task group",
        ),
        pytest.param(
            lambda c: c.get_endpoint_status("e"),
            {"status": "online", "details": {"idle_workers": 1}},
            "GET",
            "/v2/endpoints/e/status",
            EndpointStatus("online", {"idle_workers": 1}),
            id="endpoint status",
        ),
        pytest.param(
            lambda c: c.get_version(),
            {"api": "1", "min_sdk_version": "0"},
            "GET",
            "/v2/version?service=all",
            {"api": "1", "min_sdk_version": "0"},
            id="version",
        ),
    ],
)
async def test_reads(call: Call, answer: Any, method: str, path: str, gives: Any):
    client, seen = answering(answer)
    assert await call(client) == gives
    assert (seen[0].method, str(seen[0].url)) == (method, ROOT + path)


async def test_the_address_of_the_queue_hides_its_password():
    client, _ = answering({"queue_prefix": "p", "connection_url": "amqps://user:secret@host.test"})
    address = await client.get_result_queue_address()
    assert (address.queue_prefix, address.connection_url) == (
        "p",
        "amqps://user:secret@host.test",
    )
    assert "secret" not in repr(address)


async def test_a_reply_for_another_group_is_a_value_error():
    client, _ = answering({"taskgroup_id": "other", "tasks": []})
    with pytest.raises(ValueError, match="other"):
        await client.get_task_group("g")


LOST = [
    pytest.param(httpx.ReadTimeout("slow"), 200, id="read timeout"),
    pytest.param(httpx.ReadError("reset"), 200, id="reset"),
    pytest.param(httpx.WriteError("reset"), 200, id="reset while writing"),
    pytest.param(httpx.RemoteProtocolError("cut"), 200, id="cut"),
    pytest.param({"reason": "oops"}, 500, id="500"),
    pytest.param(b"<html>", 502, id="502"),
    pytest.param(b"", 504, id="504"),
]
UNWRITTEN = [
    pytest.param(httpx.ConnectError("refused"), 200, id="refused"),
    pytest.param(httpx.ConnectTimeout("slow"), 200, id="connect timeout"),
    pytest.param(httpx.PoolTimeout("busy"), 200, id="no connection free"),
    pytest.param(b"", 429, id="429"),
    pytest.param(b"", 503, id="503"),
]


@pytest.mark.parametrize(("answer", "status"), LOST)
async def test_after_a_lost_answer_a_read_may_be_repeated(answer: Any, status: int):
    client, _ = answering(answer, status)
    with pytest.raises(ResponseLost):
        await client.get_task("t")


@pytest.mark.parametrize(("answer", "status"), LOST)
async def test_after_a_lost_answer_nobody_knows_what_became_of_a_submit(answer: Any, status: int):
    client, _ = answering(answer, status)
    with pytest.raises(SubmitUncertain) as caught:
        await client.submit("e", {"f": ["p"]}, task_group_id="g")
    assert caught.value.task_group_id == "g"


@pytest.mark.parametrize("answer", [b"{}", b"nonsense", b'{"task_group_id":1,"tasks":{}}'])
async def test_a_submit_whose_answer_makes_no_sense_is_uncertain(answer: bytes):
    client, _ = answering(answer)
    with pytest.raises(SubmitUncertain):
        await client.submit("e", {"f": ["p"]})


@pytest.mark.parametrize(("answer", "status"), UNWRITTEN)
async def test_what_was_certainly_not_taken_says_so(answer: Any, status: int):
    client, _ = answering(answer, status)
    for call in (client.submit("e", {"f": ["p"]}), client.get_task("t")):
        with pytest.raises(ServiceUnavailable) as caught:
            await call
        assert not isinstance(caught.value, ResponseLost)


async def test_refusals_are_raised_as_they_are():
    client, _ = answering({"code": "ENDPOINT_NOT_FOUND", "reason": "gone"}, 404)
    with pytest.raises(NotFound, match="gone"):
        await client.submit("e", {"f": ["p"]})
    client, _ = answering(b"nonsense")
    with pytest.raises(ResponseNotUnderstood):
        await client.get_task("t")


# Credentials ------------------------------------------------------------------------------------


async def test_a_refused_token_is_renewed_once():
    tokens = iter(["old", "new"])
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(401 if "old" in seen[-1] else 200, json={"api": "1"})

    client = FuncXClient(ROOT, auth=lambda: next(tokens), transport=httpx.MockTransport(handle))
    assert await client.get_version() == {"api": "1"}
    assert seen == ["Bearer old", "Bearer new"]


async def test_a_token_that_stays_refused_is_an_authentication_error_without_the_token():
    client, seen = answering({"code": "INVALID_AUTH_TOKEN", "reason": "expired"}, 401)
    with pytest.raises(AuthenticationFailed, match="expired") as caught:
        await client.get_version()
    assert len(seen) == 1, "the same token would be refused again"
    assert "a-token" not in str(caught.value)


async def test_an_async_callable_may_give_the_token():
    async def token() -> str:
        return "fresh"

    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    await FuncXClient(ROOT, auth=token, transport=httpx.MockTransport(handle)).get_version()
    assert seen[0].headers["Authorization"] == "Bearer fresh"


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", None, 5])
async def test_what_is_no_token_is_not_sent(token: Any):
    client, seen = answering({})
    client = FuncXClient(
        ROOT, auth=lambda: token, transport=httpx.MockTransport(lambda _: httpx.Response(200))
    )
    with pytest.raises(AuthenticationFailed):
        await client.get_version()
    assert not seen


async def test_without_credentials_the_first_request_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("FUNCX_ASYNC_TOKEN", raising=False)
    client = FuncXClient(ROOT, transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with pytest.raises(AuthenticationFailed, match="FUNCX_ASYNC_TOKEN"):
        await client.get_version()


async def test_the_token_of_the_environment_goes_to_the_service_of_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("FUNCX_ASYNC_SERVICE_URL", "http://127.0.0.1:8000/")
    monkeypatch.setenv("FUNCX_ASYNC_TOKEN", "local-token")
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    transport = httpx.MockTransport(handle)
    await FuncXClient(transport=transport).get_version()
    assert seen[0].headers["Authorization"] == "Bearer local-token"
    with pytest.raises(AuthenticationFailed):
        await FuncXClient(ROOT, transport=transport).get_version()
    assert len(seen) == 1


async def test_credentials_of_another_kind_are_refused_at_once():
    with pytest.raises(TypeError, match="auth must be"):
        FuncXClient(ROOT, auth=5)  # type: ignore[arg-type]


def test_no_repr_shows_the_token():
    client = FuncXClient(ROOT, auth="a-token")
    assert "a-token" not in repr(client)
    assert "a-token" not in repr(vars(client))


# Life -------------------------------------------------------------------------------------------


def test_one_client_can_serve_one_loop_after_another():
    client, seen = answering({})
    asyncio.run(client.get_version())
    asyncio.run(client.get_version())
    assert len(seen) == 2


async def test_a_client_refuses_a_second_loop_while_the_first_is_open():
    client, _ = answering({})
    await client.get_version()
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, client.get_version())
    await client.aclose()


async def test_a_closed_client_opens_again():
    client, seen = answering({})
    async with client:
        await client.get_version()
    await client.aclose()
    await client.get_version()
    assert len(seen) == 2
    await client.aclose()


def test_an_unknown_dialect_is_refused():
    with pytest.raises(ValueError, match="api must be"):
        FuncXClient(ROOT, api="v9")  # type: ignore[arg-type]


async def test_an_unreachable_service_is_named():
    async with FuncXClient("http://127.0.0.1:9", auth="t") as client:
        with pytest.raises(ServiceUnavailable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
            await client.get_version()


async def test_any_refusal_is_a_funcx_error():
    client, _ = answering({"reason": "locked", "code": "RESOURCE_LOCKED"}, 423)
    with pytest.raises(RequestRefused, match="locked"):
        await client.get_task("t")


async def urls_parsed(request: Coroutine[Any, Any, object]) -> int:
    """Make a request; how many URLs httpx parses for it."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_name == "urlparse"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        await request
    finally:
        sys.setprofile(before)
    return count


async def test_asking_for_many_tasks_leaves_the_url_of_submits_parsed():
    client, _ = answering({"results": {}, "task_id": "t", "status": "running"})
    assert await urls_parsed(client.get_batch_status(["t"])) > 0
    for number in range(100):
        await client.get_task(f"t{number}")
    assert await urls_parsed(client.get_batch_status(["t"])) == 0


async def test_the_hosted_services_budget_is_kept_and_other_services_have_none():
    client, seen = answering({})
    for _ in range(15):
        await asyncio.wait_for(client.get_version(), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.get_version(), 0.2)
    assert len(seen) == 15, "a quarter of the 20 requests is left for submits"
    local = FuncXClient(
        "http://127.0.0.1:1",
        auth="t",
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json={})),
    )
    for _ in range(40):
        await asyncio.wait_for(local.get_version(), 5)
