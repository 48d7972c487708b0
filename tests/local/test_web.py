"""Every route, and every way in which one refuses."""

from __future__ import annotations

import platform
import uuid
from importlib.metadata import version

import httpx
import pytest

from tests.local.dialogue import Rest, code, payload, value

HELLO_WORLD = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"
NOBODY = "00000000-0000-4000-8000-000000000000"


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("on purpose")


def refused(answer: httpx.Response, status: int, name: str) -> dict[str, object]:
    document = answer.json()
    assert (answer.status_code, document["code"]) == (status, name), document
    assert document["status"] == "Failed"
    assert document["http_status_code"] == status
    assert document["reason"]
    assert isinstance(document["error_args"], list)
    return document


async def test_the_version_needs_no_token(service):
    async with httpx.AsyncClient(base_url=service.url) as http:
        everything = (await http.get("/v2/version?service=all")).json()
        assert {"api", "min_sdk_version", "min_ep_version"} <= set(everything)
        assert (await http.get("/v2/version")).json() == everything["api"]


async def test_a_function_is_registered_and_read_again(rest: Rest):
    body = {
        "function_name": "add",
        "function_code": code(add),
        "serialized": True,
        "description": "adds",
        "meta": {"python_version": "3.11.7", "sdk_version": "4.19.0", "serde_identifier": "01"},
    }
    answer = await rest.http.post("/v3/functions", json=body)
    function_id = answer.json()["function_uuid"]
    document = (await rest.http.get(f"/v2/functions/{function_id}")).json()
    assert document == {
        "function_uuid": function_id,
        "function_name": "add",
        "function_code": code(add),
        "description": "adds",
        "metadata": {"python_version": "3.11.7", "sdk_version": "4.19.0"},
    }


async def test_a_deleted_function_is_unknown_but_its_open_tasks_run(rest: Rest):
    function_id = await rest.register(add)
    path = f"/v2/functions/{function_id}"
    with rest.service.faults.endpoint_offline():
        _, ids = await rest.submit(function_id, payload(40, 2))
        assert (await rest.http.delete(path)).json() == {"result": 302}
        refused(await rest.http.delete(path), 404, "FUNCTION_NOT_FOUND")
        refused(await rest.http.get(path), 404, "FUNCTION_NOT_FOUND")
        refused(await rest.post({function_id: [payload(1, 2)]}), 404, "FUNCTION_NOT_FOUND")
    await rest.executed(1)
    assert value((await rest.documents(ids))[0]) == 42


async def test_endpoints_have_the_roles_owner_and_any(rest: Rest):
    for query in ("", "?role=owner", "?role=any"):
        (listed,) = (await rest.http.get(f"/v2/endpoints{query}")).json()
        assert listed["uuid"] == rest.service.endpoint_id
    refused(await rest.http.get("/v2/endpoints?role=admin"), 400, "REQUEST_MALFORMED")


async def test_source_code_is_registered_as_it_is(rest: Rest):
    body = {
        "function_name": "double",
        "function_code": "def double(x):\n    return 2 * x  # größer\n",
        "serialized": False,
    }
    function_id = (await rest.http.post("/v3/functions", json=body)).json()["function_uuid"]
    _, ids = await rest.submit(function_id, payload(21))
    await rest.executed(1)
    assert value((await rest.documents(ids))[0]) == 42


async def test_the_public_function_says_hello(rest: Rest):
    _, ids = await rest.submit(HELLO_WORLD, payload())
    await rest.executed(1)
    assert value((await rest.documents(ids))[0]) == "Hello World!"


async def test_a_submit_answers_with_ids_in_the_order_of_payloads(rest: Rest):
    adding, failing = await rest.register(add), await rest.register(fail)
    tasks = {adding: [payload(number, 1) for number in range(5)], failing: [payload()]}
    answer = (await rest.post(tasks, create_queue=True)).json()
    assert set(answer) == {"request_id", "task_group_id", "endpoint_id", "tasks"}
    assert answer["endpoint_id"] == rest.service.endpoint_id
    await rest.executed(6)
    documents = await rest.documents(answer["tasks"][adding])
    assert [value(document) for document in documents] == [1, 2, 3, 4, 5]
    assert len(answer["tasks"][failing]) == 1


async def test_what_today_s_clients_send_besides_is_taken(rest: Rest):
    answer = await rest.post(
        {await rest.register(add): [payload(1, 2)]},
        resource_specification={"num_nodes": 1},
        user_endpoint_config={"walltime": 60},
        user_runtime={"python": {"version": "3.11"}},
        result_serializers=["globus_compute_sdk.serialize.concretes.JSONData"],
    )
    (task_id,) = next(iter(answer.json()["tasks"].values()))
    await rest.executed(1)
    assert (await rest.documents([task_id]))[0]["result"] == "11\n3"


