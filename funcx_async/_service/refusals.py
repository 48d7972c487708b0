"""Error documents of the service into errors.

Pure: no HTTP library in here, so that every refusal can be tried by a plain call.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from funcx_async._net.http import retry_after
from funcx_async.auth.login import login_command
from funcx_async.errors import (
    AuthenticationFailed,
    Forbidden,
    FuncXError,
    NotFound,
    RequestRefused,
    ResponseLost,
    ServiceUnavailable,
    TooLarge,
    printable,
)

_REFUSALS: dict[int | None, type[RequestRefused]] = {
    401: AuthenticationFailed,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
}

_REMEDIES = {
    AuthenticationFailed: "The token is missing, wrong or expired: give FuncXClient a fresh one.",
    TooLarge: "Send less at once, or keep large objects elsewhere and send their names.",
}

_REQUEST_ID_HEADERS = ("x-request-id", "x-globus-request-id", "x-amzn-requestid")
"""Where services, and what stands before them, put their number for a request."""

_DEMANDS = {
    "session_required_identities": "as {}",
    "session_required_single_domain": "with an identity of {}",
    "session_required_policies": "under the policy {}",
    "session_required_mfa": "with a second factor",
    "required_scopes": "with consent to {}",
    "prompt": "with the password entered again",
}
"""What a further login can have to bring, in words."""


def refusal(
    what: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> FuncXError:
    """Return the error for an answer of ``status`` 300 or more.

    Args:
        what: the request in words, such as ``registering a function``.
        status: the HTTP status.
        headers: the answer's headers, by lower-case name.
        body: the answer's body, whatever it is.
        now: the time, to count a Retry-After date from.
    """
    document = _document(body)
    code = code_name(document.get("code"))
    reason = _reason(document)
    request_id = _request_id(document, headers)
    told = f"{status}{f' {code}' if code else ''}{f': {reason}' if reason else ''}"
    if request_id:
        told += f"; request {request_id}"
    demands = document.get("authorization_parameters")
    if isinstance(demands, dict) and status >= 400:  # whatever the status
        return AuthenticationFailed(
            f"The service refused {what} ({told}). {_in_words(demands)}",
            code=code,
            reason=reason,
            authorization_parameters=demands,
            request_id=request_id,
        )
    if status in (429, 503):
        return ServiceUnavailable(
            f"The service is too busy for {what} ({told}).",
            retry_after=retry_after(headers.get("retry-after"), now),
            request_id=request_id,
        )
    if status in (301, 302, 307, 308):
        location = headers.get("location")
        target = f" to {location[:200]!r}" if location else ""
        return RequestRefused(
            f"The service redirects {what}{target} ({told}), which is not followed: give the "
            "address that it redirects to as the service's URL.",
            status=status,
            code=code,
            reason=reason,
            request_id=request_id,
        )
    if status >= 500 or status < 400:
        return ResponseLost(f"The service failed while {what} ({told}).", request_id=request_id)
    error = _kind(status, code)
    return error(
        f"The service refused {what} ({told}). {_REMEDIES.get(error, '')}".strip(),
        status=status,
        code=code,
        reason=reason,
        request_id=request_id,
    )


def task_refusal(document: Mapping[str, Any], what: str) -> RequestRefused | None:
    """Return why one task of a classic submit was refused, or None if it was accepted.

    Args:
        document: what the answer has for this task.
        what: the request in words.
    """
    code = code_name(document.get("code"))
    status = document.get("http_status_code")
    if not isinstance(status, int):
        status = status_of(code) or (200 if document.get("task_uuid") else 400)
    word = str(document.get("status") or ("success" if status < 300 else "failed")).lower()
    if word == "success":
        return None
    reason = _reason(document) or "the service gives no reason"
    return _kind(status, code)(
        f"The service refused this task alone, {what} ({status}{f' {code}' if code else ''}: "
        f"{reason}).",
        status=status,
        code=code,
        reason=reason,
        task_id=document.get("task_uuid"),
    )


def _kind(status: int, code: str | None) -> type[RequestRefused]:
    """The error by what the caller can do; the code tells it better than the status does."""
    if (code or "").upper() == "INSUFFICIENT_AUTH_SCOPE":
        return AuthenticationFailed  # another login helps, asking for access does not
    return _REFUSALS.get(status_of(code)) or _REFUSALS.get(status, RequestRefused)


def _document(body: bytes) -> dict[str, Any]:
    """What the body tells, also where it is wrapped once more."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"reason": body[:200].decode("utf-8", "replace").strip()}
    if not isinstance(document, dict):
        return {}
    wrapped = document.get("errors")
    inner = wrapped[0] if isinstance(wrapped, list) and wrapped else document.get("detail")
    return document | inner if isinstance(inner, dict) else document


