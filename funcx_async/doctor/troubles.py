"""What goes wrong on the way to a server, told apart by what can be done about it."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Literal

from funcx_async._net.proxies import Refusal
from funcx_async._net.tunnel import BrokerUnreachable

Kind = Literal[
    "name",
    "refused",
    "silent",
    "unreachable",
    "certificate",
    "tls",
    "proxy",
    "login",
    "lost",
]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a connection was not made.

    Attributes:
        kind: ``name``: it has no address; ``refused``: nothing listens there; ``silent``: there is
            no answer in time; ``unreachable``: there is no way; ``certificate``: it is not
            accepted; ``tls``: TLS is not spoken there; ``proxy``: the proxy does not connect;
            ``login``: the password is not accepted; ``lost``: the connection was closed at once.
        words: what the system says.
        code: OpenSSL's number for what is wrong with a certificate.
        refusal: what a proxy on the way did, and the remedy; None: it was not the proxy.
    """

    kind: Kind
    words: str
    code: int = 0
    refusal: Refusal | None = None


_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def trouble_of(error: BaseException) -> Trouble:
    """Tell what an error of the network is.

    Example:
        >>> trouble_of(ConnectionRefusedError(111, "Connection refused"))
        Trouble(kind='refused', words='connection refused', code=0, refusal=None)
    """
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble("certificate", error.verify_message.rstrip("."), error.verify_code)
    if isinstance(error, BrokerUnreachable):
        return Trouble("silent" if error.refusal is None else "proxy", words, 0, error.refusal)
    if isinstance(error, socket.gaierror):
        return Trouble("name", words)
    if isinstance(error, TimeoutError):
        return Trouble("silent", "no answer in time")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return Trouble("tls", error.reason or words)
    # asyncio puts what it met at several addresses of one name into one text.
    numbers = {int(number) for number in re.findall(r"Errno (\d+)", str(error))}
    if isinstance(error, ConnectionRefusedError) or errno.ECONNREFUSED in numbers:
        return Trouble("refused", "connection refused")
    if numbers & _UNREACHABLE:
        return Trouble("unreachable", words)
    return Trouble("lost", words)
