"""The functions that an executor has seen, each registered once.

Known by content: two functions with equal code, names and values are one, so lambdas made in a
loop register once. A function object that was seen before is recognised without looking into it;
its globals are those of its first submit.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any

from funcx_async._core.backoff import Backoff
from funcx_async._service.registration import Registration, registration_of
from funcx_async._session.edits import warn_of_edits, watched
from funcx_async.client import FuncXClient
from funcx_async.errors import ServiceUnavailable
from funcx_async.serialize import FuncXSerializer

REMEMBERED = 1_024
"""How many functions are known by their content; the least recently used is forgotten first."""

_log = logging.getLogger("funcx_async.retry")


class Function:
    """A function on its way to a function id.

    Attributes:
        registration: what is sent to register it; None once it is registered.
        function_id: the service's id; None until then.
        name: its name, for people; None for one that is known by its id alone.
    """

    __slots__ = ("_asking", "_registering", "function_id", "name", "registration")

    def __init__(
        self, registration: Registration | None = None, function_id: str | None = None
    ) -> None:
        self.registration = registration
        self.function_id = function_id
        self.name = None if registration is None else registration.function_name
        self._registering: asyncio.Task[str] | None = None
        self._asking = 0

    def __repr__(self) -> str:
        return f"<Function {self.name or self.function_id}>"

    async def registered(self, client: FuncXClient, deadline: float) -> str:
        """Return the function id; register the function at the first call, once for all callers.

        Args:
            client: asks the service.
            deadline: seconds for which the service is asked again while it is unavailable.

        Raises:
            FuncXError: why the service does not register it; the next who asks tries again.
        """
        if self.function_id is not None:
            return self.function_id
        loop = asyncio.get_running_loop()
        registering = self._registering
        if registering is None or registering.get_loop() is not loop:
            registering = loop.create_task(self._register(client, deadline), name="funcx:register")
            registering.add_done_callback(_retrieve)
            self._registering = registering
            self._asking = 0
        self._asking += 1
        try:
            return await asyncio.shield(registering)
        finally:
            self._asking -= 1
            if not self._asking and self._registering is registering:
                self._registering = None
                registering.cancel()  # no caller waits for it any more

    async def _register(self, client: FuncXClient, deadline: float) -> str:
        registration = self.registration
        if registration is None:
            raise RuntimeError("A function without an id has a registration.")
        self.function_id = await _register_with_retries(registration, client, deadline)
        self.registration = None
        return self.function_id


async def _register_with_retries(
    registration: Registration, client: FuncXClient, deadline: float
) -> str:
    """Register a function; retry for at most ``deadline`` seconds while it was not taken."""
    clock = asyncio.get_running_loop()
    until = clock.time() + deadline
    backoff = Backoff()
    while True:
        try:
            return await client.register(registration)
        except ServiceUnavailable as error:
            left = until - clock.time()
            if left <= 0:
                raise
            chance = random.random()  # noqa: S311 - spreads the retries, hides nothing
            # A service that asks for more time than there is gets a last request at the deadline.
            delay = min(max(backoff.next_delay(chance), error.retry_after or 0), left)
            _log.info(
                "%s Trying again in %.1f s.", error, delay, extra={"request_id": error.request_id}
            )
            await asyncio.sleep(delay)


class _Seen:
    """How a function object was when it was first submitted.

    Its code and its defaults can be exchanged, though not changed.

    Attributes:
        function: what is known of it.
        watched: the user's functions and classes that it reads, to see whether they change.
    """

    __slots__ = ("_code", "_defaults", "function", "watched")

    def __init__(self, fn: Any, function: Function) -> None:
        self._code = getattr(fn, "__code__", None)
        self._defaults = getattr(fn, "__defaults__", None)
        self.function = function
        self.watched = watched(fn) if isinstance(fn, FunctionType) else ()

    def is_still(self, fn: Any) -> bool:
        """Whether the object is as it was."""
        if self._code is None:
            return True
        same = fn.__code__ is self._code and fn.__defaults__ is self._defaults
        return same and not fn.__kwdefaults__

    def look_for_edits(self, fn: Any) -> None:
        """Warn, once, if what was sent with the function was defined again since."""
        names = list(dict.fromkeys(each.told for each in self.watched if each.is_edited))
        if names:
            self.watched = tuple(each for each in self.watched if each.told not in names)
            warn_of_edits(fn, names)


class Functions:
    """The functions of one executor; asked from any thread.

    Args:
        serializer: writes them.
        container_id: the container that they run in; of the classic service.
    """

    def __init__(self, serializer: FuncXSerializer, container_id: str | None = None) -> None:
        self._serializer = serializer
        self._container_id = container_id
        self._lock = threading.Lock()
        self._by_object: weakref.WeakKeyDictionary[Any, _Seen] = weakref.WeakKeyDictionary()
        self._by_content: OrderedDict[str, Function] = OrderedDict()

    def find(self, fn: Callable[..., Any]) -> Function:
        """Return the function that ``fn`` is, known or new.

        Raises:
            TypeError: if ``fn`` is not callable.
            SerializationError: if it cannot travel.
        """
        seen = self._object(fn)
        if seen is not None:
            if seen.watched:
                seen.look_for_edits(fn)
            return seen.function
        registration = self._registration(fn)
        return self._keep(fn, registration.digest, Function(registration))

    def add(
        self, fn: Callable[..., Any], function_id: str | None, options: dict[str, Any]
    ) -> Function:
        """Add ``fn``, with the options of its registration.

        Args:
            fn: the function.
            function_id: its id, if it is registered already.
            options: of its registration, see ``registration_of``.

        Raises:
            ValueError: if ``fn`` is here already.
            TypeError: if ``fn`` is not callable, or for an unknown option.
            SerializationError: if it cannot travel.
        """
        plain = self._registration(fn)
        with self._lock:
            seen = self._object(fn)
            known = seen.function if seen else self._by_content.get(plain.digest)
        _check_new(plain, known)
        registration = self._registration(fn, **options) if options else plain
        function = Function(None if function_id else registration, function_id)
        return self._keep(fn, plain.digest, function)

    def add_source(self, registration: Registration) -> Function:
        """Add a function that is registered by its source, for its id alone.

        Raises:
            ValueError: if it is here already.
        """
        with self._lock:
            known = self._by_content.get(registration.digest)
        _check_new(registration, known)
        return self._keep(None, registration.digest, Function(registration))

    async def register(self, function: Function, client: FuncXClient, deadline: float) -> str:
        """Register a function that was added; if that fails, it may be added again.

        Raises:
            FuncXError: as every request.
        """
        try:
            return await function.registered(client, deadline)
        except BaseException:  # cancelled as well
            self.forget(function)
            raise

    def forget(self, function: Function) -> None:
        """Forget a function that could not be registered, so that it may be added again."""
        with self._lock:
            for digest, known in list(self._by_content.items()):
                if known is function:
                    del self._by_content[digest]
            for fn, seen in list(self._by_object.items()):
                if seen.function is function:
                    del self._by_object[fn]

    def _registration(self, fn: Callable[..., Any], **options: Any) -> Registration:
        return registration_of(
            fn, self._serializer, **{"container_uuid": self._container_id, **options}
        )

    def _object(self, fn: Callable[..., Any]) -> _Seen | None:
        """Return what is known of a function whose very object was here, and is as it was."""
        if not isinstance(fn, _KNOWN_BY_OBJECT):
            return None
        seen = self._by_object.get(fn)
        return seen if seen is not None and seen.is_still(fn) else None

    def _keep(self, fn: Callable[..., Any] | None, digest: str, function: Function) -> Function:
        with self._lock:
            function = self._by_content.setdefault(digest, function)
            self._by_content.move_to_end(digest)
            if fn is not None and _is_frozen(fn):
                self._by_object[fn] = _Seen(fn, function)
            if len(self._by_content) > REMEMBERED:
                self._by_content.popitem(last=False)
            return function


class Registry:
    """The functions of one executor, apart for each way of telling the service of them."""

    def __init__(self) -> None:
        self._functions: dict[tuple[FuncXSerializer, str | None, bool], Functions] = {}

    def functions(
        self, serializer: FuncXSerializer, container_id: str | None, *, source: bool = True
    ) -> Functions:
        """Return the functions that are registered in this way.

        Args:
            serializer: writes them.
            container_id: the container that they run in; of the classic service.
            source: False for endpoints that cannot read functions as source.
        """
        way = (serializer, container_id, source)
        functions = self._functions.get(way)
        if functions is None:
            functions = self._functions.setdefault(way, self._new(*way))
        return functions

    def _new(
        self, serializer: FuncXSerializer, container_id: str | None, source: bool
    ) -> Functions:
        without = serializer if source else serializer.without_source()
        if without is serializer and not source:  # nothing would be written in another way
            return self.functions(serializer, container_id)
        return Functions(without, container_id)


def _check_new(registration: Registration, known: Function | None) -> None:
    if known is not None:
        raise ValueError(
            f"The function {registration.function_name!r} is in this executor's cache already"
            + (f", as {known.function_id}" if known.function_id else "")
            + ": register it once."
        )


def _is_frozen(fn: Callable[..., Any]) -> bool:
    """Whether ``fn`` has no state of its own that could change between two submits."""
    if not isinstance(fn, _KNOWN_BY_OBJECT):
        return False
    if isinstance(fn, BuiltinFunctionType):
        return True
    if fn.__closure__ or fn.__kwdefaults__:
        return False
    return all(isinstance(default, _CONSTANT) for default in fn.__defaults__ or ())


_KNOWN_BY_OBJECT = (FunctionType, BuiltinFunctionType)
_CONSTANT = (type(None), bool, int, float, complex, str, bytes)


def _retrieve(registering: asyncio.Task[str]) -> None:
    """Retrieve the exception: its callers have it, and there may be none left."""
    if not registering.cancelled():
        registering.exception()
