"""The classic dialect on the wire: what the client sends, and what it makes of every answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from funcx_async import (
    Forbidden,
    FuncXClient,
    FuncXExecutor,
    NotFound,
    RequestRefused,
    ResponseNotUnderstood,
    SubmitUncertain,
    TooLarge,
)
from funcx_async._core.batcher import Batch, Route, Submission, read_receipt
from funcx_async._service.dialects import DIALECTS, SubmitRequest
from funcx_async._service.registration import Registration
from funcx_async.models import EndpointStatus
from funcx_async.serialize import FuncXSerializer
from tests.vectors_of import vectors_of

ROOT = "https://service.test"
ENDPOINT = "0068440f-8c5e-5831-9af3-b22e6d4ba9f0"
GROUP = "6b39148c-71b9-5168-94a4-a51015057381"
CLASSIC = DIALECTS["v2"]

Classic = tuple[FuncXClient, list[httpx.Request]]


def answering(answer: Any, status: int = 200) -> Classic:
    """A classic client whose service gives one answer to everything, and what it was asked."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=answer)

    transport = httpx.MockTransport(handle)
    return FuncXClient(ROOT, auth="a-token", api="v2", transport=transport), seen


def taken(task_id: str, spelling: str = "Success") -> dict[str, Any]:
    return {"status": spelling, "task_uuid": task_id, "http_status_code": 200}


def refused(task_id: str | None, code: Any, status: int, reason: str = "no") -> dict[str, Any]:
    document = {"status": "Failed", "code": code, "reason": reason, "http_status_code": status}
    return document if task_id is None else {**document, "task_uuid": task_id}


def receipt_of(*results: dict[str, Any], tasks: dict[str, list[str]] | None = None) -> Any:
    """What the dialect reads in an answer with these results."""
    submission = SubmitRequest(ENDPOINT, tasks or {"f": ["p"] * len(results)}, GROUP)
    answer = {"response": "batch", "task_group_id": GROUP, "results": results}
    return CLASSIC.receipt(json.dumps(answer).encode(), submission, "submitting")


# Requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vectors_of("registrations_funcx"))
async def test_registrations_equal_those_of_the_original(vector: dict[str, Any]):
    body = vector["body"]
    client, seen = answering({"function_uuid": "f"})
    registration = Registration(
        function_name=body["function_name"],
        function_code=body["function_code"],
        serde_identifier="04",
        description=body["description"],
        public=body["public"],
        group=body["group"],
        container_uuid=body["container_uuid"],
    )
    assert await client.register(registration) == "f"
    assert json.loads(seen[0].content) == body
    assert seen[0].url == f"{ROOT}/v2/functions"


@pytest.mark.parametrize("vector", vectors_of("submits_funcx"))
async def test_submits_equal_those_of_the_original_but_for_grouping_by_function(
    vector: dict[str, Any],
):
    body = vector["body"]
    tasks: dict[str, list[str]] = {}
    for function_id, endpoint_id, payload in body["tasks"]:
        assert endpoint_id == ENDPOINT
        tasks.setdefault(function_id, []).append(payload)
    client, seen = answering({"results": [taken(str(number)) for number in range(4)]})
    receipt = await client.submit(ENDPOINT, tasks, task_group_id=body["task_group_id"])
    order = list(tasks)
    body["tasks"].sort(key=lambda triple: order.index(triple[0]))
    assert json.loads(seen[0].content) == body
    assert seen[0].url == f"{ROOT}/v2/submit"
    first, second = tasks
    assert receipt.tasks == {first: ["0", "1"], second: ["2", "3"]}
    assert receipt.task_group_id == body["task_group_id"]


async def test_functions_are_written_as_source_and_compiled_for_classic_workers():
    client, seen = answering({"function_uuid": "f"})

    def double(x: int) -> int:
        return 2 * x

    await client.register_function(double, container_uuid="c")
    body = json.loads(seen[0].content)
    (code,) = FuncXSerializer.unpack_buffers(body["function_code"])
    identifier, parts = code.split("\n", 1)
    assert identifier == "10"
    assert [part.strip() for part in parts.split(":")[::2]] == ["04", "01"]
    assert FuncXSerializer().deserialize(code)(21) == 42
    assert body["container_uuid"] == "c"


