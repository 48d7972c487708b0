"""Operations on functions: register, read and delete them."""

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
    """Operations on functions."""

    async def register_function(
        self,
        fn: Callable[..., Any],
        *,
        function_name: str | None = None,
        description: str | None = None,
        public: bool = False,
        group: str | UUID | None = None,
        ha_endpoint_id: str | UUID | None = None,
        container_uuid: str | UUID | None = None,
    ) -> str:
        """Register a function and return its id; nothing runs yet.

        Args:
            fn: the function, or any other callable.
            function_name: its name; by default its own.
            description: a description for people; by default its docstring.
            public: whether everybody may run it. Defaults to False.
            group: the Globus group that may run it.
            ha_endpoint_id: the high-assurance endpoint that it is for; excludes ``public`` and
                ``group``.
            container_uuid: the container that it runs in; classic service only.

        Returns:
            The function id.

        Raises:
            TypeError: for what is not callable.
            ValueError: if options exclude each other, or the dialect does not have one.
            SerializationError: if the function cannot be sent.
            RequestRefused: if the service refuses it.
            ServiceUnavailable: if the service is unreachable or busy.

        Example::

            function_id = await client.register_function(add, description="adds two numbers")
        """
        registration = registration_of(
            fn,
            self.serializer,
            function_name=function_name,
            description=description,
            public=public,
            group=None if group is None else str(group),
            ha_endpoint_id=None if ha_endpoint_id is None else str(ha_endpoint_id),
            container_uuid=None if container_uuid is None else str(container_uuid),
        )
        return await self.register(registration)

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
        r"""Register a function by its source text, and return its id.

        The workers execute the text and call ``function_name``. It may be the text of a whole
        module, and be written for another Python than the one here.

        Args:
            source: the text.
            function_name: the function in it to call.
            description: a description for people.
            metadata: ``python_version`` and ``sdk_version``, if they differ from those here.
            public: whether everybody may run it. Defaults to False.
            group: the Globus group that may run it.
            ha_endpoint_id: the high-assurance endpoint that it is for; excludes ``public`` and
                ``group``.

        Returns:
            The function id.

        Raises:
            ValueError: if options exclude each other, the name is not an identifier, or the
                dialect is the classic one, whose service does not accept source.
            TypeError: if the source is not a string.
            SerializationError: if the source has more than 10,000,000 characters.
            RequestRefused: if the service refuses it.
            ServiceUnavailable: if the service is unreachable or busy.

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
        """Register a function that is serialized already, and return its id.

        A warning of the service about a high-assurance endpoint is logged. Raises as
        :meth:`register_function`.

        Args:
            registration: the serialized function and how to register it.

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
        """Return a registered function: its name, its code, the versions it was made with.

        Args:
            function_id: the function.

        Raises:
            NotFound: if the service does not know it.
            Forbidden: if you may not read it.
            FuncXError: as every request.

        Example::

            document = await client.get_function(function_id)
            print(document.function_name, document.metadata)
        """
        function = in_path(function_id, "function")
        what = f"reading the function {function}"
        raw = await self._rest.read("GET", f"/v2/functions/{function}", dict[str, Any], what)
        return record_of(FunctionDocument, raw, what)

    async def delete_function(self, function_id: str | UUID) -> None:
        """Delete a function from the service; tasks that were submitted may still run.

        Args:
            function_id: the function.

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
        """Return which functions an endpoint runs; today's service only.

        Args:
            endpoint_id: the endpoint.

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
        what = f"reading the allowed functions of the endpoint {endpoint}"
        raw = await self._rest.read("GET", path, dict[str, Any], what)
        return record_of(AllowedFunctions, raw, what, endpoint_id=endpoint)
