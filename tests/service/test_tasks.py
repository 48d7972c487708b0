"""Tasks: what a submit tells besides, and asking for any number of them."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from funcx_async import FuncXClient, ResponseLost, SubmitUncertain
from funcx_async._service.operations.tasks import CHUNK, CHUNK_ONCE
from tests.service.answering import ENDPOINT, FUNCTION, GROUP, ROOT, answering
from tests.vectors_of import vectors_of

RECEIPT = {"task_group_id": GROUP, "tasks": {FUNCTION: ["t"]}}
TASKS = {FUNCTION: ["p"]}


def shape(document: Any) -> Any:
    """The keys of a document and the types of its values, without the values."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(value) for value in document]
    return type(document)


async def test_a_submit_tells_of_python_and_machine_as_the_official_client_does():
    (vector,) = vectors_of("submits", options=["user_runtime"])
    (entry,) = vector.values
    client, asked = answering(RECEIPT)
    await client.submit(ENDPOINT, TASKS)
    told, theirs = asked.body["user_runtime"], entry["body"]["user_runtime"]
    assert shape(told) == shape(theirs)
    assert told["globus_compute_sdk_version"] == theirs["globus_compute_sdk_version"]
    assert told["globus_sdk_version"] == theirs["globus_sdk_version"]


async def test_what_a_submit_tells_can_be_chosen_for_it_and_for_the_client():
    client, asked = answering(RECEIPT)
    await client.submit(ENDPOINT, TASKS, user_runtime={"python": {"version": "3.9"}})
    assert asked.body["user_runtime"] == {"python": {"version": "3.9"}}
    await client.submit(ENDPOINT, TASKS, user_runtime={})
    assert "user_runtime" not in asked.body
    transport = httpx.MockTransport(lambda request: handle(request))
    bodies: list[Any] = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json=RECEIPT)

    silent = FuncXClient(ROOT, auth="t", transport=transport, user_runtime={})
    await silent.submit(ENDPOINT, TASKS)
    await silent.submit(ENDPOINT, TASKS, user_runtime={"a": 1})
    assert [body.get("user_runtime") for body in bodies] == [None, {"a": 1}]


async def test_the_classic_service_is_told_nothing_of_the_machine():
    answer = {"results": [{"status": "Success", "task_uuid": "t", "http_status_code": 200}]}
    client, asked = answering(answer, api="v2")
    await client.submit(ENDPOINT, TASKS)
    assert set(asked.body) == {"task_group_id", "create_websocket_queue", "tasks"}
    with pytest.raises(ValueError, match="user_runtime"):
        await client.submit(ENDPOINT, TASKS, user_runtime={"python": {}})


async def test_what_the_service_says_of_protected_tasks_is_logged(
    caplog: pytest.LogCaptureFixture,
):
    client, _ = answering({**RECEIPT, "ha_warning": "mind the data"})
    with caplog.at_level(logging.WARNING, "funcx_async"):
        receipt = await client.submit(ENDPOINT, TASKS)
    assert receipt.warning == "mind the data"
    assert "mind the data" in caplog.text


async def test_a_lost_submit_keeps_the_service_s_number_of_the_request():
    client, _ = answering({"reason": "oops", "request_id": "r-9"}, 500)
    with pytest.raises(SubmitUncertain, match="r-9") as caught:
        await client.submit(UUID(ENDPOINT), TASKS, task_group_id=UUID(GROUP))
    assert (caught.value.request_id, caught.value.task_group_id) == ("r-9", GROUP)


class Tasks:
    """A service that knows every task; it can fail at one request, and count them."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[list[str]] = []
        self.fails_at = fails_at

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404, json={"code": "TASK_NOT_FOUND", "reason": "unknown"})
        task_ids = json.loads(request.content)["task_ids"]
        self.asked.append(task_ids)
        if len(self.asked) == self.fails_at:
            return httpx.Response(500)
        done = {"status": "success", "result": "x"}
        return httpx.Response(200, json={"results": dict.fromkeys(task_ids, done)})

    def client(self, **options: Any) -> FuncXClient:
        root = "http://127.0.0.1:9"
        return FuncXClient(root, auth="t", transport=httpx.MockTransport(self), **options)


async def test_any_number_of_tasks_is_asked_for_in_requests_of_a_size():
    service, task_ids = Tasks(), [uuid4() for _ in range(2 * CHUNK + 1)]
    statuses = await service.client().get_batch_status([*task_ids, task_ids[0]])
    assert list(statuses) == [str(task_id) for task_id in task_ids]
    assert [len(some) for some in service.asked] == [CHUNK, CHUNK, 1]


async def test_one_id_is_one_task_and_none_is_no_request():
    service = Tasks()
    assert list(await service.client().get_batch_status(GROUP)) == [GROUP]
    assert await service.client().get_batch_status([]) == {}
    assert await service.client().get_batch_status(iter([UUID(GROUP)]))
    assert service.asked == [[GROUP], [GROUP]]


async def test_what_a_classic_service_gave_before_a_failure_is_not_lost():
    service, task_ids = Tasks(fails_at=2), [str(uuid4()) for _ in range(CHUNK_ONCE + 1)]
    client = service.client(api="v2")
    with pytest.raises(ResponseLost):
        await client.get_batch_status(task_ids)
    assert (await client.get_task(task_ids[0])).status == "success", "though it is unknown by now"
    statuses = await client.get_batch_status(task_ids[1:])
    assert set(statuses) == set(task_ids[1:])
    assert service.asked[2:] == [task_ids[CHUNK_ONCE:]], "the others were given already"


async def test_today_s_service_is_simply_asked_again():
    service, task_ids = Tasks(fails_at=2), [str(uuid4()) for _ in range(CHUNK + 1)]
    client = service.client()
    with pytest.raises(ResponseLost):
        await client.get_batch_status(task_ids)
    assert len(await client.get_batch_status(task_ids)) == CHUNK + 1
    assert [len(some) for some in service.asked] == [CHUNK, 1, CHUNK, 1]
