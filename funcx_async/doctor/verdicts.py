"""What was seen on the way to the service, and what it means: plain functions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from funcx_async._net.environments import SERVICE_URL_VARIABLE, VERIFY_VARIABLE
from funcx_async._net.proxies import Proxy, Refusal
from funcx_async._versions import is_older
from funcx_async.doctor.report import Verdict
from funcx_async.doctor.troubles import Trouble

SOON = 14 * 86_400.0
"""Seconds: a certificate that ends sooner is warned about."""

OFF = 30.0
"""Seconds by which clocks may differ; tokens and certificates bear more."""

FAR_OFF = 300.0
"""Seconds from which on tokens and certificates are refused."""

_ADDRESS = f"Check the address: --service or {SERVICE_URL_VARIABLE}."

_BEHIND_A_PROXY = (
    "If programs reach the web through a proxy only here, set HTTPS_PROXY=http://host:port."
)

_CLOCK_CODES = (9, 10)
_NAME_CODES = (62, 63, 64)


def of_name(host: str, addresses: int, trouble: Trouble | None) -> Verdict:
    """Whether the service's name has an address.

    Args:
        host: the name.
        addresses: how many it has.
        trouble: why it has none.
    """
    if trouble is None:
        several = "an address" if addresses == 1 else f"{addresses} addresses"
        return Verdict("OK", f"{host} has {several}.")
    if trouble.kind == "silent":
        return Verdict(
            "FAIL",
            f"Nobody says in time what the address of {host} is.",
            f"Check the network and its DNS. {_BEHIND_A_PROXY}",
        )
    return Verdict(
        "FAIL", f"{host} has no address ({trouble.words}).", f"{_ADDRESS} {_BEHIND_A_PROXY}"
    )


def of_proxy(proxy: Proxy | None, trouble: Trouble | None, *, loopback: bool = False) -> Verdict:
    """Whether the proxy of the environment can be reached, if there is one."""
    if proxy is None:
        why = "this very machine needs none" if loopback else "none is named: directly"
        return Verdict("OK", f"No proxy; {why}.")
    if trouble is None:
        return Verdict("OK", f"Through {proxy}.")
    return Verdict(
        "FAIL",
        f"{proxy} cannot be reached ({trouble.words}).",
        f"Correct {proxy.source}, or unset it if there is a way without; NO_PROXY names hosts "
        "that are reached without.",
    )


def of_port(host: str, port: int, trouble: Trouble | None) -> Verdict:
    """Whether the service's port takes connections."""
    place = f"Port {port} of {host}"
    if trouble is None:
        return Verdict("OK", f"{place} takes connections.")
    if trouble.refusal is not None:
        return of_refusal(trouble.refusal)
    if trouble.kind == "refused":
        return Verdict(
            "FAIL",
            f"{place} refuses connections: nothing listens there, or a firewall says no.",
            f"Start the service, or correct the port. {_ADDRESS} {_BEHIND_A_PROXY}",
        )
    return Verdict(
        "FAIL",
        f"{place} cannot be reached ({trouble.words}).",
        f"Have the firewall let connections to it out. {_BEHIND_A_PROXY}",
    )


def of_certificate(
    host: str, trouble: Trouble | None, expires_at: float | None, now: float
) -> Verdict:
    """Whether the service's certificate is accepted.

    Args:
        host: the service's name.
        trouble: why it is not.
        expires_at: when it ends, in Unix seconds.
        now: the time here, in Unix seconds.
    """
    if trouble is None:
        return _of_lifetime(expires_at, now)
    if trouble.refusal is not None:
        return of_refusal(trouble.refusal)
    if trouble.kind == "certificate":
        return _of_refused_certificate(host, trouble, now)
    return Verdict(
        "FAIL",
        f"TLS with {host} does not come about ({trouble.words}).",
        f"Is it http:// instead of https://, or another port? {_ADDRESS}",
    )


