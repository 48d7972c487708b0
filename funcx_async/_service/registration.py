"""The registration of a function: its serialized form, and who may run it."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from keyword import iskeyword
from typing import Any

from funcx_async.errors import SerializationError
from funcx_async.serialize import FuncXSerializer, explain
from funcx_async.serialize.serializer import MAX_PAYLOAD

DIALECT_VERSION = "4.19.0"
"""The version of the official SDK whose requests ours equal; the service reads it."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A function to register.

    Attributes:
        function_name: its name.
        function_code: the serialized function, framed once.
        serde_identifier: the two characters of the code strategy; empty for plain source, which
            the service prepares for workers.
        description: a description for people.
        public: whether everybody may run it. Defaults to False.
        group: the Globus group that may run it.
        ha_endpoint_id: the high-assurance endpoint that it is for; excludes public and group.
        container_uuid: the container that it runs in; classic service only.
        metadata: the versions of Python and SDK that it was made with; by default those here.
    """

    function_name: str
    function_code: str
    serde_identifier: str
    description: str | None = None
    public: bool = False
    group: str | None = None
    ha_endpoint_id: str | None = None
    container_uuid: str | None = None
    metadata: Mapping[str, str] | None = None

    @property
    def is_source(self) -> bool:
        """Whether the code is plain source."""
        return not self.serde_identifier

    @property
    def digest(self) -> str:
        """A hash of the content: equal for equal functions registered in the same way."""
        told = (
            self.function_name,
            self.function_code,
            self.description,
            self.public,
            self.group,
            self.ha_endpoint_id,
            self.container_uuid,
        )
        return sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()

    def body(self) -> dict[str, Any]:
        """Return the body of the request; fields that are not set are left out."""
        here = {"python_version": platform.python_version(), "sdk_version": DIALECT_VERSION}
        strategy = {} if self.is_source else {"serde_identifier": self.serde_identifier}
        body: dict[str, Any] = {
            "function_name": self.function_name,
            "function_code": self.function_code,
            "serialized": not self.is_source,
            "meta": {**(self.metadata or here), **strategy},
        }
        optional = {
            "description": self.description,
            "public": self.public or None,
            "group": self.group,
            "ha_endpoint_id": self.ha_endpoint_id,
        }
        return body | {name: value for name, value in optional.items() if value is not None}


def registration_of(
    fn: Callable[..., Any],
    serializer: FuncXSerializer,
    *,
    function_name: str | None = None,
    description: str | None = None,
    public: bool = False,
    group: str | None = None,
    ha_endpoint_id: str | None = None,
    container_uuid: str | None = None,
) -> Registration:
    """Serialize a function, and return its registration.

    Args:
        fn: the function, or any other callable.
        serializer: writes it.
        function_name: its name; by default its own.
        description: a description for people; by default its docstring.
        public: whether everybody may run it. Defaults to False.
        group: the Globus group that may run it.
        ha_endpoint_id: the high-assurance endpoint that it is for; excludes ``public`` and
            ``group``.
        container_uuid: the container that it runs in; classic service only.

    Raises:
        TypeError: if ``fn`` is not callable.
        ValueError: if options exclude each other.
        SerializationError: if it cannot be sent, or makes more than 10,000,000 bytes.
    """
    if not callable(fn):
        raise TypeError(f"A function to run is needed, not a {type(fn).__name__}: {fn!r:.80}")
    _check_sharing(ha_endpoint_id, public, group)
    code = serializer.serialize_function(fn)
    if len(code) > MAX_PAYLOAD:
        raise _too_large(fn, len(code))
    name = function_name or getattr(fn, "__name__", None) or type(fn).__name__
    if description is None and (inspect.isroutine(fn) or inspect.isclass(fn)):
        description = inspect.getdoc(fn)
    return Registration(
        function_name=name,
        function_code=serializer.pack_buffers([code]),
        serde_identifier=code[:2],
        description=description,
        public=public,
        group=group,
        ha_endpoint_id=ha_endpoint_id,
        container_uuid=container_uuid,
    )


def _too_large(fn: Callable[..., Any], size: int) -> SerializationError:
    parts = [part for part in explain(fn).parts if part.travels == "by value"]
    largest = max(parts, key=lambda part: part.size)
    return SerializationError(
        f"The function makes {size:,} bytes, and the service takes at most {MAX_PAYLOAD:,}. The "
        f"largest part is {largest.name} ({largest.kind}, {largest.size:,} bytes; {largest.why}). "
        "Keep large objects elsewhere and read them in the function."
    )


def registration_of_source(
    source: str,
    function_name: str,
    *,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    public: bool = False,
    group: str | None = None,
    ha_endpoint_id: str | None = None,
) -> Registration:
    """Return the registration of a function by its source.

    The source is not compiled here: it may be for a newer Python.

    Args:
        source: defines the function, and everything that it needs.
        function_name: the function in it to call.
        description: a description for people.
        metadata: the versions of Python and SDK, if they differ from those here.
        public: whether everybody may run it. Defaults to False.
        group: the Globus group that may run it.
        ha_endpoint_id: the high-assurance endpoint that it is for; excludes ``public`` and
            ``group``.

    Raises:
        TypeError: if the source is not a string.
        ValueError: if options exclude each other, or the name is not an identifier.
        SerializationError: if the source has more than 10,000,000 characters.
    """
    if not isinstance(source, str):
        raise TypeError(f"The source of a function is a text, not a {type(source).__name__}.")
    if not str(function_name).isidentifier() or iskeyword(str(function_name)):
        raise ValueError(f"{function_name!r:.80} cannot be the name of a function in the source.")
    _check_sharing(ha_endpoint_id, public, group)
    if len(source) > MAX_PAYLOAD:
        raise SerializationError(
            f"The source has {len(source):,} characters, and the service takes at most "
            f"{MAX_PAYLOAD:,}. Keep large objects elsewhere and read them in the function."
        )
    return Registration(
        function_name=function_name,
        function_code=source,
        serde_identifier="",
        description=description,
        public=public,
        group=group,
        ha_endpoint_id=ha_endpoint_id,
        metadata=metadata,
    )


def _check_sharing(ha_endpoint_id: str | None, public: bool, group: str | None) -> None:
    if ha_endpoint_id is not None and (public or group):
        raise ValueError("ha_endpoint_id excludes public and group.")
