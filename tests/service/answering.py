"""A service that gives one answer to everything, for what only the hosted one has."""

from __future__ import annotations

import json
from typing import Any, Literal

import httpx

from funcx_async import FuncXClient

ROOT = "https://service.test"
ENDPOINT = "0068440f-8c5e-5831-9af3-b22e6d4ba9f0"
FUNCTION = "e32abd97-2f29-5b55-8940-bb9a88f9184d"
GROUP = "6b39148c-71b9-5168-94a4-a51015057381"


class Asked:
    """What the service was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    @property
    def line(self) -> str:
        """Method and path of the only request."""
        (request,) = self.requests
        return f"{request.method} {request.url.raw_path.decode()}"

    @property
    def lines(self) -> list[str]:
        """Method and path of every request."""
        return [f"{each.method} {each.url.raw_path.decode()}" for each in self.requests]

    @property
    def body(self) -> Any:
        """The body of the last request; None if there was none."""
        content = self.requests[-1].content
        return json.loads(content) if content else None


def answering(
    answer: Any, status: int = 200, *, api: Literal["v2", "v3"] = "v3", root: str = ROOT
) -> tuple[FuncXClient, Asked]:
    """A client of such a service, and what it was asked."""
    asked = Asked()

    def handle(request: httpx.Request) -> httpx.Response:
        asked.requests.append(request)
        return httpx.Response(status, json=answer)

    transport = httpx.MockTransport(handle)
    return FuncXClient(root, auth="a-token", api=api, transport=transport), asked
