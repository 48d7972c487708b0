"""What each observation means and what to do about it: plain functions without I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from funcx_async._net.environment import (
    ENDPOINT_VARIABLE,
    SERVICE_URL_VARIABLE,
    VERIFY_VARIABLE,
)
from funcx_async._net.proxies import Proxy, Refusal
from funcx_async._session.endpoints import EndpointVersions
from funcx_async._versions import is_older
from funcx_async.auth.login import login_command
from funcx_async.doctor.credentials import Credentials
from funcx_async.doctor.network import ConnectFailure
from funcx_async.doctor.report import Finding
from funcx_async.errors import (
    AuthenticationFailed,
    Forbidden,
    FuncXError,
    NotFound,
    TaskExecutionFailed,
    last_error,
)
from funcx_async.models import EndpointStatus

CERTIFICATE_WARNING = 14 * 86_400.0
"""Seconds before its expiry from which a certificate is warned about."""

CLOCK_TOLERANCE = 30.0
"""Seconds by which the clocks may differ without a warning."""

CLOCK_LIMIT = 300.0
"""Seconds of difference from which tokens and certificates are rejected."""

SCOPE_CODE = "INSUFFICIENT_AUTH_SCOPE"

TRY_AGAIN = "Try again. If the error persists, contact the operator of the service."
"""The remedy for failures with no cause on this side."""

_CHECK_URL = f"Check the URL in --service or {SERVICE_URL_VARIABLE}."
_SET_PROXY = "If this network requires a proxy, set HTTPS_PROXY=http://host:port."
_POLLING = "Results are polled over HTTP instead, which is slower."

_EXPIRY_CODES = (9, 10)
_HOST_NAME_CODES = (62, 63, 64)


# The connection to the service ------------------------------------------------------------------


def of_proxy(
    proxy: Proxy | None, failure: ConnectFailure | None, *, loopback: bool = False
) -> Finding:
    """Judge whether the configured proxy can be reached.

    Args:
        proxy: the proxy; None if none is configured.
        failure: why it cannot be reached.
        loopback: whether the service runs on this machine.
    """
    if proxy is None and loopback:
        return Finding("OK", "No proxy is used: the service runs on this machine.")
    if proxy is None:
        return Finding("OK", "No proxy is configured.")
    if failure is None:
        return Finding("OK", f"Using {proxy}.")
    return Finding(
        "FAIL",
        sentence(f"{proxy} cannot be reached ({failure.reason})"),
        f"Correct {proxy.source}, or unset it if no proxy is needed. NO_PROXY lists hosts to "
        "connect to directly.",
    )


def of_dns(host: str, addresses: int, failure: ConnectFailure | None) -> Finding:
    """Judge whether DNS knows the service.

    Args:
        host: the name of the service.
        addresses: how many addresses it has.
        failure: why the lookup failed.
    """
    if failure is None:
        count = "one address" if addresses == 1 else f"{addresses} addresses"
        return Finding("OK", f"{host} has {count}.")
    if failure.kind == "timeout":
        found = f"DNS lookup of {host} timed out."
        return Finding("FAIL", found, f"Check the network and its DNS server. {_SET_PROXY}")
    found = f"DNS lookup of {host} failed ({failure.reason})."
    return Finding("FAIL", found, f"{_CHECK_URL} {_SET_PROXY}")


def of_port(host: str, port: int, failure: ConnectFailure | None) -> Finding:
    """Judge whether the port of the service accepts connections."""
    name = f"Port {port} of {host}"
    if failure is None:
        return Finding("OK", f"{name} accepts connections.")
    if failure.refusal is not None:
        return of_refusal(failure.refusal)
    if failure.kind == "refused":
        return Finding(
            "FAIL",
            f"{name} refuses connections: nothing listens there, or a firewall rejects them.",
            f"Start the service or correct the port. {_CHECK_URL} {_SET_PROXY}",
        )
    return Finding(
        "FAIL",
        f"{name} cannot be reached ({failure.reason}).",
        f"Allow outbound connections to it in the firewall. {_SET_PROXY}",
    )


def of_certificate(
    host: str, failure: ConnectFailure | None, expires_at: float | None, now: float
) -> Finding:
    """Judge whether the certificate of the service is accepted.

    Args:
        host: the name of the service.
        failure: why the TLS handshake failed.
        expires_at: when the certificate expires, in Unix seconds.
        now: the current time, in Unix seconds.
    """
    if failure is None:
        return _of_expiry(expires_at, now)
    if failure.refusal is not None:
        return of_refusal(failure.refusal)
    if failure.kind == "certificate":
        return _of_rejected_certificate(host, failure, now)
    return Finding(
        "FAIL",
        f"TLS handshake with {host} failed ({failure.reason}).",
        f"Check whether the URL needs http:// instead of https://, or another port. {_CHECK_URL}",
    )


def of_service(status: int, body: bytes, sdk_name: str, sdk_version: str) -> Finding:
    """Judge whether the server is a funcX service that supports this version.

    Args:
        status: the HTTP status of its response to a request for its version.
        body: the body of that response.
        sdk_name: the official client that this package is compatible with.
        sdk_version: the version of that client.
    """
    if status in (429, 500, 502, 503, 504):
        return Finding(
            "FAIL",
            f"The service returned {status}.",
            "Try again later. If the error persists, contact the operator of the service or of "
            "the proxy in between.",
        )
    document = _document(body)
    if not 200 <= status < 300 or "min_sdk_version" not in document:
        return Finding(
            "FAIL",
            f"The server is not a funcX service (it returned {status}).",
            f"{_CHECK_URL} It must be the root of the service, such as "
            "https://compute.api.globus.org. A captive portal (the login page of a network) can "
            "cause this as well.",
        )
    minimum = str(document["min_sdk_version"])
    if is_older(sdk_version, minimum):
        return Finding(
            "WARN",
            f"The service requires {sdk_name} {minimum} or later; this package is compatible with "
            f"{sdk_version}.",
            "Upgrade: pip install --upgrade funcx-async.",
        )
    return Finding("OK", f"A funcX service answered, version {document.get('api', 'unknown')}.")


def of_no_response(reason: str, proxy: Proxy | None) -> Finding:
    """Explain why there was no HTTP response.

    Args:
        reason: what went wrong.
        proxy: the proxy in use.
    """
    if proxy is not None:
        return Finding(
            "FAIL",
            f"Got no response from the service through {proxy}: {reason}.",
            f"Correct {proxy.source}, or ask the operator of the proxy to allow connections to "
            f"the service. {_CHECK_URL}",
        )
    return Finding(
        "FAIL",
        f"Connected, but got no HTTP response ({reason}).",
        "Check whether the port belongs to another program, or whether the URL needs https:// "
        f"instead of http://. {_CHECK_URL}",
    )


def of_clock(date: str | None, now: float) -> Finding:
    """Compare the clock of this machine with that of the service.

    Args:
        date: the ``Date`` header of a response.
        now: the time here when it arrived, in Unix seconds.
    """
    try:
        remote = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Finding("SKIP", "The service sends no date.")
    difference = now - remote
    if abs(difference) <= CLOCK_TOLERANCE:
        return Finding("OK", "The clock agrees with the clock of the service.")
    direction = "ahead of" if difference > 0 else "behind"
    found = f"The clock is {abs(difference):,.0f} s {direction} the clock of the service."
    remedy = "Synchronize it by NTP (timedatectl set-ntp true)."
    if abs(difference) <= CLOCK_LIMIT:
        return Finding("WARN", found, remedy)
    return Finding("FAIL", found, f"{remedy} Tokens and certificates fail with a wrong clock.")


def _of_expiry(expires_at: float | None, now: float) -> Finding:
    if expires_at is None:
        return Finding(
            "WARN",
            "Certificate verification is off: anyone on the network path can read and change the "
            "traffic.",
            f"Unset {VERIFY_VARIABLE}.",
        )
    expiry = _day(expires_at)
    if expires_at - now < CERTIFICATE_WARNING:
        return Finding(
            "WARN",
            f"The certificate expires soon, on {expiry}.",
            "The operator of the service must renew it before that date.",
        )
    return Finding("OK", f"The certificate is valid until {expiry}.")


def _of_rejected_certificate(host: str, failure: ConnectFailure, now: float) -> Finding:
    found = f"The certificate of {host} was rejected: {failure.reason}."
    if failure.code in _EXPIRY_CODES:
        return Finding(
            "FAIL",
            found,
            f"This machine's clock says {_day(now)}: set it if it is wrong. Otherwise the operator "
            "of the service must renew the certificate.",
        )
    if failure.code in _HOST_NAME_CODES:
        remedy = f"It was issued for another name. {_CHECK_URL}"
        return Finding("FAIL", found, f"{remedy} Otherwise the wrong server answers.")
    return Finding(
        "FAIL",
        found,
        "If the service or a firewall has its own certificate authority, get the certificate of "
        f"that authority and set {VERIFY_VARIABLE} and SSL_CERT_FILE to its file.",
    )


# What the service answers -----------------------------------------------------------------------


def of_login(error: FuncXError | None, credentials: Credentials) -> Finding:
    """Judge whether the service accepts the credentials.

    Args:
        error: what a request with them raised.
        credentials: the credentials.
    """
    name = credentials.name
    if error is None:
        return Finding("OK", f"The service accepts {name}.")
    if isinstance(error, AuthenticationFailed):
        return _of_rejected_login(error, credentials)
    if isinstance(error, Forbidden):
        return Finding(
            "FAIL",
            f"The service denies access with {name} ({error.reason}).",
            "Ask the operator of the service for access.",
        )
    return Finding("FAIL", str(error), TRY_AGAIN)


def _of_rejected_login(error: AuthenticationFailed, credentials: Credentials) -> Finding:
    if error.authorization_parameters:
        command = login_command(error.authorization_parameters)
        return Finding("FAIL", "The service requires another login.", f"Run `{command}`.")
    rejected = f"The service rejects {credentials.name}"
    if (error.code or "").upper() == SCOPE_CODE:
        return Finding(
            "FAIL",
            f"{rejected}: the token has the wrong scope ({error.code}).",
            f"{credentials.renewal} The token needs the scope of Globus Compute.",
        )
    if reason := ": ".join(word for word in (error.code, error.reason) if word):
        found = f"{rejected}: missing, wrong or expired ({reason})."
        return Finding("FAIL", found, credentials.renewal)
    first, _, rest = str(error).partition(". ")
    return Finding("FAIL", sentence(first), rest or credentials.renewal)


def of_missing_endpoint() -> Finding:
    """Report that no endpoint was given."""
    remedy = f"Set --endpoint or {ENDPOINT_VARIABLE}."
    return Finding("SKIP", "No endpoint was given.", remedy, blocks=True)


def of_endpoint(
    endpoint_id: str, status: EndpointStatus | None, error: FuncXError | None
) -> Finding:
    """Judge whether the endpoint exists, is online and may be used.

    Args:
        endpoint_id: its id.
        status: what the service says of it.
        error: why the service says nothing.
    """
    if isinstance(error, NotFound):
        return Finding(
            "FAIL",
            f"The service does not know the endpoint {endpoint_id}.",
            f"Check --endpoint or {ENDPOINT_VARIABLE}. `funcx-async endpoints --all` lists the "
            "endpoints that you may use.",
        )
    if isinstance(error, Forbidden):
        return Finding(
            "FAIL",
            f"You may not use the endpoint {endpoint_id} ({error.reason}).",
            "Ask its owner for access.",
        )
    if status is None:
        return Finding("FAIL", str(error), TRY_AGAIN)
    if status.status.lower() == "offline":
        return Finding(
            "FAIL",
            f"The endpoint {endpoint_id} is offline; its tasks wait.",
            "Start it on its machine with `globus-compute-endpoint start NAME`, or ask its owner.",
        )
    return Finding("OK", f"The endpoint {endpoint_id} is {status.status.lower()}.")


def of_versions(versions: EndpointVersions) -> Finding:
    """Compare the versions of Python and dill on both sides.

    Args:
        versions: the versions on the endpoint.
    """
    if differing := versions.mismatch():
        return Finding(
            "WARN",
            f"The endpoint has {differing}. Functions that are sent as source run anyway; others, "
            "and objects of your own classes, may fail.",
            "Use the same versions on both sides. `funcx_async.explain(function)` shows how a "
            "function is sent.",
        )
    if versions.python is None and versions.dill is None:
        found = "The service does not report the versions of the endpoint."
        return Finding("SKIP", found, "Run a task to find out: --task.")
    pairs = (("Python", versions.python), ("dill", versions.dill))
    same = " and ".join(f"{name} {version}" for name, version in pairs if version)
    return Finding("OK", f"Same {same} on both sides.")


def read_versions(documents: list[Mapping[str, Any]]) -> EndpointVersions:
    """Read the versions from descriptions of an endpoint and its workers; the last one counts.

    Example:
        >>> read_versions([{"python_version": "3.11"}, {"dill_version": "0.3.9"}]).dill
        '0.3.9'
    """
    merged: dict[str, Any] = {}
    for document in documents:
        metadata = document.get("metadata")
        merged |= dict(metadata) if isinstance(metadata, Mapping) else {}
        merged |= {name: value for name, value in document.items() if value is not None}
    merged.pop("metadata", None)
    return EndpointVersions.told_by(merged)


def of_task(value: Any, error: FuncXError | None, seconds: float | None) -> Finding:
    """Judge the result of the test task.

    Args:
        value: its result, which should be 42.
        error: why there is no result.
        seconds: how long it took; None if it has not finished.
    """
    if isinstance(error, TaskExecutionFailed):
        return Finding(
            "FAIL",
            f"The task failed: {last_error(error.remote_data)}",
            "See the check `versions`, and the log of the endpoint on its machine.",
        )
    if error is not None:
        return Finding("FAIL", str(error), TRY_AGAIN)
    if seconds is None:
        return Finding(
            "WARN",
            "The task was submitted but did not finish in time.",
            "The endpoint may still be starting workers or waiting in the queue of its cluster.",
        )
    if value != 42:
        found = f"The task returned {value!r} instead of 42."
        return Finding("FAIL", found, "See the log of the endpoint on its machine.")
    return Finding("OK", f"A task returned its result after {seconds:.2f} s.")


# The connection for results ---------------------------------------------------------------------


def of_broker_port(
    host: str,
    port: int,
    failure: ConnectFailure | None,
    working: Sequence[int | None],
    proxy: Proxy | None,
) -> Finding:
    """Judge whether the broker that delivers results can be reached.

    Args:
        host: the name of the broker.
        port: its port.
        failure: why the connection failed.
        working: other ports on which a login succeeded.
        proxy: the proxy in use.
    """
    if failure is None:
        through = "" if proxy is None else f" through {proxy}"
        return Finding("OK", f"Port {port} of {host} accepts connections{through}.")
    if failure.refusal is None:
        found = f"Port {port} of {host} cannot be reached ({failure.reason})."
        ports = "443 or 5671" if port in (443, 5671) else str(port)
        remedy = (
            f"Allow outbound connections to port {ports} in the firewall, or set HTTPS_PROXY if "
            "there is a proxy."
        )
    else:
        found, remedy = sentence(failure.refusal.found), failure.refusal.remedy
    if working:
        remedy = (
            f"Port {working[0]} works: use `run --amqp-port {working[0]}`, or "
            f"FuncXExecutor(amqp_port={working[0]}) in programs."
        )
    return Finding("WARN", f"{found} {_POLLING}", remedy, blocks=True)


def of_broker_login(failure: ConnectFailure | None) -> Finding:
    """Judge whether the broker accepts the login.

    Args:
        failure: why it failed.
    """
    if failure is None:
        return Finding("OK", "The broker accepts the login.")
    if failure.kind == "login":
        return Finding(
            "FAIL",
            f"The broker rejects the login that the service issued ({failure.reason}).",
            "Try again: the service issues a new login each time. If the error persists, contact "
            "its operator.",
        )
    if failure.kind == "certificate":
        return Finding(
            "WARN",
            f"The certificate of the broker was rejected: {failure.reason}. {_POLLING}",
            "If the broker has its own certificate authority, set SSL_CERT_FILE to the "
            "certificate of that authority. A firewall that inspects TLS blocks AMQP: ask its "
            "operators to exempt the broker.",
        )
    return Finding(
        "WARN",
        f"The server does not answer as a broker ({failure.reason}). {_POLLING}",
        "Check --amqp-port if you set it. A firewall that inspects TLS blocks AMQP.",
    )


# Shared -----------------------------------------------------------------------------------------


def of_refusal(refusal: Refusal) -> Finding:
    """Report that a proxy did not connect."""
    return Finding("FAIL", sentence(refusal.found), refusal.remedy)


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop.

    Example:
        >>> sentence("the proxy timed out"), sentence("It was.")
        ('The proxy timed out.', 'It was.')
    """
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
