"""The example in examples/gateway, as its users see it: in a browser, and through kill -9."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sqlite3
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from funcx_async.local import LocalService
from tests import browser
from tests.fastapi.serving import (
    ROOT,
    TIMEOUT,
    Server,
    client_of,
    events,
    pointing_at,
    served,
)

GATEWAY = "examples.gateway.app:app"
LIMIT = ("--timeout-graceful-shutdown", "20")
INK = """() => {
    const canvas = document.getElementById("plot");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.filter((value, place) => place % 4 == 3 && value > 100).length;
}"""


def gateway(
    service: LocalService, home: Path, port: int = 0, **changes: str
) -> AbstractAsyncContextManager[Server]:
    variables = pointing_at(service) | {"GATEWAY_HOME": str(home)} | changes
    return served(GATEWAY, *LIMIT, variables=variables, port=port)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page whose console has to stay silent, and which fetches nothing from elsewhere."""
    async with browser.opened() as chromium:
        context = await chromium.new_context()
        opened = await context.new_page()
        complaints: list[str] = []
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("request", lambda request: complaints.extend(elsewhere(request.url)))
        yield opened
        assert complaints == []


def elsewhere(url: str) -> list[str]:
    return [] if url.startswith("http://127.0.0.1:") else [f"it fetched {url}"]


async def order(page: Page, columns: int, pause: float) -> None:
    await page.fill("[name=columns]", str(columns))
    await page.fill("[name=pause]", str(pause))
    await page.click("#start")


async def test_a_sweep_is_ordered_followed_and_drawn(
    service: LocalService, tmp_path: Path, page: Page
):
    async with gateway(service, tmp_path) as server:
        await page.goto(server.url)
        await expect(page.locator("#stream")).to_have_text("live")
        await expect(page.locator("#endpoint")).to_have_text("endpoint online")
        await expect(page.locator("#hint")).to_be_visible()
        await order(page, columns=40, pause=0)
        await expect(page.locator("#done")).to_have_text("40", timeout=TIMEOUT * 1_000)
        await expect(page.locator("#total")).to_have_text("40")
        await expect(page.locator("#failed")).to_have_text("0")
        await expect(page.locator("#start")).to_be_enabled()
        await expect(page.locator("#hint")).to_be_hidden()
        await page.wait_for_function(f"({INK})() > 2000")
        second = await page.context.new_page()  # who comes later sees the same
        await second.goto(server.url)
        await expect(second.locator("#done")).to_have_text("40")
        await order(second, columns=12, pause=0)
        await expect(page.locator("#total")).to_have_text("12")
        await expect(page.locator("#done")).to_have_text("12", timeout=TIMEOUT * 1_000)
        told = await server.stopped()  # with the streams of both pages open
        assert "timeout graceful shutdown exceeded" not in told
        assert "Traceback" not in told


async def test_the_page_tells_what_is_wrong_with_an_order(
    service: LocalService, tmp_path: Path, page: Page
):
    async with gateway(service, tmp_path) as server:
        await page.goto(server.url)
        await page.evaluate("document.getElementById('order').noValidate = true")
        await order(page, columns=1, pause=0)
        await expect(page.locator("#message")).to_contain_text("greater than or equal to 2")
        await server.stopped()


async def test_the_page_tells_why_a_sweep_fails(service: LocalService, tmp_path: Path, page: Page):
    wrong = str(uuid.uuid4())
    async with gateway(service, tmp_path, FUNCX_ASYNC_ENDPOINT_ID=wrong) as server:
        await page.goto(server.url)
        await expect(page.locator("#detail")).to_contain_text("ENDPOINT_NOT_FOUND")
        await order(page, columns=3, pause=0)
        await expect(page.locator("#failed")).to_have_text("3")
        await expect(page.locator("#why")).to_contain_text("ENDPOINT_NOT_FOUND")
        await expect(page.locator("#start")).to_be_enabled()
        await server.stopped()


async def test_a_sweep_goes_on_after_what_nobody_thought_of_and_the_page_tells_of_it(
    service: LocalService, tmp_path: Path, page: Page
):
    """As when another program has the database locked, or its disk is full."""
    async with gateway(service, tmp_path) as server:
        await page.goto(server.url)
        await order(page, columns=40, pause=0.02)
        await page.wait_for_function("Number(document.getElementById('done').textContent) >= 3")
        with locked(tmp_path / "sweeps.db"):
            await expect(page.locator("#message")).to_contain_text("database is locked")
            await expect(page.locator("#start")).to_be_enabled()
            async with client_of(server) as client:
                began = time.perf_counter()
                assert (await client.get("/healthz")).status_code == 200
                assert time.perf_counter() - began < 1
                answer = await client.post("/sweeps", json={"first": 3, "last": 4, "columns": 9})
                assert answer.status_code == 503
                assert "database is locked" in answer.json()["detail"]
        await expect(page.locator("#done")).to_have_text("40", timeout=TIMEOUT * 1_000)
        await expect(page.locator("#failed")).to_have_text("0")
        await expect(page.locator("#message")).to_have_text("")
        await expect(page.locator("#start")).to_be_enabled()
        told = await server.stopped()
        assert "The sweep failed; retrying" in told
    assert service.faults.count("accepted") == 40


