"""Which proxy leads to a service: what the environment says, in one place for REST and AMQP.

The variables are those that curl and most other programs know, in capitals or small letters (the
small ones win): ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from funcx_async._net.environment import is_loopback
from funcx_async._process import CREDENTIALS, confined

SYSTEM = "the system's settings"
"""Where a proxy was found, if not in a variable."""

RefusalKind = Literal[
    "login",
    "wrong login",
    "forbidden",
    "unreachable",
    "no proxy",
    "certificate",
    "down",
    "silent",
]

_OF_WEB_SERVERS = ("400", "404", "405", "501")
"""What a web server answers that is asked to connect."""

_PORTS = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671}
_PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@confined(CREDENTIALS)
@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; its ``repr`` and ``str`` keep the login to themselves.

    Attributes:
        scheme: how it is spoken to: ``http``, ``https``, ``socks5`` or ``socks5h``.
        host: its name or address.
        port: its port.
        source: the variable that named it, or :data:`SYSTEM`.
        username: who logs in to it; empty: nobody does.
        password: with which password.

    Example:
        >>> proxy = proxy_for("https://compute.api.globus.org", {"https_proxy": "me:pw@gate:3128"})
        >>> print(proxy)
        the proxy http://gate:3128 (https_proxy)
    """

    scheme: str
    host: str
    port: int
    source: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.source})"

    @property
    def address(self) -> str:
        """Its URL, without the login."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def tunnels(self) -> bool:
        """Whether it can be asked for a connection by HTTP ``CONNECT``, so that AMQP passes."""
        return self.scheme in ("http", "https")

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization``; None if nobody logs in."""
        if not self.username and not self.password:
            return None
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


def proxy_for(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Find the proxy through which ``url`` is to be reached; None: it is reached directly.

    ``HTTP_PROXY`` is for plain ``http``; ``HTTPS_PROXY`` for ``https``, ``amqps`` and ``amqp``, for
    these pass a proxy through a tunnel; ``ALL_PROXY`` for what has none of its own. This very
    machine is always reached directly, and so is what ``NO_PROXY`` names: hosts with all below them
    (``example.org``, ``.example.org``), addresses, networks (``10.0.0.0/8``), each with a port or
    without, or ``*``.

    Args:
        url: of a web service or a broker.
        environ: the variables; by default the process's, and where those name no proxy what macOS
            or Windows is set to.

    Raises:
        ValueError: if a variable does not hold a proxy's URL; what it holds is not told.

    Example:
        >>> variables = {"HTTPS_PROXY": "http://gate:3128", "NO_PROXY": "example.org"}
        >>> proxy_for("amqps://compute.amqps.globus.org:443", variables).address
        'http://gate:3128'
        >>> proxy_for("https://compute.example.org", variables) is None
        True
    """
    parts = urlsplit(url)
    variables = os.environ if environ is None else environ
    if is_loopback(url) or _is_excepted(parts, _variable("no_proxy", variables)[1]):
        return None
    for name in ("http_proxy" if parts.scheme == "http" else "https_proxy", "all_proxy"):
        source, told = _variable(name, variables)
        if told:
            return _proxy(told, source)
    return _system_proxy(parts) if environ is None else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a proxy does not connect, and what to do about it.

    Attributes:
        kind: by what can be done: ``login``: it wants one; ``wrong login``: it does not accept the
            one that it was given; ``forbidden``: it may not; ``unreachable``: it does not get
            there; ``no proxy``: what answers is none, or not one that passes AMQP;
            ``certificate``: its own is not accepted; ``down``: it is not reached itself;
            ``silent``: there is no answer in time.
        found: what was seen, without a dot at the end.
        remedy: what to do about it, in whole sentences.
    """

    kind: RefusalKind
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.found}. {self.remedy}"


def refusal_of_status(proxy: Proxy, target: str, told: str) -> Refusal:
    """Return what it means that a proxy refuses a connection.

    Args:
        proxy: which one.
        target: host and port that it was to connect to.
        told: the status with its words, such as ``403 Forbidden``.

    Example:
        >>> gate = Proxy("http", "gate", 3128, "HTTPS_PROXY")
        >>> print(refusal_of_status(gate, "far.org:5671", "403 Forbidden"))
        the proxy http://gate:3128 (HTTPS_PROXY) does not allow connections to far.org:5671 (403 \
Forbidden). Ask its operators to allow them, or except the host by NO_PROXY if it can be reached \
without.
    """
    status = told[:3]
    if status == "407":
        return refusal(proxy, target, "login" if not proxy.authorization else "wrong login", told)
    if status in _OF_WEB_SERVERS:
        return refusal(proxy, target, "no proxy", told)
    return refusal(proxy, target, "forbidden" if told.startswith("4") else "unreachable", told)


