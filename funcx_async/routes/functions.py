"""Functions: telling the service of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from funcx_async.answers import Registered
from funcx_async.registration import Registration, registration_of
from funcx_async.routes.shared import Routes


class FunctionRoutes(Routes):
    """What can be asked about functions."""

    async def register_function(self, fn: Callable[..., Any], **options: Any) -> str:
        """Register ``fn`` and give its function id.

        Args:
            fn: what to register.
            **options: ``function_name``, ``description``, ``public``, ``group``,
                ``ha_endpoint_id``, ``container_uuid``, as
                :func:`funcx_async.registration.registration_of` has them.

        Raises:
            SerializationError: if it cannot travel.
            RequestRefused: if the service does not take it.
            ServiceUnavailable: if it cannot be asked now.
        """
        return await self.register(registration_of(fn, self._serializer, **options))

    async def register(self, registration: Registration) -> str:
        """Register a function that is serialized already; as :meth:`register_function`."""
        path, body = self.dialect.registration(registration)
        what = f"registering the function {registration.function_name!r}"
        return (await self._rest.read("POST", path, Registered, what, body)).function_uuid
