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
from urllib.parse import SplitResult, unquote, urlsplit

from funcx_async.environments import is_loopback

SYSTEM = "the system's settings"
"""Where a proxy was found, if not in a variable."""

_PORTS = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671}
_PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


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


def refusal_in_words(proxy: Proxy, target: str, told: str) -> str:
    """Say that a proxy did not connect, and what to do about it.

    Args:
        proxy: which one.
        target: host and port that it was to connect to.
        told: the status with its words, such as ``403 Forbidden``.

    Example:
        >>> gate = Proxy("http", "gate", 3128, "HTTPS_PROXY")
        >>> print(refusal_in_words(gate, "far.org:5671", "403 Forbidden"))
        the proxy http://gate:3128 (HTTPS_PROXY) does not allow connections to far.org:5671 (403 \
Forbidden). Ask its operators to allow them, or except the host by NO_PROXY if it can be reached \
without.
    """
    host = target.rpartition(":")[0]
    if told.startswith("407"):
        if proxy.authorization is None:
            remedy = f"give it as {proxy.scheme}://name:password@{_bracketed(proxy.host)}"
            return f"{proxy} wants a login ({told}): {remedy}:{proxy.port} in {proxy.source}."
        return f"{proxy} does not accept the login that {proxy.source} gives ({told})."
    if told.startswith("4"):
        return (
            f"{proxy} does not allow connections to {target} ({told}). Ask its operators to allow "
            "them, or except the host by NO_PROXY if it can be reached without."
        )
    return f"{proxy} does not reach {target} ({told}). Check that {host} is right."


def _variable(name: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """Give the spelling of a variable that is set, and what it says."""
    # A web server's CGI puts the header `Proxy` of whoever asks into HTTP_PROXY.
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
    host, port = target.hostname or "", target.port or _PORTS.get(target.scheme)
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
    word = word.strip("[]")
    try:
        return ip_address(host) in ip_network(word, strict=False)
    except ValueError:
        name = word.removeprefix("*").removeprefix(".")
        return host == name or host.endswith(f".{name}")


def _system_proxy(target: SplitResult) -> Proxy | None:
    from urllib.request import getproxies, proxy_bypass

    scheme = "http" if target.scheme == "http" else "https"
    told = getproxies().get(scheme)
    if not told or proxy_bypass(target.hostname or ""):
        return None
    return _proxy(told, SYSTEM)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
