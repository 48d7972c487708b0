"""The REST routes that only classic clients use (the v2 dialect of funcX 1.x).

What today's clients use as well is in :mod:`funcx_async.local.web.app`. Containers are recorded for
programs that register them. Functions run in the worker processes all the same.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request

from funcx_async.local.dispatch import Dispatch
from funcx_async.local.store import Store
from funcx_async.local.web.answers import (
    Document,
    PlainRoute,
    Refusal,
    not_permitted,
    path_uuid,
    unknown,
    uuid_of,
)
from funcx_async.local.web.bodies import (
    ClassicRegistration,
    ClassicSubmission,
    Container,
    ContainerSpecification,
    Whitelisted,
    check_payload,
    read_body,
)


class ClassicWeb:
    """The routes of classic clients.

    Args:
        store: what the service remembers.
        dispatch: takes tasks.
    """

    def __init__(self, store: Store, dispatch: Dispatch) -> None:
        self._store = store
        self._dispatch = dispatch

    def routes(self) -> list[PlainRoute]:
        """Return every route."""
        get, post, whitelist = ["GET"], ["POST"], "/v2/endpoints/{endpoint}/whitelist"
        build = "/v2/containers/build"
        return [
            PlainRoute("/v2/authenticate", get, "authenticate", self._authenticate),
            PlainRoute("/v2/functions", post, "register", self._register),
            PlainRoute("/v2/submit", post, "submit", self._submit),
            PlainRoute(whitelist, get, "whitelist", self._whitelist),
            PlainRoute(whitelist, post, "whitelist", self._add_to_whitelist),
            PlainRoute(
                f"{whitelist}/{{function}}", ["DELETE"], "whitelist", self._remove_from_whitelist
            ),
            PlainRoute("/v2/containers", post, "containers", self._add_container),
            PlainRoute(build, post, "containers", self._build_container),
            PlainRoute(f"{build}/{{container}}", get, "containers", self._build_status),
            PlainRoute("/v2/containers/{container}/{type}", get, "containers", self._container),
        ]

    async def _authenticate(self, request: Request) -> Any:
        return "OK"

    async def _register(self, request: Request) -> Any:
        registration = await read_body(request, ClassicRegistration)
        container = registration.container_uuid
        if container is not None and self._store.container(uuid_of(container)) is None:
            raise unknown("CONTAINER", container)
        function_id = self._store.add_function(
            registration.function_name,
            registration.function_code,
            description=registration.description,
            metadata={"container_uuid": container},
        )
        return {"function_uuid": function_id}

    async def _submit(self, request: Request) -> Any:
        submission = await read_body(request, ClassicSubmission)
        triples = submission.triples()
        group_id = uuid_of(submission.task_group_id or str(uuid.uuid4()))
        results: list[dict[str, Any] | None] = []
        accepted: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for function, endpoint, payload in triples:
            try:
                function_id, endpoint_id = self._checked(function, endpoint, payload)
            except Refusal as refusal:
                results.append({**refusal.document(), "task_uuid": str(uuid.uuid4())})
            else:
                results.append(None)
                accepted[endpoint_id].append((function_id, payload))
        taken = await self._dispatch.take_classic(
            accepted, group_id=group_id, create_queue=submission.create_websocket_queue
        )
        ids = {endpoint: iter(some) for endpoint, some in taken.items()}
        answers = [
            _success(next(ids[uuid_of(endpoint)])) if result is None else result
            for result, (_, endpoint, _) in zip(results, triples, strict=True)
        ]
        status = HTTPStatus.OK if all(each is None for each in results) else HTTPStatus.MULTI_STATUS
        document = {"response": "batch", "task_group_id": group_id, "results": answers}
        return Document(document, status)

    def _checked(self, function: str, endpoint: str, payload: str) -> tuple[str, str]:
        """Return the ids of function and endpoint.

        Raises:
            Refusal: why this task cannot run.
        """
        function_id, endpoint_id = uuid_of(function), uuid_of(endpoint)
        if self._store.endpoint(endpoint_id) is None:
            raise unknown("ENDPOINT", endpoint_id)
        if self._store.unknown_function([function_id]) is not None:
            raise unknown("FUNCTION", function_id)
        allowed = self._store.whitelist(endpoint_id)
        if allowed and function_id not in allowed:
            raise not_permitted(function_id, endpoint_id)
        check_payload(function_id, payload)
        return function_id, endpoint_id

    def _endpoint(self, request: Request) -> str:
        endpoint_id = path_uuid(request, "endpoint")
        if self._store.endpoint(endpoint_id) is None:
            raise unknown("ENDPOINT", endpoint_id)
        return endpoint_id

    async def _whitelist(self, request: Request) -> Any:
        return {"status": "Success", "result": self._store.whitelist(self._endpoint(request))}

    async def _add_to_whitelist(self, request: Request) -> Any:
        endpoint_id = self._endpoint(request)
        function_ids = [uuid_of(each) for each in (await read_body(request, Whitelisted)).func]
        if (missing := self._store.unknown_function(dict.fromkeys(function_ids))) is not None:
            raise unknown("FUNCTION", missing)
        self._store.add_to_whitelist(endpoint_id, function_ids)
        return {"status": "Success", "result": function_ids}

    async def _remove_from_whitelist(self, request: Request) -> Any:
        endpoint_id, function_id = self._endpoint(request), path_uuid(request, "function")
        if function_id not in self._store.whitelist(endpoint_id):
            raise unknown("FUNCTION", function_id)
        self._store.remove_from_whitelist(endpoint_id, function_id)
        return {"status": "Success", "result": function_id}

    async def _add_container(self, request: Request) -> Any:
        container = await read_body(request, Container)
        return {"container_id": self._store.add_container(msgspec.to_builtins(container))}

    async def _build_container(self, request: Request) -> Any:
        specification = await read_body(request, ContainerSpecification)
        return {"container_id": self._store.add_container(msgspec.to_builtins(specification))}

    async def _build_status(self, request: Request) -> Any:
        self._known_container(request)
        return {"status": "ready"}  # there is nothing to build

    async def _container(self, request: Request) -> Any:
        container_id, container = self._known_container(request)
        return {"container": {"container_uuid": container_id, **container}}

    def _known_container(self, request: Request) -> tuple[str, dict[str, Any]]:
        container_id = path_uuid(request, "container")
        container = self._store.container(container_id)
        if container is None:
            raise unknown("CONTAINER", container_id)
        return container_id, container


def _success(task_id: str) -> dict[str, Any]:
    return {
        "status": "Success",
        "task_uuid": task_id,
        "http_status_code": int(HTTPStatus.OK),
        "reason": None,
    }
