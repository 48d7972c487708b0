"""What is known of endpoints: asked once, beside the work, and told to a person once."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from funcx_async import FuncXClient, FuncXExecutor
from funcx_async._session.endpoints import EndpointMonitor, EndpointVersions
from funcx_async._session.open_tasks import OpenTasks
from funcx_async.events import Events
from funcx_async.local import LocalService

HERE = {"python_version": platform.python_version(), "dill_version": version("dill")}
EP = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
TIMEOUT = 60


def monitor(answer: Callable[[httpx.Request], httpx.Response]) -> EndpointMonitor:
    transport = httpx.MockTransport(answer)
    client = FuncXClient("http://127.0.0.1:9", auth="t", transport=transport)
    return EndpointMonitor(client, Events(), OpenTasks(asyncio.get_running_loop(), None, None))


@pytest.mark.parametrize(
    ("told", "reads"),
    [
        pytest.param({"endpoint_version": "4.19.0"}, True, id="today's"),
        pytest.param({"endpoint_version": "3.11.1"}, False, id="older"),
        pytest.param({"endpoint_version": "4.0.0rc1"}, True, id="a candidate"),
        pytest.param({"endpoint_version": "funcx-async 1.0.0"}, True, id="the local service's"),
        pytest.param({"endpoint_version": None}, True, id="null"),
        pytest.param({"endpoint_version": 2}, True, id="no text"),
        pytest.param({"endpoint_version": "unknown"}, True, id="no version"),
        pytest.param({}, True, id="not told"),
        pytest.param({"metadata": {"endpoint_version": "2.0"}}, False, id="in metadata"),
    ],
)
def test_endpoints_before_4_read_no_source_and_unknown_ones_are_expected_to(
    told: dict[str, Any], reads: bool
) -> None:
    assert EndpointVersions.told_by(told).reads_source is reads


@pytest.mark.parametrize(
    ("told", "words"),
    [
        pytest.param({}, None, id="nothing told"),
        pytest.param(HERE, None, id="the same"),
        pytest.param(
            {"python_version": platform.python_version() + "+x"}, None, id="the same minor"
        ),
        pytest.param({"python_version": "3.8.1"}, "Python 3.8.1", id="another Python"),
        pytest.param({"metadata": {"dill_version": "0.2"}}, "dill 0.2", id="another dill"),
        pytest.param(
            {"python_version": "3.8.1", "dill_version": "0.2"}, r"3.8.1 .* and dill", id="both"
        ),
    ],
)
def test_what_differs_is_told_with_both_versions(told: dict[str, Any], words: str | None) -> None:
    differing = EndpointVersions.told_by(told).mismatch()
    if words is None:
        assert differing is None
    else:
        assert differing is not None
        assert words.partition(" .*")[0] in differing
        assert "here it is" in differing


async def test_an_endpoint_is_asked_about_once_and_warned_about_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"python_version": "3.8.1", "endpoint_version": "3.1"})

    endpoints, warned = monitor(answer), asyncio.Event()
    watch = logging.Handler(logging.WARNING)
    watch.emit = lambda record: warned.set()  # type: ignore[method-assign]
    logging.getLogger("funcx_async").addHandler(watch)
    with caplog.at_level(logging.WARNING, "funcx_async"):
        endpoints.opened(EP)
        endpoints.opened(EP)
        await asyncio.wait_for(warned.wait(), TIMEOUT)
    logging.getLogger("funcx_async").removeHandler(watch)
    assert asked.count(f"/v2/endpoints/{EP}") == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "has Python 3.8.1 (here it is" in caplog.text
    assert "Best use the same versions" in caplog.text
    assert "runs version 3.1, which reads compiled functions only" in caplog.text
    assert not endpoints.versions(EP).reads_source
    await endpoints.close()


@pytest.mark.parametrize("status", [200, 404, 500, 503])
async def test_what_cannot_be_had_is_not_missed(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    asked = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.set()
        return httpx.Response(status, text="[")

    endpoints = monitor(answer)
    with caplog.at_level(logging.INFO, "funcx_async"):
        endpoints.opened(EP)
        await asyncio.wait_for(asked.wait(), TIMEOUT)
        await endpoints.close()
    assert not caplog.records
    assert endpoints.versions(EP) == EndpointVersions()


async def test_a_question_that_is_not_answered_holds_nothing_up() -> None:
    async with LocalService(workers=1) as service:
        real = httpx.AsyncHTTPTransport()
        asked, cut_off = asyncio.Event(), asyncio.Event()

        class Silent(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if request.url.path != f"/v2/endpoints/{service.endpoint_id}":
                    return await real.handle_async_request(request)
                asked.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    cut_off.set()
                raise AssertionError

        through = FuncXClient(service.url, auth=service.token, transport=Silent())
        executor = FuncXExecutor(service.endpoint_id, funcx_client=through)
        async with asyncio.timeout(TIMEOUT), through, executor:
            assert await executor.submit(abs, -2) == 2
            assert asked.is_set()
        assert cut_off.is_set()
        await real.aclose()


async def test_endpoints_before_4_get_compiled_functions_once_that_is_known() -> None:
    async with LocalService(workers=1) as service:
        real = httpx.AsyncHTTPTransport()
        told, registered = asyncio.Event(), []

        class Old(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if request.url.path == f"/v2/endpoints/{service.endpoint_id}":
                    told.set()
                    return httpx.Response(200, json={"endpoint_version": "3.9"})
                if request.url.path == "/v3/functions":
                    registered.append(b'"serde_identifier":"01"' in await request.aread())
                return await real.handle_async_request(request)

        through = FuncXClient(service.url, auth=service.token, transport=Old())
        executor = FuncXExecutor(service.endpoint_id, funcx_client=through)
        async with asyncio.timeout(TIMEOUT), through, executor:
            assert await executor.submit(client_side_sum, 1, 2) == 3
            await told.wait()
            assert await executor.submit(client_side_sum, 1, 2) == 3
            assert await executor.submit(client_side_sum, 1, 2) == 3
        assert registered == [False, True]
        await real.aclose()


def client_side_sum(a: int, b: int) -> int:
    return a + b
