"""What a notebook shows of executors, futures, clients and services."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import pytest

from funcx_async import FuncXClient, FuncXExecutor, FuncXFuture, TaskExecutionFailed, blocking
from funcx_async._html import LONGEST, Tone, card
from funcx_async.local import LocalService
from funcx_async.models import Stats

ENDPOINT = "4b116d3c-1703-4f8f-9f6f-39921e5864df"
HOSTILE = "<script>alert('&')</script>"
TAGS = {"div", "b", "span", "table", "tr", "th", "td"}


class Card(HTMLParser):
    """A card as a reader has it: its words, and its rows by their labels."""

    def __init__(self, shown: Any) -> None:
        super().__init__()
        self.rows: dict[str, str] = {}
        self.text = ""
        self.tags: list[str] = []
        self._open: list[str] = []
        self._label = ""
        self.feed(shown if isinstance(shown, str) else shown._repr_html_())
        self.close()
        assert not self._open, "every tag is closed"
        assert set(self.tags) <= TAGS

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert {name for name, _ in attrs} <= {"style"}, "nothing is loaded or run"
        self.tags.append(tag)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open[-1] == "th":
            self._label = data
        elif self._open[-1] == "td":
            self.rows[self._label] = self.rows.get(self._label, "") + data


@pytest.fixture
async def service() -> AsyncIterator[LocalService]:
    async with LocalService(workers=1) as running:
        yield running


# A card --------------------------------------------------------------------------------------


def test_all_text_of_a_card_is_shown_as_it_is():
    shown = Card(card(HOSTILE, HOSTILE, Tone.GOOD, {HOSTILE: HOSTILE}))
    assert shown.text.count(HOSTILE) == 4
    assert shown.rows == {HOSTILE: HOSTILE}


def test_a_row_without_a_value_is_left_out_and_a_long_one_shortened():
    shown = Card(
        card("x", "y", Tone.GOOD, {"none": None, "empty": "", "zero": 0, "long": "a" * 999})
    )
    assert shown.rows.keys() == {"zero", "long"}
    assert len(shown.rows["long"]) == LONGEST


# An executor -----------------------------------------------------------------------------------


async def test_an_executor_shows_how_its_tasks_get_on(service: LocalService):
    async with service.executor(label=HOSTILE) as executor:
        assert "idle" in Card(executor).text
        await executor.submit(pow, 2, 5)
        failed = executor.submit(divmod, 1, 0)
        with pytest.raises(TaskExecutionFailed):
            await failed
        with service.faults.hold_results() as hold:
            executor.submit(pow, 2, 5)
            await hold.seen()
            shown = Card(executor)
            assert "1 open" in shown.text
            assert shown.rows["tasks"] == "1 done, 1 failed, 1 open"
            assert shown.rows["label"] == HOSTILE
            assert shown.rows["endpoint"] == service.endpoint_id
            assert shown.rows["task group"] == executor.task_group_id
    assert "shut down" in Card(executor).text


def test_an_executor_that_was_never_used_shows_itself_without_network_or_credentials():
    executor = FuncXExecutor(ENDPOINT)
    assert Card(executor).rows == {"endpoint": ENDPOINT}
    assert Card(blocking.FuncXExecutor(ENDPOINT)).rows == {"endpoint": ENDPOINT}
    assert executor.stats == Stats()


# A future --------------------------------------------------------------------------------------


def test_a_future_shows_its_state_and_the_kind_of_its_result():
    future: FuncXFuture[float] = FuncXFuture()
    assert "queued" in Card(future).text
    assert future.claim()
    assert "being sent" in Card(future).text
    future.accept(ENDPOINT, 0.0)
    assert "running" in Card(future).text
    assert Card(future).rows == {"task": ENDPOINT}
    future.set_result(0.5)
    assert "done" in Card(future).text
    assert Card(future).rows == {"result": "float", "task": ENDPOINT}


def test_a_cancelled_future_says_so():
    future: FuncXFuture[None] = FuncXFuture()
    future.cancel()
    assert "cancelled" in Card(future).text


def test_a_future_that_failed_says_what_was_raised_and_not_the_whole_traceback():
    future: FuncXFuture[None] = FuncXFuture(ENDPOINT)
    traceback = f"Traceback (most recent call last):\n  File ...\nValueError: {HOSTILE}\n"
    future.set_exception(TaskExecutionFailed(traceback, task_id=ENDPOINT))
    shown = Card(future)
    assert "failed" in shown.text
    assert shown.rows["error"] == "TaskExecutionFailed"
    assert shown.rows["because"] == f"ValueError: {HOSTILE}"


def test_a_result_of_a_type_with_a_hostile_name_is_shown_by_it():
    future: FuncXFuture[object] = FuncXFuture()
    future.set_result(type(HOSTILE, (), {})())
    assert Card(future).rows["result"] == HOSTILE


# A client and a service ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FuncXClient, blocking.FuncXClient])
def test_a_client_shows_its_service_and_no_token(kind: type[Any]):
    client = kind("http://127.0.0.1:9", auth="not-to-be-shown")
    assert Card(client).rows == {"service": "http://127.0.0.1:9"}
    assert "not-to-be-shown" not in client._repr_html_()


async def test_a_service_shows_where_it_is_and_nothing_that_opens_it(service: LocalService):
    shown = Card(service)
    assert shown.rows == {
        "address": service.url,
        "endpoint": service.endpoint_id,
        "workers": "1",
        "Python": platform.python_version(),
        "tasks": "0 running, 0 queued",
    }
    assert service.token not in shown.text
    assert service.status_url.rpartition("#")[2] not in shown.text


def test_a_service_that_does_not_run_says_so():
    assert "not running" in Card(LocalService()).text
    assert "not running" in Card(blocking.LocalService()).text


def test_nobody_pays_for_cards_who_looks_at_none():
    program = "import sys, funcx_async; funcx_async.FuncXFuture(), funcx_async.FuncXExecutor()\n"
    program += "assert 'funcx_async._html' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