def refusal(proxy: Proxy, target: str, kind: RefusalKind, told: str = "") -> Refusal:
    """Return why a proxy does not connect, and what to do about it.

    Args:
        proxy: which one.
        target: host and port that it was to connect to.
        kind: why, see :class:`Refusal`.
        told: the words of the proxy or the system; may be empty.
    """
    source, scheme = proxy.source, proxy.scheme
    place = f"{_bracketed(proxy.host)}:{proxy.port}"
    host = target.rpartition(":")[0]
    excepted = "or except the host by NO_PROXY if it can be reached without"
    found = {
        "login": "wants a login",
        "wrong login": f"does not accept the login that {source} gives",
        "forbidden": f"does not allow connections to {target}",
        "unreachable": f"does not reach {target}",
        "no proxy": f"does not answer as a proxy does, asked for {target}",
        "certificate": "cannot be reached, its certificate is refused",
        "down": "cannot be reached",
        "silent": f"does not connect to {target} in time",
    }[kind]
    remedy = {
        "login": f"Give it as {scheme}://name:password@{place} in {source}.",
        "wrong login": "Correct name and password there; a `:`, `/`, `@`, `%` or `#` in them is "
        "written as %3A, %2F, %40, %25 or %23.",
        "forbidden": f"Ask its operators to allow them, {excepted}.",
        "unreachable": f"Check that {host} is right, and try again; then ask its operators.",
        "no proxy": f"Is {place} the proxy's address and port, and is it spoken to by {scheme}://? "
        f"Correct {source}.",
        "certificate": "Name the file of its certificate authority in SSL_CERT_FILE, or correct "
        f"the name in {source}.",
        "down": f"Correct {source}, or unset it if there is a way without; NO_PROXY names hosts "
        "that are reached without.",
        "silent": "Try again; then ask its operators whether it lets connections to "
        f"{target} pass, {excepted}.",
    }[kind]
    return Refusal(kind, f"{proxy} {found}{f' ({told})' if told else ''}", remedy)


def _variable(name: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """Return the spelling of a variable that is set, and its value."""
    # A web server's CGI puts the header `Proxy` of any request into HTTP_PROXY.
    forgeable = name == "http_proxy" and "REQUEST_METHOD" in variables
    for spelling in (name,) if forgeable else (name, name.upper()):
        if spelling in variables:
            return spelling, variables[spelling].strip()
    return name, ""


def _proxy(told: str, source: str) -> Proxy:
    wrong = ValueError(
        f"{source} must hold a proxy's URL, such as http://proxy.example.org:3128 or "
        "http://name:password@proxy.example.org:3128, where characters of the password that mean "
        "something in a URL are written as %XX."
    )
    try:
        parts = urlsplit(told if "://" in told else f"http://{told}")
        port = parts.port
    except ValueError:
        raise wrong from None
    if not parts.hostname or parts.scheme not in _PROXY_PORTS:
        raise wrong
    if "@" in parts.path + parts.query + parts.fragment:  # else half a login passes for the host
        raise wrong
    return Proxy(
        parts.scheme,
        parts.hostname,
        port or _PROXY_PORTS[parts.scheme],
        source,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _is_excepted(target: SplitResult, no_proxy: str) -> bool:
    host, port = (target.hostname or "").rstrip("."), target.port or _PORTS.get(target.scheme)
    return any(_names(word.lower(), host, port) for word in no_proxy.replace(",", " ").split())


def _names(word: str, host: str, port: int | None) -> bool:
    """Whether a word of ``NO_PROXY`` names this place."""
    if word == "*":
        return True
    name, colon, wanted = word.rpartition(":")
    if colon and wanted.isdigit() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        word = name
    word = word.strip("[]").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        name = word.removeprefix("*").removeprefix(".")
        return host == name or host.endswith(f".{name}")
    try:
        return address in ip_network(word, strict=False)
    except ValueError:
        return False


def _system_proxy(target: SplitResult) -> Proxy | None:
    from urllib.request import getproxies, proxy_bypass

    scheme = "http" if target.scheme == "http" else "https"
    told = getproxies().get(scheme)
    if not told or proxy_bypass(target.hostname or ""):
        return None
    return _proxy(told, SYSTEM)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
