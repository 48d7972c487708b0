"""What the web service sends back, and what it reads in a request's path."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from funcx_async.local.refusals import Invalid, Refusal


class PlainRoute(NamedTuple):
    """Which requests a method answers, and the name of the faults that concern them.

    ``public`` ones need no bearer token.
    """

    path: str
    methods: list[str]
    name: str
    answer: Callable[[Request], Awaitable[Any]]
    public: bool = False


class Document(Response):
    """A JSON answer, which tells the service's time."""

    media_type = "application/json"

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set the headers, and the date, which the server that is left out would set."""
        super().init_headers({"Date": formatdate(usegmt=True), **(headers or {})})

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return msgspec.json.encode(content)


class Cut(Response):
    """No answer: the connection is closed without a byte."""

    def __init__(self, cut: Callable[[Scope], None]) -> None:
        super().__init__()
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut the connection, and return when it is cut."""
        self._cut(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


def uuid_of(given: str) -> str:
    """The id as it is usually written.

    Raises:
        Refusal: it is none.
    """
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise Refusal("INVALID_UUID", f"{given!r} is no uuid", error_args=[given]) from None


def path_uuid(request: Request, name: str) -> str:
    """The id in the request's path."""
    return uuid_of(request.path_params[name])


def v3_path_uuid(request: Request, name: str) -> str:
    """The id in the path of a v3 route."""
    try:
        return path_uuid(request, name)
    except Refusal as refusal:
        raise Invalid(refusal.reason, where=["path", name]) from None
