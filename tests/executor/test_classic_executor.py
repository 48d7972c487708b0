"""The executor in the classic dialect, on the local service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest

from funcx_async import (
    Forbidden,
    FuncXClient,
    FuncXExecutor,
    NotFound,
    RequestRefused,
    ResultExpired,
    ServiceUnavailable,
    SubmitUncertain,
    TaskExecutionFailed,
    gather,
)
from funcx_async.local import LocalService
from tests.executor.tasks import add, collect, fail

TIMEOUT = 30
T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    async with asyncio.timeout(TIMEOUT):
        return await awaitable


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


@pytest.fixture
def client(service: LocalService) -> FuncXClient:
    return service.client(api="v2")


@pytest.fixture
async def executor(service: LocalService, client: FuncXClient) -> AsyncIterator[FuncXExecutor]:
    async with classic(service, client) as opened:
        yield opened


@asynccontextmanager
async def classic(
    service: LocalService, client: FuncXClient, **options: Any
) -> AsyncIterator[FuncXExecutor]:
    """An executor, which is shut down with a time limit."""
    opened = service.executor(funcx_client=client, **options)
    try:
        yield opened
    finally:
        await soon(opened.shutdown(cancel_futures=True))


async def sums(executor: FuncXExecutor, count: int) -> list[int]:
    return await soon(gather(*(executor.submit(add, number) for number in range(count))))


async def test_values_and_errors_come_back(executor: FuncXExecutor, client: FuncXClient):
    failing = executor.submit(fail, "on purpose")
    keywords = executor.submit(collect, 1, self=2)
    assert await sums(executor, 5) == [1, 2, 3, 4, 5]
    assert await soon(keywords) == ((1,), {"self": 2})
    with pytest.raises(TaskExecutionFailed, match="on purpose") as caught:
        await soon(failing)
    assert caught.value.completion_t is not None
    assert executor.task_group_id == client.task_group_id


async def test_the_first_batches_need_not_wait_for_each_other(
    service: LocalService, client: FuncXClient
):
    async with classic(service, client, batch_size=2) as executor:
        with service.faults.hold_replies("submit") as hold:
            futures = [executor.submit(add, number) for number in range(4)]
            await soon(hold.seen(2))
        assert await soon(gather(*futures)) == [1, 2, 3, 4]


async def test_executors_of_one_client_share_its_group(
    service: LocalService, client: FuncXClient, executor: FuncXExecutor
):
    async with classic(service, client) as other:
        both = await soon(gather(executor.submit(add, 1), other.submit(add, 2)))
    assert both == [2, 3]
    assert executor.stats.orphans == 0
    assert len(await client.get_task_group(str(client.task_group_id))) == 2


async def test_a_task_that_is_refused_fails_alone_in_its_batch(
    service: LocalService, executor: FuncXExecutor
):
    good = [executor.submit(add, number) for number in range(3)]
    bad = [executor.submit_to_registered_function(str(uuid4())) for _ in range(2)]
    assert await soon(gather(*good)) == [1, 2, 3]
    for future in bad:
        with pytest.raises(NotFound) as caught:
            await soon(future)
        assert caught.value.code == "FUNCTION_NOT_FOUND"
        assert caught.value.reason
        assert caught.value.function_id is not None
    assert service.faults.count("submit") == 1


async def test_what_is_not_on_a_whitelist_fails_alone(
    service: LocalService, client: FuncXClient, executor: FuncXExecutor
):
    allowed = await executor.register_function(add)
    await client.add_to_whitelist(service.endpoint_id, [allowed])
    good, bad = executor.submit(add, 1), executor.submit(collect, 1)
    assert await soon(good) == 2
    with pytest.raises(Forbidden, match="whitelist"):
        await soon(bad)
    assert await client.get_whitelist(service.endpoint_id) == [allowed]
    await client.delete_from_whitelist(service.endpoint_id, allowed)
    assert await soon(executor.submit(collect, 1)) == ((1,), {})


async def test_a_refused_batch_fails_with_the_services_words(
    service: LocalService, executor: FuncXExecutor
):
    service.faults.refuse("submit", status=409, code="26", reason="not now")
    with pytest.raises(RequestRefused, match="not now") as caught:
        await soon(executor.submit(add, 1))
    assert caught.value.code == "RESOURCE_CONFLICT"
    assert await sums(executor, 2) == [1, 2]


@pytest.mark.parametrize("fault", ["lose_replies", "truncate_replies"])
async def test_a_lost_answer_makes_a_batch_uncertain_and_nothing_is_sent_twice(
    service: LocalService, executor: FuncXExecutor, fault: str
):
    getattr(service.faults, fault)("submit")
    futures = [executor.submit(add, number) for number in range(3)]
    outcomes = await soon(gather(*futures, return_exceptions=True))
    assert [type(outcome) for outcome in outcomes] == [SubmitUncertain] * 3
    assert {outcome.task_group_id for outcome in outcomes} == {executor.task_group_id}
    assert service.faults.count("accepted") == 3
    assert await sums(executor, 2) == [1, 2]


class OldEndpoint(httpx.AsyncHTTPTransport):
    """The way to a service whose endpoints tell that they are classic."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        if request.method == "GET" and request.url.path.count("/") == 3:
            return httpx.Response(200, json={"endpoint_version": "1.0.13"}, request=request)
        return answer


async def test_for_an_old_endpoint_no_function_is_registered_twice(
    service: LocalService, caplog: pytest.LogCaptureFixture
):
    client = service.client(api="v2", transport=OldEndpoint())
    async with classic(service, client) as executor:
        assert await sums(executor, 1) == [1]
        await soon(service.faults.seen("endpoint"))
        assert await sums(executor, 3) == [1, 2, 3]
        assert await sums(executor, 3) == [1, 2, 3]
    assert service.faults.count("register") == 1
    assert "1.0.13" not in caplog.text


