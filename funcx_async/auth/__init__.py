"""Who is asking: bearer tokens, from wherever they come.

:class:`ClientCredentials` is for programs, a ``globus_sdk.GlobusApp`` for people; without either,
:func:`resolve_auth` looks into the environment and then for the login of the official tools. No
token or secret appears in a ``repr``, a log line or an exception, nothing here asks a person, and
no token of Globus goes to another address than Globus's unless the caller says so.
"""

from __future__ import annotations

from funcx_async.auth.bearer import AWAITS_TOKEN, BearerAuth, TokenSource
from funcx_async.auth.credentials import ClientCredentials
from funcx_async.auth.resolve import Auth, resolve_auth

__all__ = [
    "AWAITS_TOKEN",
    "Auth",
    "BearerAuth",
    "ClientCredentials",
    "TokenSource",
    "resolve_auth",
]
