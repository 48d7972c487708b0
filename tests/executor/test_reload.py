"""Re-attaching to the tasks of a group."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest

from funcx_async import FuncXClient, FuncXExecutor, NotFound, TaskExecutionFailed, gather
from funcx_async.local import LocalService
from tests.executor.tasks import add, fail

TIMEOUT = 60


async def test_another_executor_gets_a_future_for_each_task_of_the_group(service, executor):
    futures = [executor.submit(add, number) for number in range(5)]
    failing = executor.submit(fail, "x")
    await gather(*futures, failing, return_exceptions=True)
    async with service.executor(task_group_id=executor.task_group_id) as other:
        again = await other.reload_tasks()
        assert {future.task_id for future in again} == {
            future.task_id for future in (*futures, failing)
        }
        outcomes = await gather(*again, return_exceptions=True)
    assert sorted(value for value in outcomes if isinstance(value, int)) == [1, 2, 3, 4, 5]
    assert [type(value) for value in outcomes if not isinstance(value, int)] == [
        TaskExecutionFailed
    ]


async def test_open_tasks_are_awaited_after_a_reload(service: LocalService):
    with service.faults.endpoint_offline():
        first = service.executor()
        await first.submit(add, 1).submitted()
        group = first.task_group_id
        second = service.executor()
        (future,) = await second.reload_tasks(group)
        assert second.task_group_id == group
        assert future.running()
    assert await asyncio.wait_for(future, TIMEOUT) == 2
    assert await second.submit(add, 2) == 3
    assert len(await second.reload_tasks()) == 2
    await first.shutdown()
    await second.shutdown()


async def test_the_group_can_be_assigned(service, executor):
    await executor.submit(add, 1)
    other = service.executor()
    other.task_group_id = executor.task_group_id
    (future,) = await other.reload_tasks()
    assert await future == 2
    await other.shutdown()


async def test_earlier_futures_of_this_executor_are_cancelled(service, executor):
    with service.faults.endpoint_offline():
        sent = executor.submit(add, 1)
        await sent.submitted()
        queued = executor.submit(add, 2)
        (again,) = await executor.reload_tasks()
        assert sent.cancelled()
        assert queued.cancelled()
    assert await asyncio.wait_for(again, TIMEOUT) == 2
    assert again.task_id == sent.task_id


async def test_without_a_group_there_is_nothing_to_reload(executor):
    with pytest.raises(ValueError, match="task group"):
        await executor.reload_tasks()


async def test_an_unknown_group_is_not_found_and_changes_nothing(executor):
    await executor.submit(add, 1)
    group = executor.task_group_id
    with pytest.raises(NotFound, match="TASK_GROUP_NOT_FOUND"):
        await executor.reload_tasks(str(uuid4()))
    assert executor.task_group_id == group
    assert await executor.submit(add, 2) == 3


@pytest.mark.parametrize("route", ["taskgroup", "batch_status"])
async def test_a_failed_reload_leaves_group_and_futures_as_they_were(service, executor, route):
    await executor.submit(add, 1)
    group = executor.task_group_id
    other = service.executor()
    await other.submit(add, 5)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 2)
        await future.submitted()
        service.faults.refuse(route, status=500)
        with pytest.raises(Exception, match="500"):
            await executor.reload_tasks(other.task_group_id)
        assert executor.task_group_id == group
        assert not future.done()
    assert await asyncio.wait_for(future, TIMEOUT) == 3
    await other.shutdown()


async def test_the_errors_of_the_original_are_those_of_the_original(service: LocalService):
    """ValueError for a wrong or invalid answer, KeyError for a missing key."""
    answers = {
        ValueError: [{"taskgroup_id": "another", "tasks": []}, {"taskgroup_id": 5, "tasks": []}],
        KeyError: [{"taskgroup_id": "g"}, {"tasks": []}, {"taskgroup_id": "g", "tasks": [{}]}],
    }
    for error, documents in answers.items():
        for document in documents:
            transport = httpx.MockTransport(
                lambda _, document=document: httpx.Response(200, json=document)
            )
            client = FuncXClient(service.url, auth="t", transport=transport)
            executor = FuncXExecutor(service.endpoint_id, funcx_client=client, task_group_id="mine")
            with pytest.raises(error):
                await executor.reload_tasks("g")
            assert executor.task_group_id == "mine"
            await executor.shutdown()
            await client.aclose()
