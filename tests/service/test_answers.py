"""What the service's answers mean."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Generator
from functools import cache
from typing import Any, ClassVar

import httpx
import pytest

from funcx_async import FuncXClient, NotFound
from funcx_async._net.http import MAX_BODY_BYTES
from funcx_async._service.answers import BatchStatus, Submitted, TaskDocument, TaskGroup, read
from funcx_async._service.outcomes import value_of
from funcx_async._service.rest import MAX_REFUSAL_BYTES
from funcx_async.errors import DeserializationError, ResponseIncomplete, ResponseNotUnderstood
from funcx_async.models import Result, TaskStatus


def test_answers_are_read_and_unknown_fields_ignored():
    answer = read(b'{"task_group_id":"g","tasks":{"f":["t"]},"new":1}', Submitted, "x")
    assert (answer.task_group_id, answer.tasks, answer.request_id) == ("g", {"f": ["t"]}, None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"<html>", ResponseNotUnderstood, id="no JSON"),
        pytest.param(b'{"tasks":[', ResponseNotUnderstood, id="cut"),
        pytest.param(b"[" * 100_000, ResponseNotUnderstood, id="deep"),
        pytest.param(b'{"taskgroup_id":1,"tasks":[]}', ResponseNotUnderstood, id="wrong type"),
        pytest.param(b'{"taskgroup_id":"g"}', ResponseIncomplete, id="field missing"),
        pytest.param(b'{"taskgroup_id":"g","tasks":[{}]}', ResponseIncomplete, id="id missing"),
    ],
)
def test_what_is_not_the_protocol_is_said_to_be_so(body, kind):
    with pytest.raises(kind, match="root of a funcX service"):
        read(body, TaskGroup, "listing")


def test_an_incomplete_answer_is_both_a_key_error_and_a_value_error():
    assert issubclass(ResponseIncomplete, KeyError)
    assert issubclass(ResponseIncomplete, ValueError)
    assert str(ResponseIncomplete("a sentence")) == "a sentence"


def test_what_cannot_be_understood_does_not_show_the_answers_secrets():
    with pytest.raises(ResponseNotUnderstood) as caught:
        read(b'{"taskgroup_id": 1, "connection_url": "amqp://u:secret@h/"}', TaskGroup, "x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        pytest.param(
            {"status": "success", "result": "00\nx", "completion_t": "1.5", "details": {"os": "L"}},
            TaskStatus("t", "success", Result("t", "00\nx", None, "1.5", {"os": "L"})),
            id="value",
        ),
        pytest.param(
            {"status": "failed", "exception": "Traceback", "completion_t": 1.5},
            TaskStatus("t", "failed", Result("t", "Traceback", "RemoteExecutionError", "1.5")),
            id="exception",
        ),
        pytest.param({"status": "waiting-for-ep"}, TaskStatus("t", "waiting-for-ep"), id="pending"),
        pytest.param(
            {"status": "Failed", "reason": "Unknown task id"},
            TaskStatus("t", "failed", None, "Unknown task id"),
            id="unknown",
        ),
    ],
)
def test_task_documents_become_records(document, status):
    answer = read(json.dumps({"results": {"t": document}}).encode(), BatchStatus, "x")
    assert answer.results["t"].to_status("t") == status


def test_only_a_task_without_outcome_that_has_not_failed_is_pending():
    assert TaskDocument(status="running").to_status("t").pending
    assert not TaskDocument(status="success").to_status("t").pending, "its result is gone"
    assert not TaskDocument(status="success", result="x").to_status("t").pending
    assert not TaskDocument(status="Failed", reason="Unknown task id").to_status("t").pending


# Answers of which one entry cannot be read --------------------------------------------------------


def statuses(**entries: str) -> dict[str, TaskStatus]:
    """Read the answer to a batch of ids, each entry as it is written."""
    written = ", ".join(f'"{task_id}": {entry}' for task_id, entry in entries.items())
    body = b'{"response": "batch", "results": {%b}}' % written.encode("latin-1")
    return {
        task_id: document.to_status(task_id)
        for task_id, document in read(body, BatchStatus, "this").results.items()
    }


GOOD = '{"status": "success", "result": "00", "details": {"os": "x"}}'
IS_GOOD = TaskStatus("good", "success", Result("good", "00", None, None, {"os": "x"}))


@pytest.mark.parametrize(
    "entry", ['{"status": "success", "result": 5}', '{"exception": ["x"]}', "[]", "5", '"x"']
)
def test_an_entry_that_cannot_be_read_fails_its_task_alone(entry: str):
    answer = statuses(good=GOOD, bad=entry)
    assert answer["good"] == IS_GOOD
    bad = answer["bad"]
    assert not bad.pending
    assert bad.result is not None
    with pytest.raises(DeserializationError, match="the task bad cannot be read") as caught:
        value_of(bad.result, str)
    assert (caught.value.task_id, caught.value.payload) == ("bad", entry)


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ('{"status": "running", "details": []}', TaskStatus("odd", "running")),
        ('{"status": 5, "completion_t": {}}', TaskStatus("odd", "")),
        (
            '{"status": "success", "result": "01", "reason": 3, "details": "none"}',
            TaskStatus("odd", "success", Result("odd", "01")),
        ),
    ],
)
def test_fields_of_another_type_are_left_out(entry: str, status: TaskStatus):
    assert statuses(good=GOOD, odd=entry) == {"good": IS_GOOD, "odd": status}
    document = read(entry.encode(), TaskDocument, "this")
    assert document.to_status("odd") == status


@pytest.mark.parametrize("text", [r"File \udce9.py", "File \xe9.py"])
def test_text_that_is_no_unicode_is_written_with_backslashes(text: str):
    entry = f'{{"status": "failed", "exception": "{text}"}}'
    answer = statuses(good=GOOD, bad=entry)
    assert answer["good"] == IS_GOOD
    assert answer["bad"].result == Result("bad", r"File \udce9.py", "RemoteExecutionError")
    assert read(entry.encode("latin-1"), TaskDocument, "this").exception == r"File \udce9.py"


# Answers that are too long -----------------------------------------------------------------------


class Sending(httpx.AsyncByteStream):
    """A body that is sent in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def sending(
    *pieces: bytes, status: int = 200, encoding: str = "gzip", auth: Any = "x"
) -> FuncXClient:
    """A client of a service that sends these pieces as every answer."""
    headers = {"Content-Encoding": encoding}
    transport = httpx.MockTransport(
        lambda request: httpx.Response(status, headers=headers, stream=Sending(*pieces))
    )
    return FuncXClient("https://service.test", auth=auth, transport=transport)


