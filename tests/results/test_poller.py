"""Results by asking, of a service that answers by a script."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from funcx_async import FuncXClient
from funcx_async._results.poller import ABSENCES_BEFORE_LOST, Lookup
from funcx_async._service.answers import UNREADABLE
from funcx_async._service.outcomes import EXPIRED


class Script:
    """A service that knows these tasks and leaves the others out."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["task_ids"]
        results = {task_id: self.known[task_id] for task_id in asked if task_id in self.known}
        answer = json.dumps({"response": "batch", "results": results})
        return httpx.Response(200, content=answer)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def client(script: Script) -> FuncXClient:
    transport = httpx.MockTransport(script)
    return FuncXClient("http://127.0.0.1:9", auth="t", transport=transport)


async def look(lookup: Lookup, client: FuncXClient, *, lost: bool = True) -> list[str | None]:
    found = await lookup.all_finished(client, ["a"], unknown_is_lost=lost)
    return [result.error_code for result in found]


async def test_a_task_that_answers_keep_leaving_out_is_lost(client: FuncXClient):
    lookup = Lookup()
    for _ in range(ABSENCES_BEFORE_LOST - 1):
        assert await look(lookup, client) == []
    assert await look(lookup, client) == [EXPIRED]


async def test_a_task_that_was_left_out_for_a_moment_is_not_lost(
    client: FuncXClient, script: Script
):
    lookup = Lookup()
    for _ in range(ABSENCES_BEFORE_LOST - 1):
        assert await look(lookup, client) == []
    script.known["a"] = {"task_id": "a", "status": "running"}
    assert await look(lookup, client) == []
    del script.known["a"]
    assert await look(lookup, client) == []
    script.known["a"] = {"task_id": "a", "status": "success", "result": "00"}
    assert await look(lookup, client) == [None]


async def test_where_a_result_may_still_come_another_way_nothing_is_lost(client: FuncXClient):
    lookup = Lookup()
    for _ in range(2 * ABSENCES_BEFORE_LOST):
        assert await look(lookup, client, lost=False) == []


async def test_entry_that_cannot_be_read_holds_up_no_other_task(
    client: FuncXClient, script: Script
):
    script.known["bad"] = {"task_id": "bad", "status": "success", "result": 5}
    script.known["a"] = {"task_id": "a", "status": "failed", "exception": "File \udce9.py"}
    found = await Lookup().all_finished(client, ["bad", "a"], unknown_is_lost=True)
    assert [(result.task_id, result.error_code) for result in found] == [
        ("bad", UNREADABLE),
        ("a", "RemoteExecutionError"),
    ]
    assert found[1].data == r"File \udce9.py"