async def test_a_task_group_is_reused(rest: Rest):
    adding = await rest.register(add)
    group_id, first = await rest.submit(adding, payload(1, 2))
    again, second = await rest.submit(adding, payload(3, 4), task_group_id=group_id)
    assert again == group_id
    document = (await rest.http.get(f"/v2/taskgroup/{group_id}")).json()
    assert document["taskgroup_id"] == group_id
    assert document["create_websockets_queue"] is False
    assert [task["id"] for task in document["tasks"]] == [*first, *second]
    assert all(task["created_at"] for task in document["tasks"])


async def test_a_finished_task_has_its_value_and_its_times(rest: Rest):
    document = await rest.run(add, 40, 2)
    assert value(document) == 42
    assert float(document["completion_t"]) > 0
    assert isinstance(document["completion_t"], str)
    assert document["details"]["python_version"]
    assert document["details"]["dill_version"]
    assert document["details"]["endpoint_id"] == rest.service.endpoint_id
    times = document["details"]["task_transitions"]
    assert times["execution-start"] <= times["execution-end"]
    assert "exception" not in document
    alone = await rest.http.get(f"/v2/tasks/{document['task_id']}")
    assert alone.json() == document


async def test_a_failed_task_has_its_traceback(rest: Rest):
    document = await rest.run(fail)
    assert document["status"] == "failed"
    assert document["exception"].rstrip().endswith("ValueError: on purpose")
    assert "result" not in document


async def test_a_waiting_task_has_neither_result_nor_completion_time(rest: Rest):
    with rest.service.faults.endpoint_offline():
        _, ids = await rest.submit(await rest.register(add), payload(1, 2))
        (document,) = await rest.documents(ids)
        assert document == {"task_id": ids[0], "status": "waiting-for-ep"}


async def test_an_unknown_task_in_a_batch_is_told_apart(rest: Rest):
    (document,) = await rest.documents([NOBODY])
    assert document == {"task_id": NOBODY, "status": "Failed", "reason": "Unknown task id"}


async def test_endpoints_are_described(rest: Rest):
    (listed,) = (await rest.http.get("/v2/endpoints?role=owner")).json()
    assert listed["uuid"] == rest.service.endpoint_id
    one = (await rest.http.get(f"/v2/endpoints/{rest.service.endpoint_id}")).json()
    assert one["python_version"] == platform.python_version()
    assert one["dill_version"] == version("dill")
    assert (one["uuid"], one["name"]) == (listed["uuid"], listed["name"])
    status = (await rest.http.get(f"/v2/endpoints/{rest.service.endpoint_id}/status")).json()
    assert status["status"] == "online"
    assert status["details"]["total_workers"] == 1
    assert status["details"]["idle_workers"] == 1


async def test_every_look_at_the_queue_address_brings_new_credentials(rest: Rest):
    path = "/v2/get_amqp_result_connection_url"
    first, second = [(await rest.http.get(path)).json() for _ in range(2)]
    assert first["queue_prefix"] == second["queue_prefix"]
    assert first["connection_url"] != second["connection_url"]


PROTECTED = [
    ("POST", "/v3/functions"),
    ("GET", f"/v2/functions/{NOBODY}"),
    ("POST", f"/v3/endpoints/{NOBODY}/submit"),
    ("GET", f"/v2/tasks/{NOBODY}"),
    ("POST", "/v2/batch_status"),
    ("GET", f"/v2/taskgroup/{NOBODY}"),
    ("GET", "/v2/get_amqp_result_connection_url"),
    ("GET", "/v2/endpoints"),
    ("GET", f"/v2/endpoints/{NOBODY}"),
    ("GET", f"/v2/endpoints/{NOBODY}/status"),
]


async def test_no_route_answers_without_the_token(service):
    async with httpx.AsyncClient(base_url=service.url) as http:
        for method, path in PROTECTED:
            missing = await http.request(method, path)
            refused(missing, 401, "USER_UNAUTHENTICATED")
            assert missing.headers["www-authenticate"] == "Bearer"
            for wrong in ("Bearer guess", "Bearer", service.token, "Bearer gr\xfc\xdfe"):
                headers = {"Authorization": wrong.encode("latin-1")}
                answer = await http.request(method, path, headers=headers)
                refused(answer, 401, "INVALID_AUTH_TOKEN")
                assert service.token not in answer.text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("/v2/functions/{}", "FUNCTION_NOT_FOUND", id="function"),
        pytest.param("/v2/tasks/{}", "TASK_NOT_FOUND", id="task"),
        pytest.param("/v2/taskgroup/{}", "TASK_GROUP_NOT_FOUND", id="task group"),
        pytest.param("/v2/endpoints/{}", "ENDPOINT_NOT_FOUND", id="endpoint"),
        pytest.param("/v2/endpoints/{}/status", "ENDPOINT_NOT_FOUND", id="endpoint status"),
    ],
)
async def test_an_unknown_id_is_named_and_a_malformed_one_too(rest: Rest, path: str, name: str):
    document = refused(await rest.http.get(path.format(NOBODY)), 404, name)
    assert document["error_args"] == [NOBODY]
    assert NOBODY in str(document["reason"])
    document = refused(await rest.http.get(path.format("no-uuid")), 400, "INVALID_UUID")
    assert "no-uuid" in str(document["reason"])


