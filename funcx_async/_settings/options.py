"""The options of an executor and of its tasks, checked when they are given."""

from __future__ import annotations

import copy
import enum
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict, Unpack
from uuid import UUID

from funcx_async._core.batcher import Route
from funcx_async._futures.observer import Observer
from funcx_async._net.environment import ENDPOINT_VARIABLE
from funcx_async._process import level_of_user
from funcx_async._service.dialects import DIALECTS, Dialect
from funcx_async._settings.checks import (
    as_json,
    check_choice,
    check_positive,
    checked_batch_size,
    checked_endpoint,
    checked_key,
    checked_path,
    checked_port,
    checked_serializer,
)
from funcx_async._settings.retry_policy import POLICY_OPTIONS, RetryOn, RetryPolicy
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.serializer import Strategylike, import_path

NO_ENDPOINT: Final = (
    "There is no endpoint to submit to: give FuncXExecutor(endpoint_id=...), or set the "
    f"environment variable {ENDPOINT_VARIABLE}."
)
"""The message of errors where no endpoint is given."""


class NotGiven(enum.Enum):
    """The type of ``NOT_GIVEN``."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven.NOT_GIVEN
"""The default of a deprecated option: any value that is given causes a warning."""


class TaskOptions(TypedDict, total=False):
    """The options of a view of an executor, which :class:`TaskSettings` describes.

    ``timeout``, ``retries`` and ``retry_on`` make its
    :class:`funcx_async._settings.retry_policy.RetryPolicy`.
    """

    endpoint_id: str | UUID | None
    task_group_id: str | UUID | None
    resource_specification: Mapping[str, Any] | None
    user_endpoint_config: Mapping[str, Any] | None
    result_serializers: Iterable[Strategylike] | None
    timeout: float | None
    retries: int
    retry_on: RetryOn
    key: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How an executor works.

    Attributes:
        container_id: where functions run, a container of the classic service; None: in none.
        batch_size: how many tasks go in one request at most; below 1 counts as 1.
        serializer: writes functions and arguments, reads results; by default that of the client
            that is given. A client that the executor makes has the same.
        amqp_port: the port of the result queue, instead of the service's choice.
        max_in_flight: how many tasks may be open; None: any number.
        retry_deadline: seconds for which a request that was certainly not taken is retried.
        on_uncertain: ``resubmit`` submits again if the outcome of a submit is unknown, so that
            tasks run at least once.
        reconcile_interval: seconds after which an open task is looked up over REST.
        result_transport: where results come from: ``auto`` is the queue, and polling while that
            cannot be reached; ``amqp`` the queue alone, but for looking up what is late
            (``reconcile_interval``); ``polling`` is polling alone.
        journal: the path of a file that keeps what is submitted, for the next process; None: none
            does. One executor at a time uses it.
        telemetry: observes tasks and batches, such as a
            :class:`funcx_async.telemetry.Telemetry`; None: nothing does.

    Raises:
        TypeError: for a value of another type.
        ValueError: for a value out of range.
    """

    container_id: str | None = None
    batch_size: int = 128
    serializer: FuncXSerializer = field(default_factory=FuncXSerializer)
    amqp_port: int | None = None
    max_in_flight: int | None = None
    retry_deadline: float = 300.0
    on_uncertain: Literal["raise", "resubmit"] = "raise"
    reconcile_interval: float = 60.0
    result_transport: Literal["auto", "amqp", "polling"] = "auto"
    journal: str | os.PathLike[str] | None = None
    telemetry: Observer | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch_size", checked_batch_size(self.batch_size))
        checked_serializer(self.serializer)
        checked_port(self.amqp_port)
        if self.max_in_flight is not None:
            check_positive("max_in_flight", self.max_in_flight, whole=True)
        for name in ("retry_deadline", "reconcile_interval"):
            check_positive(name, getattr(self, name), whole=False)
        check_choice("on_uncertain", self.on_uncertain, ("raise", "resubmit"))
        check_choice("result_transport", self.result_transport, ("auto", "amqp", "polling"))
        if self.journal is not None:
            object.__setattr__(self, "journal", checked_path(self.journal))
        if self.telemetry is not None and not isinstance(self.telemetry, Observer):
            raise TypeError(
                "telemetry must be a funcx_async.telemetry.Telemetry, or something else with its "
                f"methods, not {self.telemetry!r}."
            )