@cache
def bomb(size: int) -> list[bytes]:
    """A compressed JSON text of a size, in pieces as a socket gives them."""
    packed = gzip.compress(b'"' + b" " * size + b'"')
    return [packed[at : at + 65_536] for at in range(0, len(packed), 65_536)]


@pytest.mark.parametrize(
    ("pieces", "encoding"),
    [
        pytest.param(bomb(MAX_BODY_BYTES), "gzip", id="grows when decompressed"),
        pytest.param([gzip.compress(gzip.compress(b"{}"))], "gzip, gzip", id="compressed twice"),
    ],
)
async def test_an_answer_that_breaks_the_limit_fails_its_request_by_name(
    pieces: list[bytes], encoding: str
):
    tracemalloc.start()
    try:
        with pytest.raises(ResponseNotUnderstood, match="asking for the version was not read"):
            await sending(*pieces, encoding=encoding).get_version()
        assert tracemalloc.get_traced_memory()[1] < 1.5 * MAX_BODY_BYTES
    finally:
        tracemalloc.stop()


async def test_a_refusal_with_an_endless_reason_is_still_a_refusal():
    with pytest.raises(NotFound):
        await sending(*bomb(2 * MAX_REFUSAL_BYTES), status=404).get_task("t")


async def test_many_results_that_are_too_long_together_are_asked_for_in_smaller_requests():
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["task_ids"]
        asked.append(len(ids))
        if len(ids) > 2:
            return httpx.Response(
                200, headers={"Content-Encoding": "gzip"}, stream=Sending(*bomb(MAX_BODY_BYTES))
            )
        return httpx.Response(200, json={"results": {each: {"status": "success"} for each in ids}})

    transport = httpx.MockTransport(handle)
    client = FuncXClient("https://service.test", auth="x", transport=transport)
    statuses = await client.get_batch_status(["a", "b", "c", "d"])
    assert list(statuses) == ["a", "b", "c", "d"]
    assert asked == [4, 2, 2]


NESTED = b"[" * 9_999 + b"]" * 9_999


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(gzip.compress(b'{"results": {"bad": %b}}' % NESTED), id="nested"),
        pytest.param(b"".join(bomb(MAX_BODY_BYTES)), id="too long"),
    ],
)
async def test_a_task_whose_state_cannot_be_read_at_all_fails_alone(bad: bytes):
    def handle(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["task_ids"]
        if "bad" in ids:
            pieces = [bad[at : at + 65_536] for at in range(0, len(bad), 65_536)]
            return httpx.Response(
                200, headers={"Content-Encoding": "gzip"}, stream=Sending(*pieces)
            )
        return httpx.Response(200, json={"results": {each: {"status": "running"} for each in ids}})

    transport = httpx.MockTransport(handle)
    client = FuncXClient("https://service.test", auth="x", transport=transport)
    statuses = await client.get_batch_status(["a", "b", "bad", "c"])
    assert [task_id for task_id in statuses if statuses[task_id].pending] == ["a", "b", "c"]
    with pytest.raises(DeserializationError, match="the task bad cannot be read"):
        statuses["bad"]["result"]


async def test_credentials_that_read_the_answer_are_given_it_decompressed():
    class Reading(httpx.Auth):
        requires_response_body = True
        bodies: ClassVar[list[bytes]] = []

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
            response = yield request
            self.bodies.append(response.content)

    body = gzip.compress(b'{"api": "1"}')
    assert await sending(body, auth=Reading()).get_version() == {"api": "1"}
    assert Reading.bodies == [b'{"api": "1"}']


@pytest.mark.parametrize("status", [200, 404])
async def test_an_answer_that_is_not_utf_8_is_an_error_of_ours(status: int):
    with pytest.raises(ResponseNotUnderstood if status == 200 else NotFound):
        await sending(b'{"api": \xff}', status=status, encoding="identity").get_version()
