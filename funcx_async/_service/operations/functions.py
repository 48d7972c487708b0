"""Functions: telling the service of them, asking for them, and having them forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from funcx_async._service.answers import Registered
from funcx_async._service.documents import AllowedFunctions, FunctionDocument, record_of
from funcx_async._service.operations.base import Operations, in_path
from funcx_async._service.registration import Registration, registration_of, registration_of_source
from funcx_async.errors import printable

_log = logging.getLogger("funcx_async.service")


class FunctionOperations(Operations):
    """What can be asked about functions."""

    async def register_function(self, fn: Callable[..., Any], **options: Any) -> str:
        """Register ``fn`` and give its function id.

        Args:
            fn: what to register.
            **options: ``function_name``, ``description``, ``public``, ``group``,
                ``ha_endpoint_id``, ``container_uuid``, as
                :func:`funcx_async._service.registration.registration_of` has them.

        Raises:
            SerializationError: if it cannot travel.
            RequestRefused: if the service does not take it.
            ServiceUnavailable: if it cannot be asked now.

        Example::

            function_id = await client.register_function(add, description="adds two numbers")
        """
        return await self.register(registration_of(fn, self.serializer, **options))

    async def register_source_code(
        self,
        source: str,
        function_name: str,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
        public: bool = False,
        group: str | UUID | None = None,
        ha_endpoint_id: str | UUID | None = None,
    ) -> str:
        r"""Register a function by its source, which may be that of a whole module.

        The workers execute the source and call what is named ``function_name`` then, so it may be
        for another Python than the one here.

        Args:
            source: the source.
            function_name: the function in it to call.
            description: for people.
            metadata: ``python_version`` and ``sdk_version``, where they are not those here.
            public: let everybody run it.
            group: let this Globus group run it.
            ha_endpoint_id: register it for this high-assurance endpoint alone.

        Raises:
            ValueError: if options exclude each other, the name can be none of a function, or the
                dialect is the classic one, whose service cannot be told source.
            TypeError: if the source is no text.
            SerializationError: if the source is larger than the service takes.
            RequestRefused: if the service does not take it.
            ServiceUnavailable: if it cannot be asked now.

        Example::

            source = "def double(x):\n    return 2 * x\n"
            function_id = await client.register_source_code(source, "double")
        """
        registration = registration_of_source(
            source,
            function_name,
            description=description,
            metadata=metadata,
            public=public,
            group=None if group is None else str(group),
            ha_endpoint_id=None if ha_endpoint_id is None else str(ha_endpoint_id),
        )
        return await self.register(registration)

    async def register(self, registration: Registration) -> str:
        """Register a function that is serialized already; as :meth:`register_function`.

        What the service says about a function of a high-assurance endpoint goes to the log, as a
        warning.

        Example::

            registration = registration_of(add, FuncXSerializer(), public=True)
            function_id = await client.register(registration)
        """
        method, path, body = self.dialect.registration(registration)
        what = f"registering the function {registration.function_name!r}"
        answer = await self._rest.read(method, path, Registered, what, body)
        if answer.ha_warning:
            _log.warning("The service says of %s: %s", what, printable(answer.ha_warning))
        return answer.function_uuid

    async def get_function(self, function_id: str | UUID) -> FunctionDocument:
        """Ask what is known of a function: its name, its code, what it was made with.

        Raises:
            NotFound: if the service does not know it.
            Forbidden: if it is not yours to see.
            FuncXError: as every request.

        Example::

            document = await client.get_function(function_id)
            print(document.function_name, document.metadata)
        """
        function = in_path(function_id, "function")
        what = f"asking for the function {function}"
        raw = await self._rest.read("GET", f"/v2/functions/{function}", dict[str, Any], what)
        return record_of(FunctionDocument, raw, what)

    async def delete_function(self, function_id: str | UUID) -> None:
        """Have the service forget a function; tasks that it took already may still run.

        Raises:
            NotFound: if the service does not know it.
            Forbidden: if it is not yours.
            FuncXError: as every request.

        Example::

            await client.delete_function(function_id)
        """
        function = in_path(function_id, "function")
        await self._rest.ask("DELETE", f"/v2/functions/{function}", f"deleting {function}")

    async def get_allowed_functions(self, endpoint_id: str | UUID) -> AllowedFunctions:
        """Ask which functions an endpoint runs; of today's service.

        Raises:
            NotFound: if the service does not know the endpoint.
            FuncXError: as every request.

        Example::

            allowed = await client.get_allowed_functions(endpoint_id)
            if allowed.restricted:
                print(allowed.functions)
        """
        endpoint = in_path(endpoint_id, "endpoint")
        path = f"/v3/endpoints/{endpoint}/allowed_functions"
        what = f"asking what the endpoint {endpoint} may run"
        raw = await self._rest.read("GET", path, dict[str, Any], what)
        return record_of(AllowedFunctions, raw, what, endpoint_id=endpoint)
