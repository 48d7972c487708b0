"""A login for agents that have no Globus account here: the part of Globus Auth that they use.

An agent logs in with client credentials, and every client with the service's token may. What it
gets is that token again, for every scope that it asks for.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request

from funcx_async.local.agents.messages import IDENTITY, USERNAME
from funcx_async.local.web.answers import PlainRoute, Refusal, no_agents
from funcx_async.local.web.bodies import read_bytes

CLIENT_ID: Final = IDENTITY
"""What agents log in as; the service's token is the secret to it."""
COMPUTE: Final = "funcx_service"
AUTH: Final = "auth.globus.org"
TOKEN_LIVES: Final = 48 * 3600
"""Seconds after which an agent asks for a token again."""
_COMPUTE_SCOPE: Final = "https://auth.globus.org/scopes/facd7ccc-c5f4-42aa-916b-a0e270e2c2a9/"

OFFICIAL_PORT: Final = 5000
"""Where official clients and agents look for a local service."""


def variables_for_agents(url: str, token: str) -> dict[str, str]:
    """Return the environment variables of an agent that attaches to this service."""
    variables = {
        "GLOBUS_SDK_ENVIRONMENT": "local",
        "GLOBUS_SDK_SERVICE_URL_AUTH": url,
        "GLOBUS_COMPUTE_CLIENT_ID": CLIENT_ID,
        "GLOBUS_COMPUTE_CLIENT_SECRET": token,
    }
    if urlsplit(url).port != OFFICIAL_PORT:
        variables["HTTP_PROXY"] = url
    return variables


class LoginWeb:
    """The routes of the login.

    Args:
        token: the bearer token of the service.
        taken: whether the service takes agents.
    """

    def __init__(self, token: str, *, taken: bool) -> None:
        self._token = token
        self._taken = taken

    def routes(self) -> list[PlainRoute]:
        """Return every route."""
        get, post = ["GET"], ["POST"]
        return [
            PlainRoute("/v2/oauth2/token", post, "login", self._log_in, public=True),
            PlainRoute("/v2/oauth2/token/revoke", post, "login", self._revoke, public=True),
            PlainRoute("/v2/oauth2/userinfo", get, "login", self._user),
            PlainRoute("/v2/api/identities", get, "login", self._identities),
        ]

    async def _log_in(self, request: Request) -> Any:
        if not self._taken:
            raise no_agents()
        self._check(request)
        form = parse_qs((await read_bytes(request)).decode("utf-8", "replace"))
        if form.get("grant_type") != ["client_credentials"]:
            msg = "a local service only knows the grant type client_credentials"
            raise Refusal("REQUEST_MALFORMED", msg)
        scopes = " ".join(form.get("scope", [])).split()
        compute = [scope for scope in scopes if scope.startswith(_COMPUTE_SCOPE)]
        others = [scope for scope in scopes if scope not in compute]
        wanted = [(COMPUTE, compute), (AUTH, others)]
        tokens = [self._grant(server, some) for server, some in wanted if some]
        if not tokens:
            msg = "the login names no scope"
            raise Refusal("REQUEST_MALFORMED", msg)
        return {**tokens[0], "other_tokens": tokens[1:]}

    def _grant(self, server: str, scopes: list[str]) -> dict[str, Any]:
        return {
            "access_token": self._token,
            "expires_in": TOKEN_LIVES,
            "resource_server": server,
            "scope": " ".join(scopes),
            "token_type": "Bearer",
        }

    def _check(self, request: Request) -> None:
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except ValueError:  # not base64, or not even ASCII
            given = b""
        if kind.lower() != "basic" or not secrets.compare_digest(given, self._token.encode()):
            msg = "GLOBUS_COMPUTE_CLIENT_SECRET is not the token of this service"
            raise Refusal("USER_UNAUTHENTICATED", msg, headers={"WWW-Authenticate": "Basic"})

    async def _revoke(self, request: Request) -> Any:
        return {"active": False}  # the token is good for as long as the service has it

    async def _user(self, request: Request) -> Any:
        user = self._identity()
        return {**user, "identity_set": [user]}

    async def _identities(self, request: Request) -> Any:
        user = self._identity()
        return {"identities": [{**user, "id": user["sub"], "username": USERNAME, "status": "used"}]}

    def _identity(self) -> dict[str, Any]:
        return {
            "sub": IDENTITY,
            "preferred_username": USERNAME,
            "name": "local service",
            "email": USERNAME,
        }
