"""Where the service is: its public names, and what the process's environment says."""

from __future__ import annotations

import errno
import logging
import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

SERVICE_URL_VARIABLE = "FUNCX_ASYNC_SERVICE_URL"
"""The environment variable that names the service's root, for instance a local service's."""

TOKEN_VARIABLE = "FUNCX_ASYNC_TOKEN"  # noqa: S105 - the name of the variable, not a token
"""The environment variable that holds a bearer token for :data:`SERVICE_URL_VARIABLE` alone."""

ENDPOINT_VARIABLE = "FUNCX_ASYNC_ENDPOINT_ID"
"""The environment variable that names the endpoint of executors that are given none."""

AUTH_URL_VARIABLE = "GLOBUS_SDK_SERVICE_URL_AUTH"
"""The environment variable that names another service of Globus Auth; the official tools' own."""

TIMEOUT_VARIABLE = "GLOBUS_SDK_HTTP_TIMEOUT"
"""The environment variable that says how many seconds one request may take; -1: any time."""

VERIFY_VARIABLE = "GLOBUS_SDK_VERIFY_SSL"
"""The environment variable that says whether, or by which file, certificates are checked."""

TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
"""What the system says while a process, or all of them, have too many files open."""

LONGEST_REQUEST = 60.0
"""Seconds that one request may take, by default."""

_log = logging.getLogger("funcx_async.network")

_PRODUCTION = "production"

_AUTH_URLS = {
    "preview": "https://auth.preview.globus.org",
    **{
        name: f"https://auth.{name}.globuscs.info"
        for name in ("sandbox", "test", "integration", "staging")
    },
}
"""Where logins are made; every other environment has them where production has."""

_GLOBUS = re.compile(
    r"https://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:globus\.org|globuscs\.info|funcx\.org)"
    r"(?::443)?(?:/[!-~]*)?",
    re.IGNORECASE | re.ASCII,
)

_STRANGERS = re.compile(r"https://[^/:]*\.data\.globus\.org[:/]?", re.IGNORECASE)
"""Storage of other institutions, under names that Globus lends them."""


@dataclass(frozen=True, slots=True)
class Deployments:
    """Where the services of one kind are.

    Attributes:
        variable: the environment variable that chooses among them.
        urls: their roots, by the name of their Globus environment.
    """

    variable: str
    urls: Mapping[str, str]


COMPUTE = Deployments(
    "GLOBUS_SDK_ENVIRONMENT",
    {
        "production": "https://compute.api.globus.org",
        "preview": "https://compute.api.preview.globus.org",
        "dev": "https://api.dev.funcx.org",
        "local": "http://localhost:5000",
        **{
            name: f"https://compute.api.{name}.globuscs.info"
            for name in ("sandbox", "test", "integration", "staging")
        },
    },
)
"""Globus Compute."""

CLASSIC = Deployments(
    "FUNCX_SDK_ENVIRONMENT",
    {
        "production": "https://api2.funcx.org",
        "dev": "https://api.dev.funcx.org",
        "local": "http://localhost:5000",
    },
)
"""funcX 1.x."""


def service_url(
    base_url: str | None,
    environment: str | None,
    variables: Mapping[str, str],
    deployments: Deployments = COMPUTE,
    *,
    source: str = "base_url",
) -> str:
    """Find the service's root.

    Args:
        base_url: the root itself; wins over all else.
        environment: the name of a Globus environment, such as ``preview``.
        variables: the process's environment: ``FUNCX_ASYNC_SERVICE_URL``, then
            the deployments' own, count where no argument is given.
        deployments: where services of the kind that is meant are.
        source: what errors are to call ``base_url``.

    Raises:
        ValueError: for an unknown environment or what is not the root of a web service.

    Example:
        >>> service_url(None, None, {})
        'https://compute.api.globus.org'
        >>> service_url(None, None, {"FUNCX_ASYNC_SERVICE_URL": "http://127.0.0.1:8000/"})
        'http://127.0.0.1:8000'
    """
    if base_url is not None:
        return _checked(base_url, source)
    if environment is None and SERVICE_URL_VARIABLE in variables:
        return _checked(variables[SERVICE_URL_VARIABLE], SERVICE_URL_VARIABLE)
    name = environment or variables.get(deployments.variable) or _PRODUCTION
    try:
        return deployments.urls[name]
    except KeyError:
        known = ", ".join(sorted(deployments.urls))
        raise ValueError(f"There is no environment {name!r}; known are {known}.") from None


def environment_of(url: str, variables: Mapping[str, str], deployments: Deployments) -> str:
    """Name the Globus environment that the service at ``url`` belongs to.

    Example:
        >>> environment_of("https://compute.api.preview.globus.org", {}, COMPUTE)
        'preview'
    """
    for name, root in deployments.urls.items():
        if root == url:
            return name
    return variables.get(deployments.variable) or _PRODUCTION


