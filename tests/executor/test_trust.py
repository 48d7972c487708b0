"""What an executor may not read, nothing around it reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from funcx_async import (
    DeserializationError,
    FuncXClient,
    FuncXExecutor,
    FuncXSerializer,
    JSONData,
    blocking,
)
from funcx_async.local import LocalService

JSON_ALONE = FuncXSerializer(allowed_deserializers=[JSONData])
TIMEOUT = 60


@pytest.fixture
async def pickled(service: LocalService) -> AsyncIterator[str]:
    """A task whose result is a pickle, though JSON was wished for."""
    executor = service.executor()
    future = executor.submit(complex, 1, 2)
    assert await asyncio.wait_for(future, TIMEOUT) == 1 + 2j
    assert future.task_id is not None
    yield future.task_id
    await executor.shutdown()


async def assert_refuses(client: FuncXClient, task_id: str) -> None:
    with pytest.raises(DeserializationError, match=r"not allowed to read \(allowed: JSONData\)"):
        await client.get_result(task_id)
    block = (await client.get_batch_result([task_id]))[task_id]
    assert isinstance(block["exception"], DeserializationError)


@pytest.mark.usefixtures("environment")
async def test_the_client_that_an_executor_makes_reads_no_more_than_the_executor(pickled: str):
    async with FuncXExecutor(serializer=JSON_ALONE) as executor:
        await assert_refuses(executor.funcx_client, pickled)


@pytest.mark.usefixtures("environment")
async def test_the_client_that_an_executor_made_follows_a_change_of_its_serializer(pickled: str):
    async with FuncXExecutor() as executor:
        client = executor.funcx_client
        assert await client.get_result(pickled) == 1 + 2j
        executor.serializer = JSON_ALONE
        await assert_refuses(client, pickled)


async def test_the_client_of_a_local_services_executor_reads_no_more(
    service: LocalService, pickled: str
):
    async with service.executor(serializer=JSON_ALONE) as executor:
        await assert_refuses(executor.funcx_client, pickled)


@pytest.mark.usefixtures("environment")
async def test_the_client_of_a_blocking_executor_reads_no_more(pickled: str):
    def read() -> object:
        executor = blocking.FuncXExecutor(serializer=JSON_ALONE)
        with executor, executor.funcx_client as client:
            with pytest.raises(DeserializationError):
                client.get_result(pickled)
            executor.serializer = FuncXSerializer()
            return client.get_result(pickled)

    assert await asyncio.to_thread(read) == 1 + 2j


async def test_an_executor_reads_no_more_than_the_client_that_it_is_given(
    service: LocalService, pickled: str
):
    client = service.client(serializer=JSON_ALONE)
    async with FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
        assert executor.serializer is JSON_ALONE
        with pytest.raises(DeserializationError):
            await client.get_result(pickled)
        assert await asyncio.wait_for(executor.submit(divmod, 7, 2), TIMEOUT) == [3, 1]


async def test_a_client_that_is_given_keeps_its_own_serializer():
    transport = httpx.MockTransport(lambda request: httpx.Response(500))
    async with FuncXClient("https://service.test", auth="t", transport=transport) as client:
        given = client.serializer
        async with FuncXExecutor(funcx_client=client, serializer=JSON_ALONE) as executor:
            executor.serializer = FuncXSerializer(strategy_data=JSONData)
        assert client.serializer is given