def _reason(document: Mapping[str, Any]) -> str:
    """The sentence for people; validation errors of the newer routes are lists."""
    detail = document.get("detail")
    if isinstance(detail, list):
        entries = [entry for entry in detail if isinstance(entry, dict)]
        told = (f"{_place(entry.get('loc'))}: {entry.get('msg')}" for entry in entries)
        return printable("; ".join(told))
    texts = (document.get(name) for name in ("reason", "detail", "message", "title"))
    return printable(next((text for text in texts if text and isinstance(text, str)), ""))


def _place(loc: object) -> str:
    return ".".join(str(part) for part in loc) if isinstance(loc, list) else str(loc or "body")


def _request_id(document: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    told = (document.get("request_id"), *(headers.get(name) for name in _REQUEST_ID_HEADERS))
    return next((printable(text) for text in told if text and isinstance(text, str)), None)


def _in_words(demands: Mapping[str, Any]) -> str:
    """What a further login has to bring."""
    parts = []
    for name, words in _DEMANDS.items():
        value = demands.get(name)
        if value:
            several = value if isinstance(value, list) else [value]
            parts.append(words.format(" or ".join(str(each) for each in several)))
    message = demands.get("session_message")
    told = f" ({message})" if message and isinstance(message, str) else ""
    return (
        f"It wants a further login{told}{', ' if parts else ''}{', '.join(parts)}: run "
        f"`{login_command(demands)}`, or log in so in another way and give FuncXClient the new "
        "token; `authorization_parameters` of this error are what Globus's own login takes."
    )


# Error codes

_CODES = {
    0: ("UNKNOWN_ERROR", 500),
    1: ("USER_UNAUTHENTICATED", 401),
    2: ("USER_NOT_FOUND", 404),
    3: ("FUNCTION_NOT_FOUND", 404),
    4: ("ENDPOINT_NOT_FOUND", 404),
    5: ("CONTAINER_NOT_FOUND", 404),
    6: ("TASK_NOT_FOUND", 404),
    7: ("AUTH_GROUP_NOT_FOUND", 404),
    8: ("FUNCTION_ACCESS_FORBIDDEN", 403),
    9: ("ENDPOINT_ACCESS_FORBIDDEN", 403),
    10: ("FUNCTION_NOT_PERMITTED", 403),
    11: ("ENDPOINT_ALREADY_REGISTERED", 403),
    12: ("FORWARDER_REGISTRATION_ERROR", 502),
    13: ("FORWARDER_CONTACT_ERROR", 502),
    14: ("ENDPOINT_STATS_ERROR", 500),
    15: ("LIVENESS_STATS_ERROR", 502),
    16: ("REQUEST_KEY_ERROR", 400),
    17: ("REQUEST_MALFORMED", 400),
    18: ("INTERNAL_ERROR", 500),
    19: ("ENDPOINT_OUTDATED", 400),
    20: ("TASK_GROUP_NOT_FOUND", 404),
    21: ("TASK_GROUP_ACCESS_FORBIDDEN", 403),
    22: ("INVALID_UUID", 400),
    23: ("INVALID_AUTH_TOKEN", 401),
    24: ("INSUFFICIENT_AUTH_SCOPE", 403),
    25: ("RESOURCE_LOCKED", 423),
    26: ("RESOURCE_CONFLICT", 409),
    27: ("BATCH_RUN_TOO_LARGE", 413),
    28: ("TASK_PAYLOAD_TOO_LARGE", 413),
    29: ("CONTAINER_SERVICE_NOT_PERMITTED", 403),
    30: ("FUNCTION_TOO_LARGE", 413),
}
"""The service's error codes, numbers until December 2022 and names since, with the HTTP status."""

_STATUS_OF = dict(_CODES.values())


def code_name(code: object) -> str | None:
    """Return the name of a code, however the service spells it; None for None.

    Example:
        >>> code_name(3), code_name("3"), code_name("FUNCTION_NOT_FOUND"), code_name(99)
        ('FUNCTION_NOT_FOUND', 'FUNCTION_NOT_FOUND', 'FUNCTION_NOT_FOUND', '99')
    """
    if code is None:
        return None
    text = str(code)
    number = int(text) if len(text) < 4 and text.isascii() and text.isdigit() else -1
    return _CODES[number][0] if number in _CODES else printable(text)


def status_of(name: str | None) -> int | None:
    """Return the HTTP status of a code by its name; None for an unknown one.

    Example:
        >>> status_of("FUNCTION_NOT_FOUND"), status_of("SOMETHING_ELSE")
        (404, None)
    """
    return None if name is None else _STATUS_OF.get(name.upper())
