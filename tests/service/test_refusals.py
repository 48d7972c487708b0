"""What becomes of everything that the service can refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from funcx_async._service.refusals import refusal, task_refusal
from funcx_async.errors import (
    AuthenticationFailed,
    Forbidden,
    NotFound,
    RequestRefused,
    ResponseLost,
    ServiceUnavailable,
    TooLarge,
)

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
        (500, ResponseLost),
        (502, ResponseLost),
        (504, ResponseLost),
        (302, RequestRefused),
        (303, ResponseLost),
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
    assert isinstance(refusal("trying", 502, {}, body, NOW), ResponseLost)


CODES = [
    (0, "UNKNOWN_ERROR", 500, ResponseLost),
    (1, "USER_UNAUTHENTICATED", 401, AuthenticationFailed),
    (2, "USER_NOT_FOUND", 404, NotFound),
    (3, "FUNCTION_NOT_FOUND", 404, NotFound),
    (4, "ENDPOINT_NOT_FOUND", 404, NotFound),
    (5, "CONTAINER_NOT_FOUND", 404, NotFound),
    (6, "TASK_NOT_FOUND", 404, NotFound),
    (7, "AUTH_GROUP_NOT_FOUND", 404, NotFound),
    (8, "FUNCTION_ACCESS_FORBIDDEN", 403, Forbidden),
    (9, "ENDPOINT_ACCESS_FORBIDDEN", 403, Forbidden),
    (10, "FUNCTION_NOT_PERMITTED", 403, Forbidden),
    (11, "ENDPOINT_ALREADY_REGISTERED", 403, Forbidden),
    (12, "FORWARDER_REGISTRATION_ERROR", 502, ResponseLost),
    (13, "FORWARDER_CONTACT_ERROR", 502, ResponseLost),
    (14, "ENDPOINT_STATS_ERROR", 500, ResponseLost),
    (15, "LIVENESS_STATS_ERROR", 502, ResponseLost),
    (16, "REQUEST_KEY_ERROR", 400, RequestRefused),
    (17, "REQUEST_MALFORMED", 400, RequestRefused),
    (18, "INTERNAL_ERROR", 500, ResponseLost),
    (19, "ENDPOINT_OUTDATED", 400, RequestRefused),
    (20, "TASK_GROUP_NOT_FOUND", 404, NotFound),
    (21, "TASK_GROUP_ACCESS_FORBIDDEN", 403, Forbidden),
    (22, "INVALID_UUID", 400, RequestRefused),
    (23, "INVALID_AUTH_TOKEN", 401, AuthenticationFailed),
    (24, "INSUFFICIENT_AUTH_SCOPE", 403, AuthenticationFailed),
    (25, "RESOURCE_LOCKED", 423, RequestRefused),
    (26, "RESOURCE_CONFLICT", 409, RequestRefused),
    (27, "BATCH_RUN_TOO_LARGE", 413, TooLarge),
    (28, "TASK_PAYLOAD_TOO_LARGE", 413, TooLarge),
    (29, "CONTAINER_SERVICE_NOT_PERMITTED", 403, Forbidden),
    (30, "FUNCTION_TOO_LARGE", 413, TooLarge),
]


@pytest.mark.parametrize(("number", "name", "status", "kind"), CODES, ids=[c[1] for c in CODES])
def test_every_code_is_an_error_by_number_and_by_name(number, name, status, kind):
    for spelling in (number, str(number), name):
        error = refused(status, {"code": spelling, "reason": "because"})
        assert type(error) is kind
        assert name in str(error)
        if isinstance(error, RequestRefused):
            assert (error.code, error.status) == (name, status)


@pytest.mark.parametrize(("number", "name", "status", "kind"), CODES, ids=[c[1] for c in CODES])
def test_a_code_alone_tells_the_error_of_one_task(number, name, status, kind):
    for spelling in (number, str(number), name):
        error = task_refusal({"status": "Failed", "code": spelling}, "submitting")
        assert error is not None
        assert error.status == status
        assert type(error) is (RequestRefused if kind is ResponseLost else kind)


def test_a_code_tells_more_than_a_status_that_fits_less():
    assert isinstance(refused(422, {"code": "FUNCTION_NOT_FOUND"}), NotFound)
    assert isinstance(refused(400, {"code": 9}), Forbidden)
    assert isinstance(refused(404, {"code": "INVALID_UUID"}), NotFound)


@pytest.mark.parametrize("code", ["9" * 9_000, 31, -1, "NEWER_CODE", [4], {}, True, "\u00b2"])
def test_an_unknown_code_is_kept_as_it_is(code):
    error = refused(400, {"code": code, "reason": "because"})
    assert type(error) is RequestRefused
    assert error.code == str(code)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"detail": [{"loc": None, "msg": "is bad"}]}, id="no place"),
        pytest.param({"detail": [{"loc": "tasks", "msg": "is bad"}]}, id="place is a text"),
        pytest.param({"detail": ["x", {"loc": ["body", 3], "msg": "is bad"}]}, id="no document"),
        pytest.param({"detail": {"reason": "it is bad"}}, id="wrapped in detail"),
        pytest.param({"errors": [{"code": "X", "detail": "it is bad"}]}, id="in a list"),
        pytest.param({"title": "it is bad", "message": None}, id="title"),
    ],
)
def test_the_reason_is_found_wherever_it_is(document):
    error = refused(422, document)
    assert type(error) is RequestRefused
    assert "is bad" in error.reason
    assert "is bad" in str(error)


@pytest.mark.parametrize("header", ["x-request-id", "x-globus-request-id", "x-amzn-requestid"])
@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_the_number_of_the_request_is_found_in_the_headers_too(status, header):
    error = refused(status, {"request_id": None}, **{header: "r-2"})
    assert error.request_id == "r-2"
    assert "request r-2" in str(error)
    assert refused(status, {"request_id": "r-1"}, **{header: "r-2"}).request_id == "r-1"


def test_a_further_login_is_told_in_words_and_its_parameters_are_kept():
    demands = {
        "session_message": "This endpoint is protected.",
        "session_required_mfa": True,
        "session_required_single_domain": ["lab.test", "uni.test"],
        "session_required_identities": None,
        "required_scopes": ["scope-a"],
    }
    for document in (
        {"code": "ConsentRequired", "authorization_parameters": demands},
        {"detail": {"code": "ConsentRequired", "authorization_parameters": demands}},
        {"errors": [{"code": "ConsentRequired", "authorization_parameters": demands}]},
    ):
        error = refused(403, document)
        assert isinstance(error, AuthenticationFailed)
        assert error.authorization_parameters == demands
        assert error.code == "ConsentRequired"
        for words in (
            "This endpoint is protected.",
            "with a second factor",
            "an identity of lab.test or uni.test",
            "consent to scope-a",
        ):
            assert words in str(error)


@pytest.mark.parametrize("demands", [None, "mfa", ["mfa"]])
def test_parameters_of_a_login_that_are_none_ask_for_no_login(demands):
    assert isinstance(refused(403, {"authorization_parameters": demands}), Forbidden)


def test_what_the_service_writes_does_not_control_a_terminal():
    document = {"code": "NO\x1b[2J", "reason": "gone\rback", "request_id": "r\x07"}
    error = refused(400, document)
    assert (error.code, error.reason, error.request_id) == (r"NO\x1b[2J", r"gone\rback", r"r\x07")
    assert "\x1b" not in str(error)
    validation = {"detail": [{"loc": ["a\x1b"], "msg": "b\x1b"}]}
    assert refused(422, validation).reason == r"a\x1b: b\x1b"
