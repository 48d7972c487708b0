"""The same work with results through a real RabbitMQ, where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from operator import mul

import pytest

from funcx_async import TaskExecutionFailed, gather
from funcx_async.local import LocalService
from tests import brokers
from tests.executor.tasks import add, fail, size_of

TIMEOUT = 30


@pytest.fixture(params=brokers.with_rabbitmq())
async def service(request: pytest.FixtureRequest) -> AsyncIterator[LocalService]:
    async with LocalService(workers=1, amqp_url=brokers.require()) as running:
        yield running
        await running.faults.delete_queues()


async def test_results_errors_and_large_results(service, executor):
    futures = [executor.submit(add, number) for number in range(200)]
    failing = executor.submit(fail, "x")
    large = executor.submit(mul, "x", 7_000_000)  # in base64 nearly the service's 10 MB
    async with asyncio.timeout(TIMEOUT):
        assert await gather(*futures) == list(range(1, 201))
        assert await large == "x" * 7_000_000
        with pytest.raises(TaskExecutionFailed):
            await failing


async def test_reload(service, executor):
    await executor.submit(size_of, "four")
    async with service.executor() as other:
        (future,) = await other.reload_tasks(executor.task_group_id)
        assert await asyncio.wait_for(future, TIMEOUT) == 4


async def test_a_deleted_queue_hangs_no_future(service, executor):
    await executor.submit(add, 1)
    with service.faults.endpoint_offline():
        future = executor.submit(add, 2)
        await future.submitted()
        await service.faults.delete_queues()
    assert await asyncio.wait_for(future, TIMEOUT) == 3
