"""Calling functions without an executor, over real sockets, and what answers can be."""

from __future__ import annotations

import asyncio
import platform
from typing import Any
from uuid import UUID, uuid4

import pytest

from funcx_async import (
    DeserializationError,
    FuncXClient,
    FuncXSerializer,
    JSONData,
    NotFound,
    ResultExpired,
    SubmitUncertain,
    TaskExecutionFailed,
    TaskPending,
)
from funcx_async import blocking as blocking_api
from funcx_async._service.operations.calls import Batch
from funcx_async.local import LocalService
from tests.service.answering import ENDPOINT, FUNCTION, GROUP, answering

LIMIT = 60


def add(a: int, b: int = 1, **more: int) -> int:
    return a + b + sum(more.values())


def fail() -> None:
    raise ValueError("as it should")


async def executed(service: LocalService, times: int) -> None:
    async with asyncio.timeout(LIMIT):
        await service.faults.seen("executed", times)


@pytest.mark.parametrize("api", ["v2", "v3"])
async def test_a_function_is_run_and_its_result_asked_for(service: LocalService, api: Any):
    async with service.client(api=api) as client:
        function_id = await client.register_function(add)
        with service.faults.endpoint_offline():
            task_id = await client.run(
                40, b=1, self=1, endpoint_id=service.endpoint_id, function_id=function_id
            )
            with pytest.raises(TaskPending) as caught:
                await client.get_result(task_id)
            assert caught.value.task_id == task_id
            assert caught.value.status in str(caught.value)
        await executed(service, 1)
        assert await client.get_result(UUID(task_id)) == 42


async def test_a_failure_is_raised_with_its_remote_traceback(
    service: LocalService, client: FuncXClient
):
    function_id = await client.register_function(fail)
    task_id = await client.run(endpoint_id=service.endpoint_id, function_id=UUID(function_id))
    await executed(service, 1)
    with pytest.raises(TaskExecutionFailed, match="as it should") as caught:
        await client.get_result(task_id)
    assert caught.value.task_id == task_id


async def test_a_batch_runs_many_tasks_of_many_functions(
    service: LocalService, client: FuncXClient
):
    adding = await client.register_function(add)
    failing = await client.register_function(fail)
    batch = client.create_batch(user_endpoint_config={"n": 1}, create_websocket_queue=True)
    for number in range(5):
        batch.add(UUID(adding), [number], {"b": 10})
    batch.add(failing)
    assert (len(batch), repr(batch)) == (6, "<Batch of 6 task(s) of 2 function(s)>")
    receipt = await client.batch_run(UUID(service.endpoint_id), batch)
    await executed(service, 6)
    task_ids = [*receipt.tasks[adding], *receipt.tasks[failing]]
    blocks = await client.get_batch_result(task_ids)
    assert [blocks[task_id].get("result") for task_id in task_ids] == [10, 11, 12, 13, 14, None]
    last = blocks[task_ids[-1]]
    assert (last["pending"], last["status"]) == (False, "failed")
    assert isinstance(last["exception"], TaskExecutionFailed)
    assert "result" not in last
    assert float(blocks[task_ids[0]]["completion_t"]) > 0
    assert await client.get_task_group(receipt.task_group_id) == task_ids
    again = client.create_batch(task_group_id=UUID(receipt.task_group_id))
    again.add(adding, (1,))
    assert (await client.batch_run(service.endpoint_id, again)).task_group_id == (
        receipt.task_group_id
    )


async def test_results_are_written_as_the_client_s_serializer_reads_them(service: LocalService):
    serializer = FuncXSerializer(allowed_deserializers=[JSONData])
    async with service.client(serializer=serializer) as client:
        function_id = await client.register_function(add)
        task_id = await client.run(1, endpoint_id=service.endpoint_id, function_id=function_id)
        await executed(service, 1)
        assert (await client.get_task(task_id)).result.data == "11\n2"  # type: ignore[union-attr]
        assert await client.get_result(task_id) == 2


async def test_a_worker_tells_of_its_machine(service: LocalService, client: FuncXClient):
    task_id = await client.get_worker_hardware_details(service.endpoint_id)
    await executed(service, 1)
    assert platform.node() in await client.get_result(task_id)


