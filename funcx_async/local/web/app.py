"""The REST application: the routes that both dialects share, and those of today's clients (v3)."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from funcx_async.local.components import Components
from funcx_async.local.injection import Reply
from funcx_async.local.publisher import QUEUE_PREFIX
from funcx_async.local.store import Function
from funcx_async.local.web.answers import (
    Cut,
    Document,
    Refusal,
    not_permitted,
    path_uuid,
    unknown,
    v3_path_uuid,
)
from funcx_async.local.web.bodies import Registration, Submission, TaskIds, read_body, read_v3_body
from funcx_async.local.web.classic import ClassicWeb
from funcx_async.local.web.endpoints import EndpointWeb
from funcx_async.local.web.login import LoginWeb
from funcx_async.local.web.status_page import StatusWeb

logger = logging.getLogger(__name__)
OLDEST_CLIENT: Final = "1.0.0"
"""Official clients and endpoints below this version get an error that says to upgrade."""
Answer = Callable[[Request], Awaitable[Any]]


class Web:
    """The application: routes, the check of tokens, and faults of requests.

    Args:
        components: what answers them.
    """

    def __init__(self, components: Components) -> None:
        self._components = components
        self._authorization = f"Bearer {components.token}".encode()
        status = StatusWeb(components, check_token=self._check_token)
        self.app = Starlette(
            routes=[*self._routes(), *status.routes()],
            exception_handlers={HTTPException: _no_such_route, Exception: _broken},
        )

    def _routes(self) -> list[Route]:
        components = self._components
        store, agents = components.store, components.agents
        get, post, v3 = ["GET"], ["POST"], "/v3/endpoints/{endpoint}"
        function = "/v2/functions/{function}"
        further = [
            *EndpointWeb(store, components.pool, agents, components.switches).routes(),
            *ClassicWeb(store, components.dispatch).routes(),
            *LoginWeb(components.token, taken=agents is not None).routes(),
        ]
        return [
            self._route("/v2/version", get, "version", self._version, public=True),
            self._route("/v3/functions", post, "register", self._register),
            self._route(function, get, "function", self._function),
            self._route(function, ["DELETE"], "function", self._delete_function),
            self._route(f"{v3}/submit", post, "submit", self._submit),
            self._route("/v2/tasks/{task}", get, "tasks", self._task),
            self._route("/v2/batch_status", post, "batch_status", self._batch_status),
            self._route("/v2/taskgroup/{group}", get, "taskgroup", self._task_group),
            self._route(
                "/v2/get_amqp_result_connection_url", get, "amqp_url", self._connection_url
            ),
            *(self._route(*route[:4], public=route.public) for route in further),
        ]

    def _route(
        self, path: str, methods: list[str], name: str, answer: Answer, *, public: bool = False
    ) -> Route:
        """Return a route that checks the token, obeys the switches, and answers with documents."""

        async def endpoint(request: Request) -> Response:
            """Answer with the document, or with what the switches make of it."""
            try:
                if not public:
                    self._check_token(request)
            except Refusal as refusal:  # a stranger uses up no fault
                return _refused(refusal)
            try:
                self._components.switches.arriving(name)
                answered = await answer(request)
                response = answered if isinstance(answered, Document) else Document(answered)
            except Refusal as refusal:
                response = _refused(refusal)
            except RecursionError:
                response = _refused(Refusal("REQUEST_MALFORMED", "the JSON is nested too deeply"))
            except sqlite3.OperationalError as error:  # such as a full disk; nothing was taken
                logger.error("%s %s failed: %s", request.method, request.url.path, error)
                msg = f"the service cannot write its database: {error}"
                response = _refused(Refusal("SERVICE_UNAVAILABLE", msg))
            except ClientDisconnect:
                # In the middle of its request: there is nobody to answer.
                return Cut(self._components.http_server.cut)
            reply = await self._components.switches.leaving(name)
            if reply is Reply.LOST:
                return Cut(self._components.http_server.cut)
            if reply is Reply.TRUNCATED:
                half = bytes(response.body)[: len(response.body) // 2]
                return Response(half, response.status_code, media_type="application/json")
            return response

        return Route(path, endpoint, methods=methods, name=name)

    def _check_token(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        challenge = {"WWW-Authenticate": "Bearer"}
        if not given:
            msg = "the request has no Authorization header; send the service's bearer token"
            raise Refusal("USER_UNAUTHENTICATED", msg, headers=challenge)
        if not secrets.compare_digest(given.encode("utf-8", "replace"), self._authorization):
            msg = (
                "the bearer token is not this service's; without a database it has a new one at "
                "every start"
            )
            raise Refusal("INVALID_AUTH_TOKEN", msg, headers=challenge)
        self._components.http_server.trust(request.scope)

    async def _version(self, request: Request) -> Any:
        own = version("funcx-async")
        if request.query_params.get("service") != "all":
            return own
        return {"api": own, "min_sdk_version": OLDEST_CLIENT, "min_ep_version": OLDEST_CLIENT}

    async def _register(self, request: Request) -> Any:
        registration = await read_v3_body(request, Registration, "FUNCTION_TOO_LARGE")
        function_id = self._components.store.add_function(
            registration.function_name,
            registration.framed_code(),
            description=registration.description,
            metadata=registration.meta,
        )
        return {"function_uuid": function_id}

    async def _function(self, request: Request) -> Any:
        function = self._known_function(request)
        return {
            "function_uuid": function.id,
            "function_name": function.name,
            "function_code": function.code,
            "description": function.description,
            "metadata": {
                key: function.metadata.get(key) for key in ("python_version", "sdk_version")
            },
        }

    async def _delete_function(self, request: Request) -> Any:
        self._components.store.delete_function(self._known_function(request).id)
        return {"result": HTTPStatus.FOUND}

    def _known_function(self, request: Request) -> Function:
        function_id = path_uuid(request, "function")
        function = self._components.store.function(function_id)
        if function is None:
            raise unknown("FUNCTION", function_id)
        return function

    async def _submit(self, request: Request) -> Any:
        endpoint_id = v3_path_uuid(request, "endpoint")
        submission = await read_v3_body(request, Submission, "BATCH_RUN_TOO_LARGE")
        submission.check()
        if self._components.store.endpoint(endpoint_id) is None:
            raise unknown("ENDPOINT", endpoint_id)
        if (missing := self._components.store.unknown_function(submission.tasks)) is not None:
            raise unknown("FUNCTION", missing)
        if allowed := self._components.store.whitelist(endpoint_id):
            for function_id in submission.tasks.keys() - allowed:
                raise not_permitted(function_id, endpoint_id)
        options = submission.options
        if self._components.agents is not None:
            self._components.agents.note_runtime(endpoint_id, options)
        group_id, tasks = await self._components.dispatch.take(
            submission.tasks,
            endpoint_id=endpoint_id,
            group_id=submission.task_group_id,
            create_queue=submission.create_queue,
            result_serializers=submission.result_serializers or (),
            options=options,
        )
        return {
            "request_id": str(uuid.uuid4()),
            "task_group_id": group_id,
            "endpoint_id": endpoint_id,
            "tasks": tasks,
        }

    async def _task(self, request: Request) -> Any:
        task_id = path_uuid(request, "task")
        if self._components.store.task(task_id) is None:
            raise unknown("TASK", task_id)
        return (await self._components.dispatch.documents([task_id]))[task_id]

    async def _batch_status(self, request: Request) -> Any:
        wanted = await read_body(request, TaskIds)
        results = await self._components.dispatch.documents(wanted.task_ids)
        return {"response": "batch", "results": results}

    async def _task_group(self, request: Request) -> Any:
        group_id = path_uuid(request, "group")
        queued = self._components.store.is_queued(group_id)
        if queued is None:
            raise unknown("TASK_GROUP", group_id)
        return {
            "taskgroup_id": group_id,
            "create_websockets_queue": queued,
            "tasks": [
                {"id": task_id, "created_at": datetime.fromtimestamp(created, UTC).isoformat()}
                for task_id, created in self._components.store.tasks_of_group(group_id)
            ],
        }

    async def _connection_url(self, request: Request) -> Any:
        return {
            "queue_prefix": QUEUE_PREFIX,
            "connection_url": self._components.publisher.connection_url(),
        }


def _refused(refusal: Refusal) -> Document:
    return Document(refusal.document(), refusal.status, headers=refusal.headers)


async def _no_such_route(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        msg = f"{request.url.path} does not take {request.method}"
        return _refused(Refusal("METHOD_NOT_ALLOWED", msg, headers=error.headers))
    msg = f"the service has no route {request.method} {request.url.path}"
    return _refused(Refusal("ROUTE_NOT_FOUND", msg))


async def _broken(request: Request, error: Exception) -> Response:
    msg = f"{request.method} {request.url.path} failed in the service, its log says how"
    return _refused(Refusal("INTERNAL_ERROR", msg))
