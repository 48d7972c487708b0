"""The service's version, and what comes of one that takes newer clients only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from funcx_async import FuncXClient, FuncXExecutor, NotFound, RequestRefused, VersionMismatch
from funcx_async._versions import is_older
from tests.service.answering import ENDPOINT, answering

LIMIT = 60


@pytest.mark.parametrize(
    ("ours", "minimum", "older"),
    [
        ("4.19.0", "4.19.0", False),
        ("4.19.0", "4.18.9", False),
        ("4.19.0", "4.19.1", True),
        ("4.19.0", "5", True),
        ("4.19.0", "4.19", False),
        ("4.19", "4.19.0.0", False),
        ("4.9.0", "4.19.0", True),
        ("4.19.0", "4.19.0.dev1", False),
        ("4.19.0", "unknown", False),
    ],
)
def test_versions_are_compared_by_their_numbers(ours: str, minimum: str, older: bool):
    assert is_older(ours, minimum) is older


@pytest.mark.parametrize(("api", "name"), [("v3", "globus-compute-sdk 4.19.0"), ("v2", "funcx 1.")])
async def test_a_service_that_takes_newer_clients_only_is_told_of(api: Any, name: str):
    client, asked = answering({"min_sdk_version": "99.1", "min_ep_version": "1"}, api=api)
    with pytest.raises(VersionMismatch, match=name) as caught:
        await client.version_check()
    assert caught.value.minimum == "99.1"
    assert asked.line == "GET /v2/version?service=all"


async def test_an_endpoint_can_be_checked_as_well():
    client, _ = answering({"min_sdk_version": "1", "min_ep_version": "4.2"})
    await client.version_check("4.2.0")
    with pytest.raises(VersionMismatch, match=r"4\.1.*endpoint") as caught:
        await client.version_check("4.1.9")
    assert (caught.value.version, caught.value.minimum) == ("4.1.9", "4.2")


@pytest.mark.parametrize("told", [{}, {"min_sdk_version": None}, {"min_sdk_version": 99}])
async def test_a_service_that_demands_nothing_takes_everything(told: dict[str, Any]):
    client, _ = answering(told)
    await client.version_check("0.0.1")


async def test_a_refusal_says_that_the_version_may_be_why():
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/version":
            return httpx.Response(200, json={"min_sdk_version": "99"})
        return httpx.Response(404, json={"code": "ENDPOINT_NOT_FOUND", "reason": "gone"})

    client = FuncXClient("http://127.0.0.1:9", auth="t", transport=httpx.MockTransport(handle))
    with pytest.raises(NotFound) as caught:
        await client.get_endpoint_status(ENDPOINT)
    assert caught.value.version_mismatch is None
    with pytest.raises(VersionMismatch) as mismatch:
        await client.version_check()
    with pytest.raises(RequestRefused) as caught_later:
        await client.get_endpoint_status(ENDPOINT)
    assert caught_later.value.version_mismatch is mismatch.value
    assert any("install a newer" in note for note in caught_later.value.__notes__)


class Service:
    """Takes nothing, and tells its version; or not, for a while."""

    def __init__(self, *answers: int | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v2/version":
            return httpx.Response(400, json={"code": "REQUEST_MALFORMED", "reason": "no"})
        answer = self.answers[self.asked]
        self.asked += 1
        if isinstance(answer, int):
            return httpx.Response(answer)
        return httpx.Response(200, json=answer)

    def client(self) -> FuncXClient:
        return FuncXClient("http://127.0.0.1:9", auth="t", transport=httpx.MockTransport(self))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[asyncio.Event]:
    """Set when something was said of versions."""
    event, logger = asyncio.Event(), logging.getLogger("funcx_async.service")
    watch = logging.Handler()
    watch.emit = lambda record: event.set()  # type: ignore[method-assign]
    logger.addHandler(watch)
    with caplog.at_level(logging.DEBUG, logger.name):
        yield event
    logger.removeHandler(watch)


async def refused_to(client: FuncXClient, told: asyncio.Event) -> None:
    """Submit a task, which is refused, and wait until something is said of versions."""
    async with FuncXExecutor(ENDPOINT, funcx_client=client, result_transport="polling") as executor:
        with pytest.raises(RequestRefused):
            await asyncio.wait_for(executor.submit(print), LIMIT)
        await asyncio.wait_for(told.wait(), LIMIT)


async def test_an_executor_checks_the_version_once_for_each_client_and_warns(
    told: asyncio.Event, caplog: pytest.LogCaptureFixture
):
    service = Service({"min_sdk_version": "99"})
    client = service.client()
    for _ in range(2):
        await refused_to(client, told)
    assert service.asked == 1
    (record,) = (each for each in caplog.records if "99 at least" in each.getMessage())
    assert record.levelname == "WARNING"


async def test_a_version_that_is_not_told_fails_nothing_and_is_asked_for_later(
    told: asyncio.Event, caplog: pytest.LogCaptureFixture
):
    service = Service(503, {"min_sdk_version": "99"})
    client = service.client()
    await refused_to(client, told)
    assert not [each for each in caplog.records if each.levelname == "WARNING"]
    told.clear()
    await refused_to(client, told)
    assert "99 at least" in caplog.text


@pytest.mark.parametrize(("api", "sdk"), [("v3", "globus-compute-sdk-"), ("v2", "funcx-sdk-")])
async def test_a_client_names_itself_and_the_version_that_the_service_looks_for(api: Any, sdk: str):
    client, asked = answering({}, api=api)
    await client.get_version()
    ours, theirs = asked.requests[0].headers["User-Agent"].split("/")
    assert ours == f"funcx-async-{version('funcx-async')}"
    assert theirs == sdk + client.dialect.sdk_version