async def test_the_service_is_told_which_client_this_is_like():
    client, seen = answering({})
    await client.get_version()
    assert seen[0].headers["User-Agent"].endswith("/funcx-sdk-1.0.13")


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        pytest.param({}, "https://api2.funcx.org", id="production"),
        pytest.param(
            {"FUNCX_SDK_ENVIRONMENT": "dev", "GLOBUS_SDK_ENVIRONMENT": "preview"},
            "https://api.dev.funcx.org",
            id="chosen by the classic variable",
        ),
    ],
)
def test_the_classic_service_has_addresses_of_its_own(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], root: str
):
    for name in ("FUNCX_ASYNC_SERVICE_URL", "GLOBUS_SDK_ENVIRONMENT", "FUNCX_SDK_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert FuncXClient(api="v2").base_url == root
    with pytest.raises(ValueError, match="no environment 'preview'"):
        FuncXClient(api="v2", environment="preview")


def test_an_unknown_dialect_is_refused():
    with pytest.raises(ValueError, match="'v2' or 'v3', not 'v1'"):
        FuncXClient(ROOT, api="v1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resource_specification", {"cores": 1}),
        ("user_endpoint_config", {"a": 1}),
        ("result_serializers", ["globus_compute_sdk.serialize.JSONData"]),
    ],
)
async def test_what_the_classic_service_cannot_be_told_is_refused_at_once(name: str, value: Any):
    client, seen = answering({})
    with pytest.raises(ValueError, match=name):
        await client.submit(ENDPOINT, {"f": ["p"]}, **{name: value})
    with pytest.raises(ValueError, match=name):
        FuncXExecutor(ENDPOINT, funcx_client=client, **{name: value})
    executor = FuncXExecutor(ENDPOINT, funcx_client=client)
    with pytest.raises(ValueError, match=name):
        setattr(executor, name, value)
    with pytest.raises(ValueError, match=name):
        executor.options(**{name: value})  # type: ignore[misc]
    with pytest.raises(ValueError, match="ha_endpoint_id"):
        await client.register(Registration("f", "c", "01", ha_endpoint_id=ENDPOINT))
    assert not seen


async def test_todays_service_has_no_containers():
    client = FuncXClient(ROOT, auth="t")
    assert client.task_group_id is None
    with pytest.raises(ValueError, match="no containers"):
        await client.register(Registration("f", "c", "01", container_uuid=ENDPOINT))


def test_executors_of_one_client_share_its_task_group_unless_given_another():
    client, _ = answering({})
    assert str(UUID(str(client.task_group_id))) == client.task_group_id
    assert client.task_group_id != answering({})[0].task_group_id
    first = FuncXExecutor(ENDPOINT, funcx_client=client)
    second = FuncXExecutor(ENDPOINT, "a container", client, GROUP)
    assert first.task_group_id == client.task_group_id
    assert (second.task_group_id, second.container_id) == (GROUP, "a container")


# Answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["Success", "success"])
def test_success_is_spelled_in_two_ways(spelling: str):
    receipt = receipt_of(taken("t", spelling))
    assert (receipt.tasks, receipt.refusals) == ({"f": ["t"]}, {})


@pytest.mark.parametrize(
    ("code", "status", "kind", "name"),
    [
        pytest.param(3, 404, NotFound, "FUNCTION_NOT_FOUND", id="number"),
        pytest.param("10", 403, Forbidden, "FUNCTION_NOT_PERMITTED", id="number as text"),
        pytest.param("TASK_PAYLOAD_TOO_LARGE", 413, TooLarge, "TASK_PAYLOAD_TOO_LARGE", id="name"),
        pytest.param(None, 502, RequestRefused, None, id="none"),
    ],
)
def test_a_task_is_refused_alone_with_code_and_reason(
    code: Any, status: int, kind: type[RequestRefused], name: str | None
):
    receipt = receipt_of(taken("t1"), refused("t2", code, status, "because"), taken("t3"))
    assert receipt.tasks == {"f": ["t1", "t2", "t3"]}
    assert list(receipt.refusals) == ["t2"]
    error = receipt.refusals["t2"]
    assert type(error) is kind
    assert (error.code, error.status, error.reason) == (name, status, "because")
    assert error.task_id == "t2"


def test_refused_tasks_without_an_id_and_a_reason_are_told_apart_by_their_place():
    nameless = refused(None, 18, 500, "")
    receipt = receipt_of(nameless, taken("t"), nameless)
    assert len(set(receipt.tasks["f"])) == 3
    assert len(receipt.refusals) == 2
    assert all("gives no reason" in str(error) for error in receipt.refusals.values())


