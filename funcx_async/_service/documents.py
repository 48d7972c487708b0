"""The service's documents of functions, endpoints and locks, as frozen records.

A field that the service leaves out, or fills with something else than its documentation says, is
None; only the ids are always there. ``raw`` is the document as it came, with whatever else is in
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

import msgspec

from funcx_async.errors import ResponseIncomplete
from funcx_async.models import Record

R = TypeVar("R", bound="Document")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Record):
    """The base of the records here; by key each is the service's document.

    Attributes:
        raw: the service's document as it came.
    """

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def _document(self) -> Mapping[str, Any]:
        return self.raw


@dataclass(frozen=True, slots=True)
class FunctionDocument(Document):
    """A registered function.

    Attributes:
        function_id: its id.
        function_name: its name.
        function_code: the serialized function, framed once.
        description: a description for people.
        metadata: ``python_version`` and ``sdk_version`` that it was serialized with.
    """

    function_id: str
    function_name: str | None = None
    function_code: str | None = field(default=None, repr=False)
    description: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EndpointSummary(Document):
    """An endpoint in a list.

    Attributes:
        endpoint_id: its id.
        name: its name in its owner's configuration.
        display_name: its name for people.
        owner: the id of the identity that it belongs to.
    """

    endpoint_id: str
    name: str | None = None
    display_name: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointMetadata(EndpointSummary):
    """The description of an endpoint.

    Attributes:
        multi_user: whether it starts an endpoint for each user that submits to it.
        public: whether everybody can find it.
        endpoint_config: its configuration, as it was registered.
        user_config_template: the template that ``user_endpoint_config`` fills.
        user_config_schema: the JSON schema of ``user_endpoint_config``.
        description: a description for people.
        hostname: the machine that it runs on.
        local_user: the account that it runs under.
        ip_address: the address that it registered from.
        endpoint_version: the version of its software.
        sdk_version: the version of the SDK in it.
        subscription_id: the subscription that it belongs to.
    """

    multi_user: bool | None = None
    public: bool | None = None
    endpoint_config: Any = field(default=None, repr=False)
    user_config_template: str | None = field(default=None, repr=False)
    user_config_schema: Any = field(default=None, repr=False)
    description: str | None = None
    hostname: str | None = None
    local_user: str | None = None
    ip_address: str | None = None
    endpoint_version: str | None = None
    sdk_version: str | None = None
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True)
class AllowedFunctions(Document):
    """The functions that an endpoint runs.

    Attributes:
        endpoint_id: the endpoint.
        restricted: whether it runs only ``functions``; else it runs any.
        functions: the ids of the functions.
    """

    endpoint_id: str
    restricted: bool | None = None
    functions: list[str] | None = None


@dataclass(frozen=True, slots=True)
class EndpointRegistration(Document):
    """What an endpoint's software needs to start; the addresses hold passwords.

    Attributes:
        endpoint_id: the endpoint.
        command_queue_info: where its commands come from; not in the ``repr``, like the others.
        heartbeat_queue_info: where its heartbeats go.
        task_queue_info: where its tasks come from, for an endpoint of the older kind.
        result_queue_info: where its results go, for an endpoint of the older kind.
    """

    endpoint_id: str
    command_queue_info: dict[str, Any] | None = field(default=None, repr=False)
    heartbeat_queue_info: dict[str, Any] | None = field(default=None, repr=False)
    task_queue_info: dict[str, Any] | None = field(default=None, repr=False)
    result_queue_info: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EndpointLock(Document):
    """The lock of an endpoint that was stopped.

    Attributes:
        endpoint_id: the endpoint.
        lock_expiration_timestamp: when it expires, as the service writes it.
    """

    endpoint_id: str
    lock_expiration_timestamp: str | float | None = None


_ELSEWHERE = {
    "endpoint_id": ("endpoint_id", "uuid", "endpoint_uuid"),
    "function_id": ("function_uuid", "function_id"),
    "subscription_id": ("subscription_uuid", "subscription_id"),
}
"""The names of fields in the service's documents, where they differ."""

_SHAPES: dict[type, dict[str, Any]] = {
    kind: {name: shape for name, shape in get_type_hints(kind).items() if name != "raw"}
    for kind in (
        AllowedFunctions,
        EndpointLock,
        EndpointMetadata,
        EndpointRegistration,
        EndpointSummary,
        FunctionDocument,
    )
}
"""The types of the fields of each record."""


def record_of(kind: type[R], raw: Mapping[str, Any], what: str, **known: Any) -> R:
    """Return the record of a document.

    Args:
        kind: which record.
        raw: the document.
        what: the request, for the error.
        **known: fields that are known even where the document lacks them.

    Raises:
        ResponseIncomplete: if the id is missing.

    Example:
        >>> record_of(EndpointSummary, {"uuid": "4b11", "name": "tutorial", "owner": 7}, "asking")
        EndpointSummary(endpoint_id='4b11', name='tutorial', display_name=None, owner=None)
    """
    for name, shape in _SHAPES[kind].items():
        for spelling in _ELSEWHERE.get(name, (name,)):
            try:
                known[name] = msgspec.convert(raw[spelling], shape)
                break
            except (KeyError, msgspec.ValidationError):
                continue
    try:
        return kind(raw=raw, **known)
    except TypeError:
        raise ResponseIncomplete(
            f"The service's answer to {what} has no id in it. Is this the root of a funcX service?"
        ) from None