async def test_a_submit_to_what_is_unknown_takes_nothing(rest: Rest):
    adding = await rest.register(add)
    wrong_function = await rest.post({adding: [payload(1, 2)], NOBODY: [payload()]})
    assert refused(wrong_function, 404, "FUNCTION_NOT_FOUND")["error_args"] == [NOBODY]
    wrong_group = await rest.post({adding: [payload(1, 2)]}, task_group_id=NOBODY)
    assert refused(wrong_group, 404, "TASK_GROUP_NOT_FOUND")["error_args"] == [NOBODY]
    wrong_endpoint = await rest.http.post(
        f"/v3/endpoints/{NOBODY}/submit", json={"tasks": {adding: [payload(1, 2)]}}
    )
    assert refused(wrong_endpoint, 404, "ENDPOINT_NOT_FOUND")["error_args"] == [NOBODY]
    assert rest.service.faults.count("accepted") == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half a document"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no tasks"),
        pytest.param(b'{"tasks": {}}', id="empty tasks"),
        pytest.param(b'{"tasks": {"f": []}}', id="a function without payloads"),
        pytest.param(b'{"tasks": {"f": "payload"}}', id="a payload that is no list"),
        pytest.param(b'{"tasks": {"f": [1]}}', id="a payload that is no text"),
        pytest.param(b'{"tasks": {"f": ["\xff"]}}', id="text that is no UTF-8"),
        pytest.param(
            b'{"tasks": {"f": ["p"]}, "result_serializers": ["os.system"]}',
            id="an unknown result serializer",
        ),
    ],
)
async def test_a_malformed_submit_is_refused_as_v3_does(rest: Rest, body: bytes):
    path = f"/v3/endpoints/{rest.service.endpoint_id}/submit"
    answer = await rest.http.post(path, content=body)
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert set(detail) == {"type", "loc", "msg"}
    assert rest.service.faults.count("accepted") == 0


async def test_other_malformed_requests_say_what_is_wrong(rest: Rest):
    answer = await rest.http.post("/v3/functions", json={"function_name": "f"})
    assert answer.status_code == 422
    assert "function_code" in answer.json()["detail"][0]["msg"]
    answer = await rest.http.post("/v3/endpoints/no-uuid/submit", json={})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["path", "endpoint"])
    for body in (b"{", b"{}", b'{"task_ids": "one"}', b'{"task_ids": ["\xff"]}'):
        answer = await rest.http.post("/v2/batch_status", content=body)
        refused(answer, 400, "REQUEST_MALFORMED")


async def test_what_is_too_large_is_refused_with_its_limit(rest: Rest):
    adding = await rest.register(add)
    million = "x" * 1_000_000
    batch = refused(await rest.post({adding: [million] * 11}), 413, "BATCH_RUN_TOO_LARGE")
    assert "10000000" in str(batch["reason"])
    refused(await rest.post({adding: [million * 11, "p"]}), 413, "TASK_PAYLOAD_TOO_LARGE")
    refused(await rest.post({adding: [million] * 45}), 413, "BATCH_RUN_TOO_LARGE")
    body = {"function_name": "f", "function_code": million * 11}
    refused(await rest.http.post("/v3/functions", json=body), 413, "FUNCTION_TOO_LARGE")
    body = {"task_ids": [str(uuid.UUID(int=number)) for number in range(300_000)]}
    refused(await rest.http.post("/v2/batch_status", json=body), 413, "BATCH_RUN_TOO_LARGE")
    assert rest.service.faults.count("accepted") == 0


async def test_an_unknown_route_and_a_wrong_method_have_documents(rest: Rest):
    refused(await rest.http.get("/v2/nothing"), 404, "ROUTE_NOT_FOUND")
    refused(await rest.http.get("/nothing"), 404, "ROUTE_NOT_FOUND")
    wrong = await rest.http.delete("/v2/endpoints")
    refused(wrong, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in wrong.headers["allow"]


async def test_the_service_is_reached_as_a_proxy_too(rest: Rest):
    headers = {"Authorization": f"Bearer {rest.service.token}"}
    async with httpx.AsyncClient(proxy=rest.service.url, headers=headers) as http:
        answer = await http.get("http://localhost:5000/v2/endpoints")
        assert answer.json()[0]["uuid"] == rest.service.endpoint_id
        refused(await http.get("http://localhost:5000/nothing"), 404, "ROUTE_NOT_FOUND")
        assert "<title>" in (await http.get("http://localhost:5000")).text
