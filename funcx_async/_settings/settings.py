"""What an executor can be told, checked when it is told."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypedDict, Unpack
from uuid import UUID

from funcx_async._core.batcher import Route
from funcx_async._futures.observer import Observer
from funcx_async._net.environments import ENDPOINT_VARIABLE
from funcx_async._service.dialects import DIALECTS, Dialect
from funcx_async._settings.checks import (
    as_json,
    check_choice,
    check_positive,
    checked_batch_size,
    checked_endpoint,
    checked_path,
    checked_port,
    checked_serializer,
)
from funcx_async._settings.terms import RetryOn
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.serializer import Strategylike, import_path

NO_ENDPOINT = (
    "There is no endpoint to submit to: give FuncXExecutor(endpoint_id=...), or set the "
    f"environment variable {ENDPOINT_VARIABLE}."
)
"""What is said where none is named."""


class TargetOptions(TypedDict, total=False):
    """What one call may want differently; see :class:`Target`."""

    endpoint_id: str | UUID | None
    task_group_id: str | UUID | None
    resource_specification: Mapping[str, Any] | None
    user_endpoint_config: Mapping[str, Any] | None
    result_serializers: Iterable[Strategylike] | None


class TaskOptions(TargetOptions, total=False):
    """What a view of an executor may be told; see :class:`funcx_async._settings.terms.Terms`.

    ``key`` names its task in the journal.
    """

    timeout: float | None
    retries: int
    retry_on: RetryOn
    key: str


def known_options(told: TaskOptions) -> dict[str, Any]:
    """Give the options of a view as they are.

    Raises:
        TypeError: for one that there is not.
    """
    known = TaskOptions.__annotations__
    unknown = ", ".join(sorted(told.keys() - known.keys()))
    if unknown:
        raise TypeError(
            f"options() does not know the option(s) {unknown}; it knows {', '.join(known)}."
        )
    return dict(told)


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
        retry_deadline: seconds for which a request that was certainly not taken is made again.
        on_uncertain: ``resubmit`` sends again where nobody can know: tasks run at least once.
        reconcile_interval: seconds after which an open task is looked up over REST.
        result_transport: where results come from: ``auto`` is the queue, and asking while that
            cannot be reached; ``amqp`` the queue alone, however long it is away, but for looking
            up what is late (``reconcile_interval``); ``polling`` is asking alone.
        journal: the path of a file that keeps what is submitted, for the next process; None: none
            does. One executor at a time uses it.
        telemetry: is told of tasks and batches, such as a
            :class:`funcx_async.telemetry.Telemetry`; None: nobody is.

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
class Target:
    """Where a task goes and what it is told; a task keeps what it was submitted with.

    Attributes:
        endpoint_id: the endpoint; None fails at submit.
        task_group_id: the group; None: the one that the service makes for the first task.
        resource_specification: what the task needs, as the endpoint defines it.
        user_endpoint_config: the configuration of the user's endpoint.
        result_serializers: import paths of the strategies for the result, tried in order.
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

    def changed(self, **changes: Unpack[TargetOptions]) -> Target:
        """Give another target; ids may be UUIDs, strategies classes, instances or import paths.

        Raises:
            TypeError, ValueError: as the class does; ValueError for an unknown strategy, too.
        """
        told: dict[str, Any] = dict(changes)
        for name in ("endpoint_id", "task_group_id"):
            if isinstance(told.get(name), UUID):
                told[name] = str(told[name])
        strategies = told.get("result_serializers")
        if isinstance(strategies, str):
            raise TypeError("result_serializers must be a list of strategies, not one.")
        if strategies is not None:
            told["result_serializers"] = [import_path(each) for each in strategies]
        return replace(self, **told)

    def route(self, created_group_id: str | None) -> Route:
        """Give what submissions to this target share.

        Args:
            created_group_id: the group that was created for the executor, for a target that names
                none.

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