@dataclass(frozen=True)
class TaskSettings:
    """The options of a task; a task keeps those that it was submitted with.

    Attributes:
        endpoint_id: the endpoint; None fails at submit.
        task_group_id: the group; None: the one that the service makes for the first task.
        resource_specification: what the task needs, as the endpoint defines it.
        user_endpoint_config: the configuration of the user's endpoint.
        result_serializers: import paths of the strategies for the result, tried in order.
        key: the name of the task in the journal; None: a new one for each task.
        policy: the time limit and the retries; None: none.
        dialect: the dialect of the service that it is for.

    Raises:
        TypeError: for an option that is not made of JSON's types.
        ValueError: for what is not an endpoint's id, for an option that the dialect lacks.
    """

    endpoint_id: str | None = None
    task_group_id: str | None = None
    resource_specification: Mapping[str, Any] | None = None
    user_endpoint_config: Mapping[str, Any] | None = None
    result_serializers: Sequence[str] | None = None
    key: str | None = None
    policy: RetryPolicy | None = None
    dialect: Dialect = field(default=DIALECTS["v3"], repr=False)
    _routes: dict[str | None, Route] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoint_id", checked_endpoint(self.endpoint_id))
        for name in ("resource_specification", "user_endpoint_config"):
            value = getattr(self, name)
            as_json(name, value)
            if isinstance(value, dict):
                # A copy that cannot be changed in place: a change would not reach the tasks.
                object.__setattr__(self, name, MappingProxyType(copy.deepcopy(value)))
        self.dialect.check_options(
            resource_specification=self.resource_specification,
            user_endpoint_config=self.user_endpoint_config,
            result_serializers=self.result_serializers,
        )
        group = self.task_group_id
        if group is not None and not isinstance(group, str):
            raise TypeError(f"A task group id must be a string or a UUID, not {group!r}.")

    def changed(self, **changes: Unpack[TaskOptions]) -> TaskSettings:
        """Return other settings; ids may be UUIDs, strategies classes, instances or import paths.

        Raises:
            TypeError: for an unknown option or one of another type.
            ValueError: for what is not an endpoint's id, is out of range, or is no strategy.
        """
        given: dict[str, Any] = dict(changes)
        unknown = ", ".join(sorted(given.keys() - TaskOptions.__annotations__.keys()))
        if unknown:
            known = ", ".join(TaskOptions.__annotations__)
            raise TypeError(f"options() does not know the option(s) {unknown}; it knows {known}.")
        for name in ("endpoint_id", "task_group_id"):
            if isinstance(given.get(name), UUID):
                given[name] = str(given[name])
        strategies = given.get("result_serializers")
        if isinstance(strategies, str):
            raise TypeError("result_serializers must be a list of strategies, not one.")
        if strategies is not None:
            given["result_serializers"] = [import_path(each) for each in strategies]
        if "key" in given:
            given["key"] = checked_key(given["key"])
        of_policy = {name: given.pop(name) for name in POLICY_OPTIONS if name in given}
        if of_policy:
            policy = replace(self.policy or RetryPolicy(), **of_policy)
            given["policy"] = policy if policy.any else None
        return replace(self, **given)

    def route(self, created_group_id: str | None) -> Route:
        """Return what the submissions of one request share.

        Args:
            created_group_id: the group that was created for the executor, if these settings
                name none.

        Raises:
            TypeError: if an option is not made of JSON's types.
            ValueError: if there is no endpoint.
        """
        group = self.task_group_id or created_group_id
        route = self._routes.get(group)
        if route is None:
            route = self._routes[group] = self._route(group)
        return route

    def _route(self, group: str | None) -> Route:
        endpoint_id = self.endpoint_id or checked_endpoint(os.environ.get(ENDPOINT_VARIABLE))
        if endpoint_id is None:
            raise ValueError(NO_ENDPOINT)
        return Route(
            endpoint_id=endpoint_id,
            task_group_id=group,
            resource_specification=as_json("resource_specification", self.resource_specification),
            user_endpoint_config=as_json("user_endpoint_config", self.user_endpoint_config),
            result_serializers=tuple(self.result_serializers or ()),
        )


class Options:
    """The options of one executor, which may change; each task keeps those of its submit.

    Args:
        dialect: that of the service.
        settings: what :class:`Settings` takes; without a serializer it is the dialect's.
        tasks: what :class:`TaskSettings` takes.
        label: names the executor in logs.

    Attributes:
        settings: how the executor works now.
        tasks: those of new tasks.
        label: names the executor in logs.

    Raises:
        ValueError: for what is not an endpoint's id, for a container, for an option out of range.
        TypeError: for an option of another type.
    """

    def __init__(
        self,
        dialect: Dialect,
        settings: Mapping[str, Any] | None = None,
        tasks: TaskOptions | None = None,
        label: str = "",
    ) -> None:
        given = dict(settings or {})
        if given.get("serializer") is None:
            given["serializer"] = FuncXSerializer(dialect.code_strategy)
        self._dialect = dialect
        self.settings = Settings(**given)
        self.tasks = TaskSettings(dialect=dialect)
        self._chose_result_serializers = False
        self.change_tasks(**(tasks or {}))
        self._ask_for_readable()
        dialect.check_container(self.settings.container_id)
        self.label = label

    def change(self, **changes: Any) -> None:
        """Change settings; raises as they do, and nothing has changed then."""
        settings = replace(self.settings, **changes)
        self._dialect.check_container(settings.container_id)
        self.settings = settings
        self._ask_for_readable()

    def change_tasks(self, **changes: Unpack[TaskOptions]) -> None:
        """Change the options of new tasks; raises as :meth:`TaskSettings.changed`."""
        self.tasks = self.tasks.changed(**changes)
        if "result_serializers" in changes:
            self._chose_result_serializers = changes["result_serializers"] is not None
            self._ask_for_readable()

    def _ask_for_readable(self) -> None:
        """Ask for results that the serializer may read, unless the user chose."""
        if not self._chose_result_serializers and self._dialect.takes_options:
            readable = self.settings.serializer.result_serializers
            self.tasks = self.tasks.changed(result_serializers=readable)


def warn_of_deprecated(**options: object) -> None:
    """Warn of deprecated options, in the line of the user's program that gives them."""
    for name, value in options.items():
        if value is not NOT_GIVEN:
            warnings.warn(f"{name} does nothing any more", DeprecationWarning, level_of_user())
