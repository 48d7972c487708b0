"""An OAuth 2 service on loopback that issues, expires, revokes and fails, and a service to use.

It speaks as much of Globus Auth as its own SDK needs for a login.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from funcx_async.auth.tokens import RESOURCE_SERVER, SCOPE
from funcx_async.local.http_server import HttpServer

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
SECRET = "the-secret-of-the-client"
CODE = "the-code-of-the-login"
PERSON = "a.person@example.org"
IDENTITY = "99999999-8888-7777-6666-555555555555"

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def resource_server_of(scope: str) -> str:
    return RESOURCE_SERVER if scope == SCOPE else "auth.globus.org"


async def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode()))


class Issuer:
    """The service; ``url`` is its root, and of a tiny protected service as well.

    Attributes:
        secret: what it accepts; None refuses every client.
        lifetime: seconds that it says its tokens live.
        token_status: answer requests for tokens with this status instead.
        hold: requests for tokens wait for it.
        asked: an event that is set when a token is asked for.
        live: the access tokens that it takes.
        refresh: the refresh tokens that it takes.
        log: how often what was asked for.
    """

    def __init__(self) -> None:
        self.secret: str | None = SECRET
        self.lifetime = 3600.0
        self.token_status = 200
        self.token_body: bytes | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.asked = asyncio.Event()
        self.live: set[str] = set()
        self.refresh: set[str] = set()
        self.issued: list[str] = []
        self.log: Counter[str] = Counter()
        self.forms: list[dict[str, str]] = []
        self.refuse_all = False
        self._listener = HttpServer("127.0.0.1", 0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.port}"

    async def start(self) -> None:
        routes = [
            Route("/v2/oauth2/token", self._token, methods=["POST"]),
            Route("/v2/oauth2/token/revoke", self._revoke, methods=["POST"]),
            Route("/v2/oauth2/userinfo", self._userinfo),
            Route("/v2/api/identities", self._identities),
            Route("/.well-known/openid-configuration", self._configuration),
            Route("/jwk.json", self._jwk),
            Route("/v2/version", self._version),
        ]
        await self._listener.start(Starlette(routes=routes))

    async def aclose(self) -> None:
        self.hold.set()
        await self._listener.aclose()

    def revoke_all(self) -> None:
        """Take no access token that was issued so far."""
        self.live.clear()

    def secrets(self) -> list[str]:
        """Everything that must appear nowhere."""
        return [SECRET, CODE, *self.issued]

    def new_token(self, kind: str = "access") -> str:
        token = f"{kind}-token-number-{len(self.issued)}-of-{time.monotonic_ns()}"
        self.issued.append(token)
        (self.live if kind == "access" else self.refresh).add(token)
        return token

    def _grant(self, scope: str, *, refresh: bool) -> dict[str, Any]:
        document = {
            "access_token": self.new_token(),
            "expires_in": self.lifetime,
            "scope": scope,
            "resource_server": resource_server_of(scope),
            "token_type": "Bearer",
        }
        if refresh:
            document["refresh_token"] = self.new_token("refresh")
        return document

    async def _token(self, request: Request) -> Response:
        form = await form_of(request)
        self.log[form["grant_type"]] += 1
        self.forms.append(form)
        self.asked.set()
        await self.hold.wait()
        if self.token_status != 200:
            return Response(self.token_body or b"", self.token_status)
        if self.token_body is not None:
            return Response(self.token_body, 200)
        grant = form["grant_type"]
        if grant == "client_credentials":
            wanted = base64.b64encode(f"{CLIENT_ID}:{self.secret}".encode()).decode()
            if self.secret is None or request.headers["authorization"] != f"Basic {wanted}":
                return JSONResponse({"error": "invalid_client"}, 401)
            return JSONResponse(self._answer(form["scope"], refresh=False))
        if grant == "refresh_token":
            if form["refresh_token"] not in self.refresh:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse(
                {
                    **self._answer(SCOPE, refresh=False),
                    "refresh_token": form["refresh_token"],
                }
            )
        if form["code"] != CODE:
            return JSONResponse({"error": "invalid_grant"}, 401)
        scopes = f"openid urn:globus:auth:scope:auth.globus.org:manage_projects {SCOPE}"
        claims = {"sub": IDENTITY, "aud": form["client_id"]}
        token = jwt.encode({**claims, "exp": time.time() + 60}, _KEY, algorithm="RS256")
        return JSONResponse({**self._answer(scopes, refresh=True), "id_token": token})

    def _answer(self, scopes: str, *, refresh: bool) -> dict[str, Any]:
        """A token for each resource server; this service's is the last one."""
        others = [scope for scope in scopes.split() if scope != SCOPE]
        grants = [self._grant(" ".join(others), refresh=refresh)] if others else []
        if SCOPE in scopes.split():
            grants.append(self._grant(SCOPE, refresh=refresh))
        return {**grants[0], "other_tokens": grants[1:]}

    async def _revoke(self, request: Request) -> Response:
        form = await form_of(request)
        self.log["revoke"] += 1
        self.live.discard(form["token"])
        self.refresh.discard(form["token"])
        return JSONResponse({"active": False})

    def _is_live(self, request: Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return token in self.live and not self.refuse_all

    async def _userinfo(self, request: Request) -> Response:
        if not self._is_live(request):
            return JSONResponse({"error": "unauthorized"}, 401)
        return JSONResponse({"sub": IDENTITY})

    async def _identities(self, request: Request) -> Response:
        if not self._is_live(request):
            return JSONResponse({"error": "unauthorized"}, 401)
        return JSONResponse(
            {"identities": [{"id": request.query_params["ids"], "username": PERSON}]}
        )

    async def _configuration(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwk.json",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _jwk(self, _: Request) -> Response:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(_KEY.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**key, "alg": "RS256", "use": "sig"}]})

    async def _version(self, request: Request) -> Response:
        """The protected service."""
        if not self._is_live(request):
            self.log["refused"] += 1
            return JSONResponse({"code": "INVALID_AUTH_TOKEN", "reason": "not live"}, 401)
        self.log["served"] += 1
        return JSONResponse({"api": "1"})