def test_results_without_a_status_are_judged_by_their_id():
    receipt = receipt_of({"task_uuid": "t"}, {"reason": "no"})
    assert len(receipt.refusals) == 1
    assert receipt.tasks["f"][0] not in receipt.refusals


def test_the_wrong_number_of_results_says_nothing_about_any_task():
    receipt = receipt_of(taken("t1"), refused("t0", 3, 404), taken("t2"), tasks={"f": ["p"]})
    submission = Submission("ticket", "f", "p")
    batch = Batch(Route(ENDPOINT), [submission])
    assert read_receipt(batch, {"f": "f"}, receipt) == ([], [submission])
    assert [task_id for ids in receipt.tasks.values() for task_id in ids] == ["t1", "t2"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"response": "batch"}, id="no results"),
        pytest.param({"results": [{"status": "Success"}]}, id="a task without an id"),
    ],
)
async def test_an_answer_that_is_no_receipt_leaves_the_tasks_uncertain(answer: dict[str, Any]):
    client, _ = answering(answer)
    with pytest.raises(SubmitUncertain) as caught:
        await client.submit(ENDPOINT, {"f": ["p"]})
    assert caught.value.task_group_id == client.task_group_id
    assert isinstance(caught.value.__cause__, ResponseNotUnderstood)


async def test_a_refused_request_names_its_numeric_code():
    client, _ = answering({"status": "Failed", "code": 17, "reason": "what?"}, 400)
    with pytest.raises(RequestRefused, match="REQUEST_MALFORMED: what"):
        await client.submit(ENDPOINT, {"f": ["p"]})


async def test_an_endpoints_logs_are_given():
    client, _ = answering({"status": "online", "logs": [{"total_workers": 2}]})
    status = await client.get_endpoint_status(ENDPOINT)
    assert status == EndpointStatus("online", {}, [{"total_workers": 2}])


# The classic routes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "answer", "value", "method", "path", "body"),
    [
        pytest.param(
            lambda c: c.register_container("docker://x", "docker", "name"),
            {"container_id": "c"},
            "c",
            *("POST", "/v2/containers"),
            {"name": "name", "location": "docker://x", "description": "", "type": "docker"},
            id="register container",
        ),
        pytest.param(
            lambda c: c.get_container("c", "docker"),
            {"container": {"location": "x"}},
            {"location": "x"},
            *("GET", "/v2/containers/c/docker"),
            None,
            id="container",
        ),
        pytest.param(
            lambda c: c.build_container({"name": "n", "pip": ["numpy"]}),
            {"container_id": "c"},
            "c",
            *("POST", "/v2/containers/build"),
            {"name": "n", "pip": ["numpy"]},
            id="build container",
        ),
        pytest.param(
            lambda c: c.get_container_build_status("c"),
            {"status": "ready"},
            "ready",
            *("GET", "/v2/containers/build/c"),
            None,
            id="build status",
        ),
        pytest.param(
            lambda c: c.get_whitelist("e"),
            {"status": "Success", "result": ["f"]},
            ["f"],
            *("GET", "/v2/endpoints/e/whitelist"),
            None,
            id="whitelist",
        ),
        pytest.param(
            lambda c: c.add_to_whitelist("e", "f"),
            {"status": "Success", "result": ["f"]},
            ["f"],
            *("POST", "/v2/endpoints/e/whitelist"),
            {"func": ["f"]},
            id="add to whitelist",
        ),
        pytest.param(
            lambda c: c.delete_from_whitelist("e", ["f"]),
            {"status": "Success", "result": "f"},
            None,
            *("DELETE", "/v2/endpoints/e/whitelist/f"),
            None,
            id="delete from whitelist",
        ),
        pytest.param(
            lambda c: c.authenticate(),
            "OK",
            None,
            *("GET", "/v2/authenticate"),
            None,
            id="authenticate",
        ),
    ],
)
async def test_classic_routes(
    call: Callable[[FuncXClient], Awaitable[Any]],
    answer: Any,
    value: Any,
    method: str,
    path: str,
    body: Any,
):
    client, seen = answering(answer)
    assert await call(client) == value
    assert (seen[0].method, seen[0].url.path) == (method, path)
    assert (json.loads(seen[0].content) if seen[0].content else None) == body
