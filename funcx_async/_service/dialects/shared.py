"""What a dialect is: whatever depends on the generation of the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol, TypedDict
from uuid import UUID

from funcx_async._net.environments import Deployments
from funcx_async._service.registration import Registration
from funcx_async.models import Receipt
from funcx_async.serialize.strategy import SerializationStrategy


class Post(NamedTuple):
    """A request: its path, and its body before it is made JSON."""

    path: str
    body: dict[str, Any]


class Request(NamedTuple):
    """A request of any kind: its method, its path, and its body or None for none."""

    method: str
    path: str
    body: dict[str, Any] | None


class EndpointOptions(TypedDict, total=False):
    """What can be said of an endpoint that is registered.

    Attributes:
        metadata: versions, host, configuration, template and schema, for people and programs.
        multi_user: it starts endpoints of their own for the users that submit to it.
        display_name: its name for people.
        allowed_functions: the ids of the only functions that it runs.
        auth_policy: the id of the Globus policy that its users have to meet.
        subscription_id: the subscription that it belongs to.
        public: everybody can find it.
        high_assurance: it is for protected data.
        admins: the ids of identities that may manage it, too.
    """

    metadata: Mapping[str, Any] | None
    multi_user: bool | None
    display_name: str | None
    allowed_functions: Sequence[str | UUID] | None
    auth_policy: str | UUID | None
    subscription_id: str | UUID | None
    public: bool | None
    high_assurance: bool | None
    admins: Sequence[str | UUID] | None


class Options(Protocol):
    """What tasks can be told besides their arguments."""

    @property
    def resource_specification(self) -> Mapping[str, Any] | None:
        """What the tasks need, as the endpoint defines it."""
        ...

    @property
    def user_endpoint_config(self) -> Mapping[str, Any] | None:
        """The configuration of the user's endpoint."""
        ...

    @property
    def result_serializers(self) -> Sequence[str] | None:
        """Import paths of the strategies for results, tried in order."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """Tasks to submit: for each function id the payloads, one for each task."""

    endpoint_id: str
    tasks: Mapping[str, Sequence[str]]
    task_group_id: str | None = None
    create_queue: bool = True
    resource_specification: Mapping[str, Any] | None = None
    user_endpoint_config: Mapping[str, Any] | None = None
    result_serializers: Sequence[str] | None = None
    user_runtime: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        """How many tasks there are."""
        return sum(len(payloads) for payloads in self.tasks.values())


class Dialect(Protocol):
    """What depends on the dialect."""

    @property
    def deployments(self) -> Deployments:
        """Where services of this kind are."""
        ...

    @property
    def user_agent(self) -> str:
        """What a client calls itself; the service reads the version in it."""
        ...

    @property
    def sdk_name(self) -> str:
        """The official package whose requests ours equal."""
        ...

    @property
    def sdk_version(self) -> str:
        """The version of that package."""
        ...

    @property
    def code_strategy(self) -> type[SerializationStrategy] | None:
        """How functions are written unless the user chooses; None is the serializer's default."""
        ...

    @property
    def takes_options(self) -> bool:
        """Whether tasks can be told anything besides their arguments."""
        ...

    @property
    def reading_consumes(self) -> bool:
        """Whether the service hands a result out once, and then no longer knows the task."""
        ...

    def new_task_group(self) -> str | None:
        """Make the id of a task group, or None where only the service can."""
        ...

    def check_container(self, container_id: str | None) -> None:
        """Raise ValueError if functions cannot be put into this container."""
        ...

    def check_options(self, options: Options) -> None:
        """Raise ValueError if tasks cannot be told this."""
        ...

    def registration(self, registration: Registration) -> Post:
        """Phrase a registration."""
        ...

    def submit(self, order: Order) -> Post:
        """Phrase a submit."""
        ...

    def receipt(self, answer: bytes, order: Order, what: str) -> Receipt:
        """Read the answer to a submit; ResponseNotUnderstood if it is none."""
        ...

    def endpoint_registration(
        self, name: str, endpoint_id: str | None, options: EndpointOptions
    ) -> Request:
        """Phrase the registration of an endpoint; ValueError for what cannot be said."""
        ...

    def lock(self, endpoint_id: str) -> Request:
        """Phrase the locking of an endpoint."""
        ...


def user_agent(sdk: str, sdk_version: str) -> str:
    """Give what a client calls itself.

    That is this package, by name and version. The service splits it at the slashes, and looks for
    the official SDK's version, to know which dialect it is spoken to in; so that follows, true as
    far as our requests equal those of that version. We are no globus-sdk and do not claim to be.
    """
    return f"funcx-async-{version('funcx-async')}/{sdk}-{sdk_version}"