def auth_url(environment: str, variables: Mapping[str, str]) -> str:
    """Find where tokens are issued.

    Args:
        environment: the name of a Globus environment.
        variables: the process's environment; ``GLOBUS_SDK_SERVICE_URL_AUTH`` wins.

    Raises:
        ValueError: if that variable names a place that must not see a secret: anything but
            https, or http on this very machine.

    Example:
        >>> auth_url("production", {})
        'https://auth.globus.org'
    """
    given = variables.get(AUTH_URL_VARIABLE)
    if given:
        return checked_auth_url(given, AUTH_URL_VARIABLE)
    return _AUTH_URLS.get(environment, "https://auth.globus.org")


def checked_auth_url(url: str, source: str) -> str:
    """Return ``url`` as a root to which a client's secret may be sent.

    Raises:
        ValueError: unless it is https, or http on this very machine; it says ``source``.
    """
    root = _checked(url, source)
    if not root.lower().startswith("https://") and not is_loopback(root):
        raise ValueError(
            f"{source} must be an https URL, not {url!r}: a secret goes there. Plain http is for "
            "this very machine alone."
        )
    return root


def is_globus(url: str) -> bool:
    """Whether ``url`` leads, encrypted, to a service of Globus, so that it may see its tokens.

    The hosts below ``globus.org``, ``globuscs.info`` and ``funcx.org`` count, on the default port
    of https, in plain spelling. What lies below ``data.globus.org`` does not: there Globus lends
    names to the storage of others.

    Example:
        >>> is_globus("https://compute.api.globus.org"), is_globus("https://globus.org.evil.com")
        (True, False)
    """
    return _GLOBUS.fullmatch(url) is not None and _STRANGERS.match(url) is None


def request_timeout(given: float | None, variables: Mapping[str, str]) -> float | None:
    """Find how many seconds one request may take; None: any time.

    Args:
        given: the seconds, if they were given; -1 is any time, as for Globus's own clients.
        variables: the process's environment, whose ``GLOBUS_SDK_HTTP_TIMEOUT`` counts otherwise.

    Raises:
        ValueError: for what is not a number of seconds.

    Example:
        >>> request_timeout(None, {"GLOBUS_SDK_HTTP_TIMEOUT": "2.5"}), request_timeout(None, {})
        (2.5, 60.0)
    """
    source, told = "timeout", given
    if told is None:
        source = TIMEOUT_VARIABLE
        try:
            told = float(variables.get(TIMEOUT_VARIABLE) or LONGEST_REQUEST)
        except ValueError:
            told = math.nan
    if type(told) not in (int, float) or not (told > 0 or told == -1):
        shown = given if given is not None else variables[TIMEOUT_VARIABLE]
        raise ValueError(f"{source} must be a number of seconds above 0, or -1, not {shown!r}.")
    return None if told == -1 or math.isinf(told) else float(told)


def certificates(variables: Mapping[str, str]) -> bool | ssl.SSLContext:
    """Find by what the service's certificate is checked: ``GLOBUS_SDK_VERIFY_SSL`` may choose.

    Args:
        variables: the process's environment. A word for yes is the default, the path of a file
            with certificates has those checked by; a word for no turns the check off, which is
            logged as a warning each time.

    Raises:
        ValueError: for anything else.
        OSError: if too many files are open to read the certificates now.
    """
    told = variables.get(VERIFY_VARIABLE, "").strip()
    if told.lower() in ("", "y", "yes", "t", "true", "on", "1"):
        return True
    if told.lower() in ("n", "no", "f", "false", "off", "0"):
        _log.warning(
            "%s=%s: the service's certificate is not checked, so anybody between it and here can "
            "read and change what is sent, tokens and functions included.",
            VERIFY_VARIABLE,
            told,
        )
        return False
    try:
        return ssl.create_default_context(cafile=told)
    except OSError as error:
        if error.errno in TOO_MANY_FILES:
            raise
        raise ValueError(
            f"{VERIFY_VARIABLE} must be yes, no, or the path of a file with certificates, not "
            f"{told!r} ({error})."
        ) from None


def is_loopback(url: str) -> bool:
    """Whether ``url`` leads to this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(url: str, source: str) -> str:
    root = url.strip().rstrip("/")
    try:
        parts = urlsplit(root)
        _ = parts.port
    except ValueError as error:  # a port beyond the last one, half an address of IPv6
        raise ValueError(f"{source} is no URL: {error}. Correct it.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{source} must be an http or https URL, such as http://127.0.0.1:8000, not {url!r}."
        )
    if parts.username or parts.password:
        raise ValueError(f"{source} must not hold a password: give credentials by auth=.")
    if parts.path.endswith(("/v2", "/v3")):
        raise ValueError(f"{source} is the service's root: leave out {parts.path!r}.")
    return root