async def test_unknown_functions_endpoints_and_tasks_are_told_apart(
    service: LocalService, client: FuncXClient
):
    function_id = await client.register_function(add)
    nobody = str(uuid4())
    with pytest.raises(NotFound, match=f"function .*{nobody}"):
        await client.run(endpoint_id=service.endpoint_id, function_id=nobody)
    with pytest.raises(NotFound, match=f"endpoint .*{nobody}"):
        await client.run(endpoint_id=nobody, function_id=function_id)
    with pytest.raises(NotFound, match=f"task .*{nobody}"):
        await client.get_result(nobody)
    blocks = await client.get_batch_result([nobody])
    assert isinstance(blocks[nobody]["exception"], ResultExpired)


async def test_one_refused_task_of_the_classic_service_is_raised(service: LocalService):
    async with service.client(api="v2") as client:
        nobody = str(uuid4())
        with pytest.raises(NotFound, match=nobody):
            await client.run(endpoint_id=service.endpoint_id, function_id=nobody)


def test_the_blocking_client_has_all_of_it():
    with blocking_api.LocalService(workers=1) as service, service.client() as client:
        function_id = client.register_function(add)
        where = {"endpoint_id": service.endpoint_id, "function_id": function_id}
        task_id = client.run(1, fn=1, method=1, **where)
        batch = client.create_batch()
        batch.add(function_id, (1,))
        (other,) = client.batch_run(service.endpoint_id, batch).tasks[function_id]
        with service.executor() as executor:  # its result comes after those of the others
            assert executor.submit(add, 1).result(LIMIT) == 2
        blocks = client.get_batch_result([task_id, other])
        assert [blocks[each]["result"] for each in (task_id, other)] == [4, 2]
        assert client.get_result(task_id) == 4


# What only another service would answer ---------------------------------------------------------


async def test_an_empty_batch_is_not_sent():
    client, asked = answering({})
    with pytest.raises(ValueError, match="no task"):
        await client.batch_run(ENDPOINT, client.create_batch())
    assert not asked.requests


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(("not-a-uuid",), ValueError, id="no function"),
        pytest.param((FUNCTION, "text"), TypeError, id="args is a text"),
        pytest.param((FUNCTION, {1}), TypeError, id="args is a set"),
        pytest.param((FUNCTION, (), [1]), TypeError, id="kwargs is a list"),
        pytest.param((FUNCTION, (), {1: 2}), TypeError, id="a keyword is a number"),
    ],
)
def test_what_cannot_be_called_is_not_added(arguments: Any, error: type[Exception]):
    batch = Batch(FuncXSerializer())
    with pytest.raises(error):
        batch.add(*arguments)
    assert len(batch) == 0


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param({}, id="no function"),
        pytest.param({FUNCTION: []}, id="no task"),
        pytest.param({FUNCTION: ["t1", "t2"]}, id="too many tasks"),
        pytest.param({ENDPOINT: ["t1"]}, id="another function"),
        pytest.param({FUNCTION: ["t1"], ENDPOINT: ["t2"]}, id="one function more"),
    ],
)
async def test_a_receipt_that_does_not_say_which_task_is_which_is_uncertain(tasks: Any):
    client, _ = answering({"task_group_id": GROUP, "tasks": tasks, "request_id": "r"})
    with pytest.raises(SubmitUncertain) as caught:
        await client.run(endpoint_id=ENDPOINT, function_id=FUNCTION)
    assert caught.value.task_group_id == GROUP
    assert caught.value.request_id == "r"
    assert list(caught.value.candidate_task_ids) == [i for ids in tasks.values() for i in ids]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("no strategy", id="no strategy"),
        pytest.param("00\ngASVBQ==\n", id="cut"),
        # pickle.dumps of an object whose reading calls sys.exit("bye")
        pytest.param("00\nY3N5cwpleGl0CihTJ2J5ZScKdFIu\n", id="ends the program"),
    ],
)
async def test_a_value_that_cannot_be_read_is_an_error_with_its_payload(payload: str):
    client, _ = answering({"task_id": "t", "status": "success", "result": payload})
    with pytest.raises(DeserializationError) as caught:
        await client.get_result("t")
    assert (caught.value.payload, caught.value.task_id) == (payload, "t")


async def test_a_result_that_is_gone_has_expired():
    client, _ = answering({"task_id": "t", "status": "success"})
    with pytest.raises(ResultExpired):
        await client.get_result("t")
