"""What the tests of the doctor share."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import trustme

Checks = dict[str, dict[str, Any]]
Doctor = Callable[..., Awaitable[Checks]]


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def only(checks: Checks, status: str) -> dict[str, Any]:
    """The one check that ended so; the ones before it are well, those that need it are skipped."""
    (found,) = (check for check in checks.values() if check["status"] == status)
    return found
