"""What the service's answers mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from funcx_async.answers import BatchStatus, Submitted, TaskDocument, TaskGroup, read, refusal
from funcx_async.errors import (
    AnswerIncomplete,
    AnswerLost,
    AnswerNotUnderstood,
    AuthenticationFailed,
    Forbidden,
    NotFound,
    RequestRefused,
    ServiceUnavailable,
    TooLarge,
)
from funcx_async.models import Result, TaskStatus

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def refused(status: int, document: object = None, **headers: str):
    body = b"" if document is None else json.dumps(document).encode()
    return refusal("trying", status, headers, body, NOW)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (401, AuthenticationFailed),
        (403, Forbidden),
        (404, NotFound),
        (409, RequestRefused),
        (413, TooLarge),
        (422, RequestRefused),
        (423, RequestRefused),
        (429, ServiceUnavailable),
        (503, ServiceUnavailable),
        (500, AnswerLost),
        (502, AnswerLost),
        (504, AnswerLost),
        (302, AnswerLost),
    ],
)
def test_every_status_has_its_error(status, kind):
    error = refused(status, {"reason": "because", "code": "SOME_CODE"})
    assert type(error) is kind
    assert "because" in str(error)
    assert "SOME_CODE" in str(error)
    assert "trying" in str(error)


def test_a_refusal_keeps_what_the_service_says():
    error = refused(
        404,
        {"code": "ENDPOINT_NOT_FOUND", "reason": "no such endpoint", "request_id": "r-1"},
    )
    assert isinstance(error, NotFound)
    assert (error.status, error.code, error.reason) == (
        404,
        "ENDPOINT_NOT_FOUND",
        "no such endpoint",
    )
    assert error.request_id == "r-1"


def test_old_numeric_codes_become_names():
    error = refused(404, {"code": 4, "reason": "x"})
    assert isinstance(error, NotFound)
    assert error.code == "ENDPOINT_NOT_FOUND"


def test_validation_errors_of_the_newer_routes_are_told():
    error = refused(422, {"detail": [{"loc": ["body", "tasks"], "msg": "field required"}]})
    assert "body.tasks: field required" in str(error)


def test_step_up_authentication_asks_for_a_login_whatever_the_status():
    error = refused(
        403, {"code": "X", "reason": "mfa", "authorization_parameters": {"session_required_mfa": 1}}
    )
    assert isinstance(error, AuthenticationFailed)
    assert "login" in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("0.5", 0.5, id="fraction"),
        pytest.param("Mon, 23 Nov 2026 12:00:30 GMT", 30.0, id="date"),
        pytest.param("Mon, 23 Nov 2026 11:00:00 GMT", 0.0, id="date in the past"),
        pytest.param("-3", 0.0, id="negative"),
        pytest.param("1e9", 3600.0, id="absurd"),
        pytest.param("nan", None, id="no number"),
        pytest.param("soon", None, id="no date"),
        pytest.param("Mon, 23 Nov 2026 12:00:30", None, id="date without a zone"),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    error = refused(429, {}, **{"retry-after": value})
    assert isinstance(error, ServiceUnavailable)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Bad Gateway</html>", b"\xff\xfe", b"[1, 2]", b'"text"', b"[" * 100_000],
    ids=["empty", "html", "bytes", "list", "text", "deep"],
)
def test_a_refusal_without_a_document_is_an_error_all_the_same(body):
    assert isinstance(refusal("trying", 502, {}, body, NOW), AnswerLost)


def test_answers_are_read_and_unknown_fields_ignored():
    answer = read(b'{"task_group_id":"g","tasks":{"f":["t"]},"new":1}', Submitted, "x")
    assert (answer.task_group_id, answer.tasks, answer.request_id) == ("g", {"f": ["t"]}, None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"<html>", AnswerNotUnderstood, id="no JSON"),
        pytest.param(b'{"tasks":[', AnswerNotUnderstood, id="cut"),
        pytest.param(b"[" * 100_000, AnswerNotUnderstood, id="deep"),
        pytest.param(b'{"taskgroup_id":1,"tasks":[]}', AnswerNotUnderstood, id="wrong type"),
        pytest.param(b'{"taskgroup_id":"g"}', AnswerIncomplete, id="field missing"),
        pytest.param(b'{"taskgroup_id":"g","tasks":[{}]}', AnswerIncomplete, id="id missing"),
    ],
)
def test_what_is_not_the_protocol_is_said_to_be_so(body, kind):
    with pytest.raises(kind, match="root of a funcX service"):
        read(body, TaskGroup, "listing")


def test_an_incomplete_answer_is_both_a_key_error_and_a_value_error():
    assert issubclass(AnswerIncomplete, KeyError)
    assert issubclass(AnswerIncomplete, ValueError)
    assert str(AnswerIncomplete("a sentence")) == "a sentence"


def test_what_cannot_be_understood_does_not_show_the_answers_secrets():
    with pytest.raises(AnswerNotUnderstood) as caught:
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
