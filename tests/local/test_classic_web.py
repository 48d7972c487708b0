"""The classic routes of the local service, over plain HTTP."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.local.dialogue import SERIALIZER, Rest, code, messages_of, next_of, payload, value

NOBODY = "00000000-0000-4000-8000-000000000000"
HELLO_WORLD = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"


def add(a: int, b: int) -> int:
    return a + b


async def register(rest: Rest, **fields: Any) -> httpx.Response:
    body = {
        "function_name": "add",
        "function_code": code(add),
        "container_uuid": None,
        "entry_point": "add",
        "description": None,
        "public": False,
        "group": None,
    }
    return await rest.http.post("/v2/functions", json={**body, **fields})


async def registered(rest: Rest) -> str:
    return str((await register(rest)).json()["function_uuid"])


def triple(rest: Rest, function_id: str, *args: object) -> list[str]:
    return [function_id, rest.service.endpoint_id, payload(*args)]


async def submit(rest: Rest, *tasks: list[str], **fields: Any) -> httpx.Response:
    return await rest.http.post("/v2/submit", json={"tasks": tasks, **fields})


async def ids_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result["task_uuid"] for result in answer.json()["results"]]


async def test_tasks_are_taken_in_order_in_the_clients_group(rest: Rest):
    group, function_id = str(uuid.uuid4()), await registered(rest)
    tasks = [triple(rest, function_id, number, 1) for number in range(3)]
    answer = await submit(rest, *tasks, task_group_id=group)
    document = answer.json()
    assert (document["response"], document["task_group_id"]) == ("batch", group)
    assert [result["status"] for result in document["results"]] == ["Success"] * 3
    assert [result["http_status_code"] for result in document["results"]] == [200] * 3
    ids = await ids_of(answer)
    listed = (await rest.http.get(f"/v2/taskgroup/{group}")).json()
    assert [task["id"] for task in listed["tasks"]] == ids
    assert listed["create_websockets_queue"] is False
    await rest.executed(3)
    assert [value(document) for document in await rest.documents(ids)] == [1, 2, 3]


async def test_a_task_that_is_refused_hurts_no_other(rest: Rest):
    function_id = await registered(rest)
    answer = await submit(
        rest,
        triple(rest, NOBODY),
        triple(rest, function_id, 1, 1),
        [function_id, NOBODY, payload(1, 1)],
        ["nonsense", rest.service.endpoint_id, payload()],
        triple(rest, function_id, 2, 2),
        [function_id, rest.service.endpoint_id, "x" * 10_000_001],
    )
    assert answer.status_code == 413, "the request as a whole is too large"
    answer = await submit(
        rest,
        triple(rest, NOBODY),
        triple(rest, function_id, 1, 1),
        [function_id, NOBODY, payload(1, 1)],
        ["nonsense", rest.service.endpoint_id, payload()],
        triple(rest, function_id, 2, 2),
    )
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [(result["http_status_code"], result.get("code")) for result in results] == [
        (404, "FUNCTION_NOT_FOUND"),
        (200, None),
        (404, "ENDPOINT_NOT_FOUND"),
        (400, "INVALID_UUID"),
        (200, None),
    ]
    assert all(uuid.UUID(result["task_uuid"]) for result in results)
    await rest.executed(2)
    documents = await rest.documents([results[1]["task_uuid"], results[4]["task_uuid"]])
    assert [value(document) for document in documents] == [2, 4]


async def test_one_task_may_come_in_the_oldest_form(rest: Rest):
    function_id, endpoint_id, arguments = triple(rest, await registered(rest), 20, 22)
    body = {"func": function_id, "endpoint": endpoint_id, "payload": arguments}
    (task_id,) = await ids_of(await rest.http.post("/v2/submit", json=body))
    await rest.executed(1)
    assert value((await rest.http.get(f"/v2/tasks/{task_id}")).json()) == 42


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"tasks": []}, id="no task"),
        pytest.param({"func": NOBODY, "endpoint": NOBODY}, id="no payload"),
        pytest.param({"tasks": [["f", "e"]]}, id="a pair"),
        pytest.param({"tasks": {"f": ["p"]}}, id="today's form"),
    ],
)
async def test_a_malformed_submit_is_refused(rest: Rest, body: dict[str, Any]):
    answer = await rest.http.post("/v2/submit", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "REQUEST_MALFORMED")


async def test_a_task_group_must_be_a_uuid(rest: Rest):
    answer = await submit(rest, triple(rest, HELLO_WORLD), task_group_id="mine")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_UUID")


@pytest.mark.parametrize("way", ["tasks", "batch_status"])
async def test_a_result_is_given_once(rest: Rest, way: str):
    with rest.service.faults.endpoint_offline():
        ids = await ids_of(await submit(rest, triple(rest, HELLO_WORLD)))
        for _ in range(2):
            (document,) = await rest.documents(ids)
            assert document["status"] == "waiting-for-ep"
    await rest.executed(1)
    if way == "tasks":
        assert value((await rest.http.get(f"/v2/tasks/{ids[0]}")).json()) == "Hello World!"
    else:
        assert value((await rest.documents(ids))[0]) == "Hello World!"
    assert (await rest.http.get(f"/v2/tasks/{ids[0]}")).status_code == 404
    (again,) = await rest.documents(ids)
    assert (again["status"], again["reason"]) == ("Failed", "Unknown task id")


async def test_results_of_todays_submits_are_given_any_number_of_times(rest: Rest):
    _, ids = await rest.submit(HELLO_WORLD, payload())
    await rest.executed(1)
    for _ in range(2):
        assert value((await rest.documents(ids))[0]) == "Hello World!"


async def test_result_messages_tell_nothing_of_the_worker(either: Rest):
    group = str(uuid.uuid4())
    task = triple(either, HELLO_WORLD)
    ids = await ids_of(await submit(either, task, task_group_id=group, create_websocket_queue=True))
    async with messages_of(either, group) as received:
        message = await next_of(received)
    document = json.loads(message.body[1:])
    assert document["message_type"] == "result"
    assert set(document["data"]) == {"task_id", "data", "error_details", "task_statuses"}
    assert document["data"]["task_id"] == ids[0]
    assert SERIALIZER.deserialize(document["data"]["data"]) == "Hello World!"


async def test_a_whitelist_restricts_an_endpoint_in_both_dialects(rest: Rest):
    allowed, other = await registered(rest), await registered(rest)
    path = f"/v2/endpoints/{rest.service.endpoint_id}/whitelist"
    allowed_functions = path.replace("v2", "v3").replace("whitelist", "allowed_functions")
    assert (await rest.http.get(path)).json() == {"status": "Success", "result": []}
    assert (await rest.http.get(allowed_functions)).json()["restricted"] is False

    added = await rest.http.post(path, json={"func": [allowed]})
    assert added.json() == {"status": "Success", "result": [allowed]}
    assert (await rest.http.get(path)).json()["result"] == [allowed]
    assert (await rest.http.get(allowed_functions)).json() == {
        "endpoint_id": rest.service.endpoint_id,
        "restricted": True,
        "functions": [allowed],
    }
    answer = await submit(rest, triple(rest, allowed, 1, 2), triple(rest, other, 1, 2))
    assert answer.status_code == 207
    assert [each.get("code") for each in answer.json()["results"]] == [
        None,
        "FUNCTION_NOT_PERMITTED",
    ]
    answer = await rest.post({other: [payload(1, 2)]})
    assert (answer.status_code, answer.json()["code"]) == (403, "FUNCTION_NOT_PERMITTED")

    removed = await rest.http.delete(f"{path}/{allowed}")
    assert removed.json() == {"status": "Success", "result": allowed}
    assert (await rest.http.delete(f"{path}/{allowed}")).status_code == 404
    await rest.submit(other, payload(1, 2))
    assert (await rest.http.post(path, json={"func": [NOBODY]})).status_code == 404


async def test_functions_are_registered_for_containers_that_are_known(rest: Rest):
    told = {"name": "c", "location": "docker://x", "description": "d", "type": "docker"}
    container_id = (await rest.http.post("/v2/containers", json=told)).json()["container_id"]
    known = (await rest.http.get(f"/v2/containers/{container_id}/docker")).json()["container"]
    assert known == {"container_uuid": container_id, **told}
    assert (await register(rest, container_uuid=container_id)).status_code == 200
    answer = await register(rest, container_uuid=NOBODY)
    assert (answer.status_code, answer.json()["code"]) == (404, "CONTAINER_NOT_FOUND")


async def test_a_container_is_built_at_once_for_nothing_runs_in_it(rest: Rest):
    told = {"name": "c", "pip": ["numpy"]}
    container_id = (await rest.http.post("/v2/containers/build", json=told)).json()["container_id"]
    status = await rest.http.get(f"/v2/containers/build/{container_id}")
    assert status.json() == {"status": "ready"}
    assert (await rest.http.get(f"/v2/containers/build/{NOBODY}")).status_code == 404


async def test_credentials_can_be_checked(rest: Rest):
    assert (await rest.http.get("/v2/authenticate")).json() == "OK"
    answer = await rest.http.get("/v2/authenticate", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401


async def test_the_status_of_an_endpoint_has_logs(rest: Rest):
    path = f"/v2/endpoints/{rest.service.endpoint_id}/status"
    document = (await rest.http.get(path)).json()
    assert document["logs"] == [document["details"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v2/endpoints/{NOBODY}/whitelist"),
        ("POST", f"/v2/endpoints/{NOBODY}/whitelist"),
        ("DELETE", f"/v2/endpoints/{NOBODY}/whitelist/{NOBODY}"),
        ("GET", f"/v3/endpoints/{NOBODY}/allowed_functions"),
    ],
)
async def test_an_endpoint_that_nobody_knows_has_no_whitelist(rest: Rest, method: str, path: str):
    answer = await rest.http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "ENDPOINT_NOT_FOUND")
