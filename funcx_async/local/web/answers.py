"""What the web service sends back: documents, refusals, and connections cut by faults."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

STATUS_OF: Final[Mapping[str, int]] = MappingProxyType(
    {
        "USER_UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
        "INVALID_AUTH_TOKEN": HTTPStatus.UNAUTHORIZED,
        "FUNCTION_NOT_FOUND": HTTPStatus.NOT_FOUND,
        "FUNCTION_NOT_PERMITTED": HTTPStatus.FORBIDDEN,
        "ENDPOINT_NOT_FOUND": HTTPStatus.NOT_FOUND,
        "ENDPOINT_ACCESS_FORBIDDEN": HTTPStatus.FORBIDDEN,
        "RESOURCE_LOCKED": HTTPStatus.LOCKED,
        "CONTAINER_NOT_FOUND": HTTPStatus.NOT_FOUND,
        "TASK_NOT_FOUND": HTTPStatus.NOT_FOUND,
        "TASK_GROUP_NOT_FOUND": HTTPStatus.NOT_FOUND,
        "ROUTE_NOT_FOUND": HTTPStatus.NOT_FOUND,
        "METHOD_NOT_ALLOWED": HTTPStatus.METHOD_NOT_ALLOWED,
        "REQUEST_MALFORMED": HTTPStatus.BAD_REQUEST,
        "INVALID_UUID": HTTPStatus.BAD_REQUEST,
        "BATCH_RUN_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "TASK_PAYLOAD_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "FUNCTION_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "SERVICE_UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
        "INTERNAL_ERROR": HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)


class Refusal(Exception):
    """A request that the service does not serve, and the document that says so.

    Args:
        code: the service's name for the reason, such as ``ENDPOINT_NOT_FOUND``.
        reason: a sentence for people.
        error_args: what the refusal is about, such as the id.
        status: the HTTP status; None is the one that belongs to the code.
        headers: more headers for the answer.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        error_args: Sequence[object] = (),
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.error_args = error_args
        self.status = int(STATUS_OF.get(code, 500) if status is None else status)
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {
            "status": "Failed",
            "code": self.code,
            "error_args": [str(arg) for arg in self.error_args],
            "reason": self.reason,
            "http_status_code": self.status,
        }


class Invalid(Refusal):
    """A body that a v3 route cannot read; those routes answer in another form."""

    def __init__(self, message: str, *, where: Sequence[str | int] = ("body",)) -> None:
        super().__init__("REQUEST_MALFORMED", message, status=422)
        self.where = list(where)

    def document(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"detail": [{"type": "value_error", "loc": self.where, "msg": self.reason}]}


def unknown(kind: str, wanted: str) -> Refusal:
    """Return the refusal of an unknown id."""
    words = kind.lower().replace("_", " ")
    return Refusal(f"{kind}_NOT_FOUND", f"no {words} has the id {wanted}", error_args=[wanted])


def not_permitted(function_id: str, endpoint_id: str) -> Refusal:
    """Return the refusal of a function that is not on the endpoint's whitelist."""
    msg = f"the endpoint {endpoint_id} has a whitelist, and function {function_id} is not on it"
    return Refusal("FUNCTION_NOT_PERMITTED", msg, error_args=[function_id, endpoint_id])


def no_agents() -> Refusal:
    """Return the refusal of a service that was not started for agents."""
    msg = (
        "this local service takes no endpoint agents; start it with agents=True, or on the "
        "command line with --agents"
    )
    return Refusal("ENDPOINT_ACCESS_FORBIDDEN", msg)


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
        """Return the bytes of the body."""
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
    """Return an id in canonical form.

    Raises:
        Refusal: it is none.
    """
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise Refusal("INVALID_UUID", f"{given!r} is not a UUID", error_args=[given]) from None


def path_uuid(request: Request, name: str) -> str:
    """Return the id in the request's path."""
    return uuid_of(request.path_params[name])


def v3_path_uuid(request: Request, name: str) -> str:
    """Return the id in the path of a v3 route."""
    try:
        return path_uuid(request, name)
    except Refusal as refusal:
        raise Invalid(refusal.reason, where=["path", name]) from None
