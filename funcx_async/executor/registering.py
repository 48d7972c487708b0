"""The verbs that register functions, for an executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from funcx_async.executor.submitting import checked_function_id
from funcx_async.registration import registration_of_source
from funcx_async.session.functions import Function, Functions
from funcx_async.session.session import Session
from funcx_async.settings.settings import Settings


class Registering(ABC):
    """Registers functions; the subclass says with whom."""

    _settings: Settings

    @abstractmethod
    def _bound(self) -> Session:
        """Give the session, making it at first use; raises where none may be used."""

    @abstractmethod
    def _functions(self, *, source: bool = True) -> Functions:
        """Give the functions that new tasks may be of."""

    async def register_function(
        self, fn: Callable[..., Any], function_id: str | UUID | None = None, **options: Any
    ) -> str:
        """Register ``fn`` now; ``submit`` does it by itself, so this is for setting options.

        Args:
            fn: the function.
            function_id: its id, if it is registered already: nothing is asked then.
            **options: ``function_name``, ``description``, ``public``, ``group``,
                ``ha_endpoint_id``, ``container_uuid`` of the registration.

        Returns:
            The function id, which ``submit`` uses for ``fn`` from now on.

        Raises:
            ValueError: if ``fn`` is in the executor's cache already.
            SerializationError: if it cannot travel.
            ExecutorClosed: after ``shutdown``.
            FuncXError: as every request; it can be registered anew then.
        """
        session, function = self._bound(), self._noted(fn, function_id, options)
        deadline = self._settings.retry_deadline
        return await self._functions().register(function, session.client, deadline)

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

        Args:
            source: the source; the workers execute it, and call the function then.
            function_name: the function in it to call.
            description: for people.
            metadata: ``python_version`` and ``sdk_version``, where they are not those here.
            public: let everybody run it.
            group: let this Globus group run it.
            ha_endpoint_id: register it for this high-assurance endpoint alone.

        Returns:
            The function id, for :meth:`submit_to_registered_function`.

        Raises:
            ValueError: if it is in the executor's cache already, options exclude each other, the
                name can be none of a function, or the service is the classic one.
            TypeError: if the source is no text.
            SerializationError: if it is too large.
            ExecutorClosed: after ``shutdown``.
            FuncXError: as every request; it can be registered anew then.

        Example::

            source = "def double(x):\n    return 2 * x\n"
            function_id = await fxe.register_source_code(source, "double")
            assert await fxe.submit_to_registered_function(function_id, (21,)) == 42
        """
        session, functions = self._bound(), self._functions()
        registration = registration_of_source(
            source,
            function_name,
            description=description,
            metadata=metadata,
            public=public,
            group=None if group is None else str(group),
            ha_endpoint_id=None if ha_endpoint_id is None else str(ha_endpoint_id),
        )
        function = functions.add_source(registration)
        return await functions.register(function, session.client, self._settings.retry_deadline)

    def _noted(
        self, fn: Callable[..., Any], function_id: str | UUID | None, options: dict[str, Any]
    ) -> Function:
        """Serialize a function that is to be registered."""
        known = None if function_id is None else checked_function_id(function_id)
        return self._functions().add(fn, known, options)
