"""The status page in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from funcx_async.local import LocalService
from tests.browser import opened
from tests.local.dialogue import Rest, payload


def add(a: int, b: int) -> int:
    return a + b


def fail() -> None:
    raise ValueError("on purpose")


MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with opened() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on which no script fails, and which asks nobody but the service."""
    context = await browser.new_context()
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text))
    yield page
    assert not [line for line in complaints if "401" not in line and "ERR_CONN" not in line]


async def test_the_page_follows_what_the_service_does(
    service: LocalService, rest: Rest, page: Page
):
    await page.goto(service.status_url)
    await expect(page.locator("#pulse")).to_have_text("live")
    await expect(page.locator("#no-batches")).to_be_visible()
    good, bad = await rest.register(add), await rest.register(fail)
    await rest.post({good: [payload(1, 1)] * 40, bad: [payload()] * 3})
    await expect(page.locator("#done")).to_have_text("40")
    await expect(page.locator("#failed")).to_have_text("3")
    await expect(page.locator("#batches tbody tr")).to_have_count(1)
    await expect(page.locator("#batches td.name")).to_have_text("add, fail")
    settled = page.locator("#batches .meter")
    await expect(settled).to_have_attribute("aria-label", "40 done, 3 failed, of 43")
    await expect(page.locator("#batches td.bar")).to_have_text("3 failed")
    await expect(page.locator("#failures tbody tr")).to_have_count(3)
    await expect(page.locator("#failures tbody tr").first).to_contain_text("fail")
    await expect(page.locator("#failures tbody tr").first).to_contain_text("ValueError: on purpose")
    await expect(page.locator("#latency")).to_have_attribute("aria-label", re.compile("median"))
    await expect(page.locator("#endpoints")).to_contain_text("local workers")
    with rest.service.faults.endpoint_offline():
        await rest.post({good: [payload(1, 1)] * 2})
        await expect(page.locator("#waiting")).to_have_text("2")
        await expect(page.locator("#faults")).to_contain_text("the endpoint is offline")
    await expect(page.locator("#done")).to_have_text("42")
    await expect(page.locator("#no-faults")).to_be_visible()


async def test_the_plots_stand_side_by_side_and_show_only_seconds_that_are_over(
    service: LocalService, page: Page
):
    def second(at: int, done: int) -> dict[str, Any]:
        return {"at": at, "taken": done, "done": done, "failed": 0, "latencies": [[8, done]]}

    async def answer(route: Route) -> None:
        told = await (await route.fetch()).json()
        told["now"] = 1_000.5
        told["seconds"] = [second(999, 10), second(1_000, 12_000)]
        await route.fulfill(json=told)

    await page.set_viewport_size({"width": 1_000, "height": 800})
    await page.route("**/status.json", answer)
    await page.goto(service.status_url)
    throughput, latency = page.locator("#throughput"), page.locator("#latency")
    await expect(throughput).to_have_attribute("aria-label", re.compile("at most 10 in a second"))
    boxes = [await plot.bounding_box() for plot in (throughput, latency)]
    assert [(box["y"], box["height"]) for box in boxes if box] == [(boxes[0]["y"], 210)] * 2


async def test_the_key_leaves_the_address_and_outlives_a_reload_in_this_tab_alone(
    service: LocalService, page: Page
):
    await page.goto(service.status_url)
    await expect(page.locator("#pulse")).to_have_text("live")
    assert page.url == f"{service.url}/"
    assert await page.context.cookies() == []
    await page.reload()
    await expect(page.locator("#pulse")).to_have_text("live")
    other = await page.context.new_page()
    await other.goto(service.url)
    await expect(other.locator("#locked")).to_be_visible()
    await expect(other.locator("#status")).to_be_hidden()


async def test_a_new_link_opens_a_page_that_was_locked(service: LocalService, page: Page):
    await page.goto(f"{service.url}/#a-key-of-yesterday")
    await expect(page.locator("#locked")).to_be_visible()
    await page.goto(service.status_url)
    await expect(page.locator("#pulse")).to_have_text("live")
    await expect(page.locator("#locked")).to_be_hidden()


async def test_names_are_shown_as_they_are_and_never_run(
    service: LocalService, rest: Rest, page: Page
):
    document = {"function_name": MARKUP, "function_code": "01\nx"}
    answer = await rest.http.post("/v3/functions", json=document)
    await rest.post({answer.json()["function_uuid"]: [payload()]})
    await page.goto(service.status_url)
    await expect(page.locator("#batches td.name")).to_have_text(MARKUP)
    assert await page.locator("main img").count() == 0


async def test_a_service_that_ended_is_told(service: LocalService, page: Page):
    await page.goto(service.status_url)
    await expect(page.locator("#pulse")).to_have_text("live")
    await service.aclose()
    await expect(page.locator("#pulse")).to_have_text("the service does not answer")
