"""The REST routes that both dialects share, and those of today's clients (v3)."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from funcx_async.local.agents.login import LoginWeb
from funcx_async.local.agents.registering import AgentWeb
from funcx_async.local.bodies import Submission, TaskIds, read_body, read_v3_body
from funcx_async.local.classic import ClassicWeb
from funcx_async.local.endpoints import EndpointWeb
from funcx_async.local.functions import FunctionWeb
from funcx_async.local.parts import Parts
from funcx_async.local.publisher import QUEUE_PREFIX
from funcx_async.local.refusals import Refusal, not_permitted, unknown
from funcx_async.local.replies import Cut, Document, path_uuid, v3_path_uuid
from funcx_async.local.status.web import StatusWeb
from funcx_async.local.switches import Reply

logger = logging.getLogger(__name__)

OLDEST_CLIENT: Final = "1.0.0"
"""Official clients and endpoints below this version are told to upgrade."""

Answer = Callable[[Request], Awaitable[Any]]


class Web:
    """The routes and what they answer.

    Args:
        parts: what answers them.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._authorization = f"Bearer {parts.token}".encode()
        status = StatusWeb(parts, check_token=self._check_token)
        self.app = Starlette(
            routes=[*self._routes(), *status.routes()],
            exception_handlers={HTTPException: _no_such_route, Exception: _broken},
        )

    def _routes(self) -> list[Route]:
        parts = self._parts
        store, agents = parts.store, parts.agents
        get, post, v3 = ["GET"], ["POST"], "/v3/endpoints/{endpoint}"
        further = [
            *FunctionWeb(store).routes(),
            *EndpointWeb(store, parts.pool, agents, parts.switches).routes(),
            *ClassicWeb(store, parts.dispatch).routes(),
            *AgentWeb(store, agents).routes(),
            *LoginWeb(parts.token, taken=agents is not None).routes(),
        ]
        return [
            self._route("/v2/version", get, "version", self._version, public=True),
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
        """A route that checks the token, obeys the switches, and answers with documents."""

        async def endpoint(request: Request) -> Response:
            """Answer with the document, or with what the switches make of it."""
            try:
                self._parts.switches.arriving(name)
                if not public:
                    self._check_token(request)
                answered = await answer(request)
                response = answered if isinstance(answered, Document) else Document(answered)
            except Refusal as refusal:
                response = _refused(refusal)
            except ClientDisconnect:
                # In the middle of its request: there is nobody to answer.
                return Cut(self._parts.listener.cut)
            reply = await self._parts.switches.leaving(name)
            if reply is Reply.LOST:
                return Cut(self._parts.listener.cut)
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

    async def _version(self, request: Request) -> Any:
        own = version("funcx-async")
        if request.query_params.get("service") != "all":
            return own
        return {"api": own, "min_sdk_version": OLDEST_CLIENT, "min_ep_version": OLDEST_CLIENT}

    async def _submit(self, request: Request) -> Any:
        endpoint_id = v3_path_uuid(request, "endpoint")
        submission = await read_v3_body(request, Submission, "BATCH_RUN_TOO_LARGE")
        submission.check()
        if self._parts.store.endpoint(endpoint_id) is None:
            raise unknown("ENDPOINT", endpoint_id)
        for function_id in self._parts.store.unknown_functions(submission.tasks):
            raise unknown("FUNCTION", function_id)
        if allowed := self._parts.store.whitelist(endpoint_id):
            for function_id in submission.tasks.keys() - allowed:
                raise not_permitted(function_id, endpoint_id)
        wishes = submission.wishes
        if self._parts.agents is not None:
            self._parts.agents.note_runtime(endpoint_id, wishes)
        group_id, tasks = await self._parts.dispatch.take(
            submission.tasks,
            endpoint_id=endpoint_id,
            group_id=submission.task_group_id,
            create_queue=submission.create_queue,
            result_serializers=submission.result_serializers or (),
            wishes=wishes,
        )
        return {
            "request_id": str(uuid.uuid4()),
            "task_group_id": group_id,
            "endpoint_id": endpoint_id,
            "tasks": tasks,
        }

    async def _task(self, request: Request) -> Any:
        task_id = path_uuid(request, "task")
        if self._parts.store.task(task_id) is None:
            raise unknown("TASK", task_id)
        return self._parts.dispatch.documents([task_id])[task_id]

    async def _batch_status(self, request: Request) -> Any:
        wanted = await read_body(request, TaskIds)
        return {"response": "batch", "results": self._parts.dispatch.documents(wanted.task_ids)}

    async def _task_group(self, request: Request) -> Any:
        group_id = path_uuid(request, "group")
        group = self._parts.store.task_group(group_id)
        if group is None:
            raise unknown("TASK_GROUP", group_id)
        return {
            "taskgroup_id": group_id,
            "create_websockets_queue": group.queued,
            "tasks": [
                {"id": task_id, "created_at": datetime.fromtimestamp(created, UTC).isoformat()}
                for task_id, created in self._parts.store.tasks_of_group(group_id)
            ],
        }

    async def _connection_url(self, request: Request) -> Any:
        return {
            "queue_prefix": QUEUE_PREFIX,
            "connection_url": self._parts.publisher.connection_url(),
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