async def test_an_order_of_what_is_no_number_is_refused_in_words(
    service: LocalService, tmp_path: Path
):
    async with gateway(service, tmp_path) as server, client_of(server) as client:
        body = '{"first": NaN, "last": Infinity, "columns": 9}'
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/sweeps", content=body, headers=headers)
        assert answer.status_code == 422
        assert [each["loc"][-1] for each in answer.json()["detail"]] == ["first", "last"]
        await server.stopped()


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program that writes, and takes its time."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def test_a_sweep_survives_kill_9_of_the_service(
    service: LocalService, tmp_path: Path, page: Page
):
    async with gateway(service, tmp_path) as first:
        await page.goto(first.url)
        await order(page, columns=60, pause=0.05)
        await page.wait_for_function("Number(document.getElementById('done').textContent) >= 5")
        first.process.send_signal(signal.SIGKILL)
        await first.process.wait()
    await expect(page.locator("#stream")).to_have_text("reconnecting")
    assert int(await page.locator("#done").inner_text()) < 60
    async with gateway(service, tmp_path, first.port) as second:
        await expect(page.locator("#stream")).to_have_text("live", timeout=TIMEOUT * 1_000)
        await expect(page.locator("#done")).to_have_text("60", timeout=TIMEOUT * 1_000)
        await expect(page.locator("#failed")).to_have_text("0")
        seen = await shown(second)
        assert sorted(seen) == list(range(60))
        told = await second.stopped()
        assert "Traceback" not in told
    assert service.faults.count("accepted") == 60  # nothing is sent again


async def test_the_gateway_with_a_service_of_its_own_survives_kill_9_too(tmp_path: Path):
    async with by_itself(tmp_path) as first:
        async with client_of(first) as client:
            ordered = {"first": 3, "last": 4, "columns": 30, "pause": 0.1}
            assert (await client.post("/sweeps", json=ordered)).status_code == 202
            assert (await client.post("/sweeps", json=ordered)).status_code == 409
            async with client.stream("GET", "/events") as answer:
                async for name, _ in events(answer):
                    if name == "column":
                        break
        first.process.send_signal(signal.SIGKILL)
        await first.process.wait()
    async with by_itself(tmp_path) as second:
        assert sorted(await shown(second, columns=30)) == list(range(30))
        told = await second.stopped()
        assert "Application shutdown complete" in told
        assert "Traceback" not in told


async def test_a_browser_that_comes_back_gets_only_what_it_missed(
    service: LocalService, tmp_path: Path
):
    async with gateway(service, tmp_path) as server:
        async with client_of(server) as client:
            await client.post("/sweeps", json={"first": 3, "last": 4, "columns": 9})
            await shown(server, columns=9)
            headers = {"Last-Event-ID": "1.7"}
            async with client.stream("GET", "/events", headers=headers) as answer:
                missed = []
                async for event in events(answer):
                    missed.append(event)
                    if len(missed) == 3:
                        break
        assert [name for name, _ in missed] == ["column", "column", "state"]
        await server.stopped()


async def shown(server: Server, columns: int = 60) -> dict[int, Any]:
    """What a new client of a sweep is told until it is complete, by column."""
    seen: dict[int, Any] = {}
    async with client_of(server) as client, client.stream("GET", "/events") as answer:
        async for name, document in events(answer):
            if name == "column":
                assert document["column"] not in seen
                seen[document["column"]] = document["values"]
            if len(seen) == columns:
                break
    return seen


@asynccontextmanager
async def by_itself(home: Path) -> AsyncIterator[Server]:
    """The gateway by its one command, with no endpoint in the environment."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port = asking.getsockname()[1]
    variables = {name: text for name, text in os.environ.items() if "FUNCX" not in name}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.gateway", "--port", str(port)),
        env=variables | {"GATEWAY_HOME": str(home)},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    server = Server(f"http://127.0.0.1:{port}", process, port)
    assert process.stderr is not None
    async with asyncio.timeout(TIMEOUT):
        while not re.search(rb"Uvicorn running", await process.stderr.readline()):
            assert process.returncode is None
    try:
        yield server
    finally:
        if process.returncode is None:
            process.kill()
            await server.ended()


async def test_requests_for_another_host_are_refused(service: LocalService, tmp_path: Path):
    """The name of another site may be made to resolve to 127.0.0.1: DNS rebinding."""
    order = {"first": 3, "last": 4, "columns": 9}
    async with gateway(service, tmp_path) as server, client_of(server) as client:
        foreign = {"Host": f"rebound.test:{client.base_url.port}"}
        assert (await client.post("/sweeps", json=order, headers=foreign)).status_code == 400
        for path in ("/", "/events", "/readyz"):
            assert (await client.get(path, headers=foreign)).status_code == 400
        assert (await client.get("/")).status_code == 200
        assert service.faults.count("accepted") == 0


async def test_a_host_name_of_ones_own_can_be_allowed(service: LocalService, tmp_path: Path):
    async with (
        gateway(service, tmp_path, GATEWAY_HOSTS="sweeps.test") as server,
        client_of(server) as client,
    ):
        assert (await client.get("/")).status_code == 400
        assert (await client.get("/", headers={"Host": "sweeps.test"})).status_code == 200
