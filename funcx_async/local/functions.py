"""The REST routes about functions, as today's clients use them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from funcx_async.local.bodies import Registration, read_v3_body
from funcx_async.local.records import Function
from funcx_async.local.refusals import unknown
from funcx_async.local.replies import PlainRoute, path_uuid
from funcx_async.local.store import Store


class FunctionWeb:
    """The routes and what they answer.

    Args:
        store: what the service remembers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[PlainRoute]:
        """Every route."""
        function = "/v2/functions/{function}"
        return [
            PlainRoute("/v3/functions", ["POST"], "register", self._register),
            PlainRoute(function, ["GET"], "function", self._function),
            PlainRoute(function, ["DELETE"], "function", self._delete),
        ]

    async def _register(self, request: Request) -> Any:
        registration = await read_v3_body(request, Registration, "FUNCTION_TOO_LARGE")
        function_id = self._store.add_function(
            registration.function_name,
            registration.framed_code(),
            description=registration.description,
            metadata=registration.meta,
        )
        return {"function_uuid": function_id}

    async def _function(self, request: Request) -> Any:
        function = self._known(request)
        return {
            "function_uuid": function.id,
            "function_name": function.name,
            "function_code": function.code,
            "description": function.description,
            "metadata": {
                key: function.metadata.get(key) for key in ("python_version", "sdk_version")
            },
        }

    async def _delete(self, request: Request) -> Any:
        self._store.delete_function(self._known(request).id)
        return {"result": HTTPStatus.FOUND}

    def _known(self, request: Request) -> Function:
        function_id = path_uuid(request, "function")
        function = self._store.function(function_id)
        if function is None:
            raise unknown("FUNCTION", function_id)
        return function