def of_service(status: int, body: bytes, sdk_name: str, sdk_version: str) -> Verdict:
    """Whether what answers is a funcX service, and takes what this version says.

    Args:
        status: the HTTP status of its answer, asked for its version.
        body: the answer's body.
        sdk_name: the official client whose requests these equal.
        sdk_version: its version.
    """
    if status in (429, 500, 502, 503, 504):
        return Verdict(
            "FAIL",
            f"The service has trouble or no time ({status}).",
            "Try again later; if it stays so, ask who runs it, or a proxy on the way.",
        )
    told = _document(body)
    if not 200 <= status < 300 or "min_sdk_version" not in told:
        return Verdict(
            "FAIL",
            f"What answers there is not a funcX service ({status}).",
            f"{_ADDRESS} It is the root of the service, such as https://compute.api.globus.org. "
            "Or something on the way answers in its place: a page to log in to the network, say.",
        )
    minimum = str(told["min_sdk_version"])
    if is_older(sdk_version, minimum):
        return Verdict(
            "WARN",
            f"The service takes {sdk_name} {minimum} at least; this speaks as {sdk_version}.",
            "Install a newer funcx-async: pip install --upgrade funcx-async.",
        )
    return Verdict("OK", f"A funcX service answers, version {told.get('api', 'unknown')}.")


def of_unanswered(words: str, proxy: Proxy | None) -> Verdict:
    """A service that takes connections and does not speak HTTP, or a proxy that does not connect.

    Args:
        words: what went wrong.
        proxy: through which it was asked.
    """
    if proxy is not None:
        return Verdict(
            "FAIL",
            f"The service does not answer through {proxy} ({words}).",
            f"Correct {proxy.source}, or ask whoever runs the proxy to let connections to the "
            f"service pass. {_ADDRESS}",
        )
    return Verdict(
        "FAIL",
        f"The connection is taken, but HTTP is not answered ({words}).",
        f"Is it the port of something else, or https:// instead of http://? {_ADDRESS}",
    )


def of_clock(date: str | None, now: float) -> Verdict:
    """Whether the clock here is right, as far as the service's is.

    Args:
        date: the ``Date`` header of an answer.
        now: the time here when it came, in Unix seconds.
    """
    try:
        there = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Verdict("SKIP", "The service does not tell the time.")
    off = now - there
    if abs(off) <= OFF:
        return Verdict("OK", "It agrees with the service's.")
    found = (
        f"The clock here is {abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the service's."
    )
    remedy = "Set it: have the system keep it by NTP (timedatectl set-ntp true)."
    if abs(off) <= FAR_OFF:
        return Verdict("WARN", found, remedy)
    return Verdict("FAIL", found, f"{remedy} Tokens and certificates are refused so far off.")


def _of_lifetime(expires_at: float | None, now: float) -> Verdict:
    if expires_at is None:
        return Verdict(
            "WARN",
            "The certificate is not checked, so anybody on the way can read and change everything.",
            f"Unset {VERIFY_VARIABLE}.",
        )
    until = _day(expires_at)
    if expires_at - now < SOON:
        return Verdict(
            "WARN",
            f"The certificate is good until {until} only.",
            "Whoever runs the service has to renew it before.",
        )
    return Verdict("OK", f"The certificate is good, until {until}.")


def _of_refused_certificate(host: str, trouble: Trouble, now: float) -> Verdict:
    found = f"The certificate of {host} is refused: {trouble.words}."
    if trouble.code in _CLOCK_CODES:
        return Verdict(
            "FAIL",
            found,
            f"Here it is {_day(now)}: if that is wrong, set the clock. Else whoever runs the "
            "service has to renew the certificate.",
        )
    if trouble.code in _NAME_CODES:
        return Verdict(
            "FAIL", found, f"It is for another name. {_ADDRESS} Or the wrong server answers."
        )
    return Verdict(
        "FAIL",
        found,
        "If the service, or a firewall on the way, has a certificate authority of its own, ask for "
        f"that authority's certificate and set {VERIFY_VARIABLE} and SSL_CERT_FILE to its file.",
    )


def of_refusal(refusal: Refusal) -> Verdict:
    """A proxy that answers in the service's place."""
    return Verdict("FAIL", sentence(refusal.found), refusal.remedy)


def sentence(words: str) -> str:
    """Make a sentence of words.

    Example:
        >>> sentence("the proxy is silent"), sentence("It was.")
        ('The proxy is silent.', 'It was.')
    """
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
