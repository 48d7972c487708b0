"""A service that is down or busy is named in the log, and waited for up to the deadline."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from collections.abc import AsyncIterator

import pytest

from funcx_async import FuncXClient, FuncXExecutor, RequestRefused, ServiceUnavailable
from funcx_async._session import request_retry, submitter
from funcx_async.local import LocalService
from tests.executor.tasks import add

TIMEOUT = 60
ENDPOINT = "4b116d3c-1703-4f8f-9f6f-39921e5864df"


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    """A service for each test: faults must not wander."""
    async with LocalService(workers=1) as running:
        yield running


class Warnings(logging.Handler):
    """The warnings of this package, to wait for."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.put_nowait(record.getMessage())

    async def next(self) -> str:
        return await asyncio.wait_for(self.messages.get(), TIMEOUT)


@pytest.fixture
def warnings() -> AsyncIterator[Warnings]:
    handler = Warnings()
    logger = logging.getLogger("funcx_async")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_a_service_that_is_down_is_named_with_the_reason_within_seconds(warnings: Warnings):
    with socket.create_server(("127.0.0.1", 0)) as closing:
        url = f"http://127.0.0.1:{closing.getsockname()[1]}"
    assert request_retry.WARN_AFTER < 5
    async with FuncXClient(url, auth="t") as client:
        executor = FuncXExecutor(ENDPOINT, funcx_client=client)
        executor.submit(add, 1)
        told = await warnings.next()
        await executor.shutdown(wait=False, cancel_futures=True)
    assert told.startswith(f"{url} cannot be reached")
    assert "retried for at most 300 s" in told


async def test_a_service_that_is_back_is_named_again(
    service: LocalService, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(request_retry, "WARN_AFTER", 0.01)
    service.faults.refuse("submit", times=1, retry_after=1)
    async with service.executor() as executor:
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    assert "(503" in await warnings.next()
    assert await warnings.next() == f"The service at {service.url} takes tasks again."
    assert warnings.messages.empty()


async def test_a_short_refusal_causes_no_warning(service: LocalService, warnings: Warnings):
    service.faults.refuse("submit", times=1, retry_after=0)
    async with service.executor() as executor:
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    assert warnings.messages.empty()


async def test_a_service_that_does_not_answer_is_named(
    service: LocalService, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
):
    assert submitter.SLOW_AFTER < 5
    monkeypatch.setattr(submitter, "SLOW_AFTER", 0.05)
    async with service.executor() as executor:
        with service.faults.hold_replies("submit"):
            future = executor.submit(add, 1)
            assert f"The service at {service.url} has not answered" in await warnings.next()
        assert await asyncio.wait_for(future, TIMEOUT) == 2


@pytest.mark.parametrize("request_kind", ["submit", "register"])
async def test_a_service_that_asks_for_more_time_than_there_is_gets_a_last_request_at_the_deadline(
    service: LocalService, request_kind: str
):
    service.faults.refuse(request_kind, status=503, times=1, retry_after=1_000)
    async with service.executor(retry_deadline=1.0) as executor:
        assert await asyncio.wait_for(executor.submit(add, 1), TIMEOUT) == 2
    assert service.faults.count(request_kind) == 2


async def test_so_does_one_that_registers_a_function_by_itself(service: LocalService):
    service.faults.refuse("register", status=503, times=1, retry_after=1_000)
    async with service.executor(retry_deadline=1.0) as executor:
        function_id = await asyncio.wait_for(executor.register_function(add), TIMEOUT)
        future = executor.submit_to_registered_function(function_id, (1,))
        assert await asyncio.wait_for(future, TIMEOUT) == 2


async def test_after_the_deadline_the_error_says_what_to_do_without_a_chain_of_libraries():
    with socket.create_server(("127.0.0.1", 0)) as closing:
        url = f"http://127.0.0.1:{closing.getsockname()[1]}"
    async with (
        FuncXClient(url, auth="t") as client,
        FuncXExecutor(ENDPOINT, funcx_client=client, retry_deadline=0.5) as executor,
    ):
        with pytest.raises(ServiceUnavailable, match="Check the address") as caught:
            await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
    assert "httpcore" not in "".join(traceback.format_exception(caught.value))


async def test_a_redirect_is_refused_with_the_address_that_it_names():
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 301 Moved\r\nLocation: https://example.org/\r\nContent-Length: 0\r\n\r\n"
        )
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        FuncXClient(f"http://127.0.0.1:{port}", auth="t") as client,
        FuncXExecutor(ENDPOINT, funcx_client=client) as executor,
    ):
        with pytest.raises(RequestRefused, match=r"to 'https://example\.org/' \(301\)"):
            await asyncio.wait_for(executor.submit(add, 1), TIMEOUT)
