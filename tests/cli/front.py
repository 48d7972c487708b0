"""What may stand before a service: something that changes its answers, or speaks TLS for it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from funcx_async.local.http_server import HttpServer

Change = Callable[[dict[str, Any]], dict[str, Any]]


class Front:
    """Asks the service for whoever asks it, and changes what comes back.

    Attributes:
        changes: by the end of a path, what becomes of the documents of that route.
        headers: are added to every answer.
        takes: says whether a token is taken; others are refused as expired.
        page: is shown instead of everything.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._listener = HttpServer("127.0.0.1", 0)
        self.changes: dict[str, Change] = {}
        self.headers: dict[str, str] = {}
        self.takes: Callable[[str], bool] = lambda _: True
        self.page: str | None = None

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        route = Route("/{path:path}", self._answer, methods=["GET", "POST"])
        await self._listener.start(Starlette(routes=[route]))

    async def aclose(self) -> None:
        await self._listener.aclose()

    async def _answer(self, request: Request) -> Response:
        if self.page is not None:
            return Response(self.page, media_type="text/html")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not self.takes(token):
            refusal = {"code": "INVALID_AUTH_TOKEN", "reason": "the token has expired"}
            return Response(json.dumps(refusal), 401)
        async with httpx.AsyncClient(base_url=self._url) as http:
            answer = await http.request(
                request.method,
                f"{request.url.path}?{request.url.query}",
                content=await request.body(),
                headers={"Authorization": f"Bearer {self._token}"} if token else {},
            )
        document = answer.json()
        for path, change in self.changes.items():
            if request.url.path.endswith(path):
                document = change(document)
        return Response(json.dumps(document), answer.status_code, headers=self.headers)


@asynccontextmanager
async def encrypted(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Speak TLS for what listens on a port; gives the port to speak it on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, there_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps = [
            asyncio.create_task(pump(reader, there_writer)),
            asyncio.create_task(pump(there, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for each in pumps:
            each.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        writer.transport.abort()
        there_writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while received := await reader.read(65_536):
            writer.write(received)
            await writer.drain()