# Containers ---------------------------------------------------------------------------------------


async def test_a_function_is_registered_once_for_each_container(
    service: LocalService, client: FuncXClient
):
    container_id = await client.register_container("docker://x", "docker", "name")
    assert (await client.get_container(container_id, "docker"))["location"] == "docker://x"
    built = await client.build_container({"name": "built", "pip": []})
    assert await client.get_container_build_status(built) == "ready"
    async with classic(service, client, container_id=container_id) as executor:
        assert await sums(executor, 2) == [1, 2]
        executor.container_id = None
        assert await sums(executor, 2) == [1, 2]
        executor.container_id = container_id
        assert await sums(executor, 2) == [1, 2]
        assert service.faults.count("register") == 2
        with pytest.raises(ValueError, match="cache already"):
            await executor.register_function(add)
        executor.container_id = str(uuid4())
        with pytest.raises(NotFound, match="CONTAINER_NOT_FOUND"):
            await soon(executor.submit(add, 1))


# Results that are given once ----------------------------------------------------------------------


async def test_another_executor_takes_up_the_tasks_of_a_group(
    service: LocalService, client: FuncXClient, executor: FuncXExecutor
):
    failing = executor.submit(fail, "on purpose")
    assert await sums(executor, 3) == [1, 2, 3]
    await soon(gather(failing, return_exceptions=True))
    async with classic(service, service.client(api="v2")) as other:
        with service.faults.endpoint_offline():
            waiting = executor.submit(add, 10)
            await soon(waiting.submitted())
            futures = await soon(other.reload_tasks(client.task_group_id))
        assert other.task_group_id == client.task_group_id
        (unfinished,) = [future for future in futures if not future.done()]
        assert unfinished.task_id == waiting.task_id
        outcomes = await soon(gather(*futures, return_exceptions=True))
        assert await soon(waiting) == 11
    assert sorted(value for value in outcomes if isinstance(value, int)) == [1, 2, 3, 11]
    assert [type(value) for value in outcomes if not isinstance(value, int)] == [
        TaskExecutionFailed
    ]


async def test_what_was_open_at_a_reload_is_awaited(
    service: LocalService, client: FuncXClient, executor: FuncXExecutor
):
    with service.faults.endpoint_offline():
        before = executor.submit(add, 10)
        await soon(before.submitted())
        (future,) = await soon(executor.reload_tasks())
        assert before.cancelled()
    assert await soon(future) == 11


async def test_a_reload_that_fails_on_the_way_loses_nothing(
    service: LocalService, client: FuncXClient
):
    count = 200  # more than one request
    async with classic(service, client) as executor:
        assert await sums(executor, count) == list(range(1, count + 1))
    async with classic(service, service.client(api="v2")) as other:
        with service.faults.hold_replies("batch_status") as hold:
            reloading = asyncio.create_task(other.reload_tasks(client.task_group_id))
            await soon(hold.seen())
            service.faults.refuse("batch_status", status=503)
        with pytest.raises(ServiceUnavailable):
            await soon(reloading)
        futures = await soon(other.reload_tasks(client.task_group_id))
        assert sorted(await soon(gather(*futures))) == list(range(1, count + 1))


async def test_old_tasks_are_not_looked_up_until_a_loss_is_evident(
    service: LocalService, client: FuncXClient
):
    async with (
        classic(service, client, reconcile_interval=0.1) as executor,
        service.executor(reconcile_interval=0.1) as modern,
    ):
        await sums(executor, 1)
        service.faults.drop_results(1)
        lost = executor.submit(add, 1)
        await soon(service.faults.seen("dropped"))
        service.faults.drop_results(1)
        assert await soon(modern.submit(add, 2)) == 3, "today's service is asked"
        assert not lost.done()
        service.faults.disconnect()
        assert await soon(lost) == 2


async def test_a_result_is_lost_only_when_neither_the_service_nor_the_queue_has_it(
    service: LocalService, client: FuncXClient, executor: FuncXExecutor
):
    await sums(executor, 1)
    service.faults.drop_results(1)
    lost = executor.submit(add, 1)
    await soon(service.faults.seen("dropped"))
    service.faults.lose_replies("batch_status")  # read, but the answer does not arrive
    service.faults.disconnect()
    with pytest.raises(ResultExpired):
        await soon(lost)
    assert await sums(executor, 2) == [1, 2]


async def test_a_result_that_was_read_elsewhere_still_comes_by_the_queue(
    service: LocalService, client: FuncXClient, executor: FuncXExecutor
):
    await sums(executor, 1)
    service.faults.refuse("amqp_url", status=500, times=2)  # so that there is no queue for a while
    with service.faults.endpoint_offline():
        future = executor.submit(add, 1)
        task_id = await soon(future.submitted())
        service.faults.disconnect()
    await soon(service.faults.seen("executed", 2))
    asked = service.client(api="v2")
    assert (await asked.get_task(task_id)).status == "success"
    assert await soon(future) == 2


async def test_without_a_queue_results_are_asked_for(service: LocalService, client: FuncXClient):
    async with classic(service, client, result_transport="polling") as executor:
        assert await sums(executor, 5) == [1, 2, 3, 4, 5]
        assert service.faults.count("amqp_url") == 0


async def test_asking_for_the_status_of_a_task_does_not_cost_its_result(
    service: LocalService, executor: FuncXExecutor
):
    await sums(executor, 1)
    with service.faults.hold_results() as hold:
        future = executor.submit(add, 1)
        await soon(hold.seen())
        assert not future.done()
        assert (await future.status()).status == "success"
        assert await soon(future) == 2
    assert executor.stats.done == 2
