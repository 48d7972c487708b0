"""What an executor can be told, checked when it is told."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypedDict, Unpack
from uuid import UUID

from funcx_async.core.batcher import Route
from funcx_async.dialects import DIALECTS, Dialect
from funcx_async.environments import ENDPOINT_VARIABLE
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.facade import Strategylike, import_path

LAST_PORT = 65_535


class ExecutorOptions(TypedDict, total=False):
    """The keyword options of an executor; see :class:`Settings` for what they mean."""

    batch_interval: float
    batch_enabled: bool
    resource_specification: Mapping[str, Any] | None
    user_endpoint_config: Mapping[str, Any] | None
    result_serializers: Iterable[Strategylike] | None
    serializer: FuncXSerializer
    amqp_port: int | None
    max_in_flight: int | None
    retry_deadline: float
    on_uncertain: Literal["raise", "resubmit"]
    reconcile_interval: float
    result_transport: Literal["auto", "amqp", "polling"]
    journal: str | os.PathLike[str] | None


class TargetOptions(TypedDict, total=False):
    """What one call may want differently; see :class:`Target`."""

    endpoint_id: str | UUID | None
    task_group_id: str | UUID | None
    resource_specification: Mapping[str, Any] | None
    user_endpoint_config: Mapping[str, Any] | None
    result_serializers: Iterable[Strategylike] | None


class TaskOptions(TargetOptions, total=False):
    """What a view of an executor may be told; ``key`` names its task in the journal."""

    key: str


@dataclass(slots=True)
class Settings:
    """How an executor works.

    Attributes:
        batch_size: how many tasks go in one request at most; below 1 counts as 1.
        serializer: writes functions and arguments, reads results.
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
        made_group: the task group that the client or the service made, once it has.

    Raises:
        TypeError: for a value of another type.
        ValueError: for a value out of range.
    """

    batch_size: int = 128
    serializer: FuncXSerializer = field(default_factory=FuncXSerializer)
    amqp_port: int | None = None
    max_in_flight: int | None = None
    retry_deadline: float = 300.0
    on_uncertain: Literal["raise", "resubmit"] = "raise"
    reconcile_interval: float = 60.0
    result_transport: Literal["auto", "amqp", "polling"] = "auto"
    journal: str | os.PathLike[str] | None = None
    made_group: str | None = None

    def __post_init__(self) -> None:
        self.batch_size = checked_batch_size(self.batch_size)
        checked_serializer(self.serializer)
        checked_port(self.amqp_port)
        if self.max_in_flight is not None:
            _check_positive("max_in_flight", self.max_in_flight, whole=True)
        for name in ("retry_deadline", "reconcile_interval"):
            _check_positive(name, getattr(self, name), whole=False)
        _check_choice("on_uncertain", self.on_uncertain, ("raise", "resubmit"))
        _check_choice("result_transport", self.result_transport, ("auto", "amqp", "polling"))
        if self.journal is not None:
            self.journal = _checked_path(self.journal)


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
        object.__setattr__(self, "endpoint_id", _checked_endpoint(self.endpoint_id))
        for name in ("resource_specification", "user_endpoint_config"):
            value = getattr(self, name)
            _as_json(name, value)
            if isinstance(value, dict):
                # A copy that cannot be changed in place: a change would not reach the tasks.
                object.__setattr__(self, name, MappingProxyType(copy.deepcopy(value)))
        self.dialect.check_options(self)
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

    def route(self, made_group: str | None) -> Route:
        """Give what submissions to this target share.

        Args:
            made_group: the group that the service made, for a target that names none.

        Raises:
            TypeError: if an option is not made of JSON's types.
            ValueError: if there is no endpoint.
        """
        group = self.task_group_id or made_group
        if group not in self._routes:
            self._routes[group] = self._route(group)
        return self._routes[group]

    def _route(self, group: str | None) -> Route:
        endpoint_id = self.endpoint_id or _checked_endpoint(os.environ.get(ENDPOINT_VARIABLE))
        if endpoint_id is None:
            raise ValueError(
                "There is no endpoint to submit to: give FuncXExecutor(endpoint_id=...), or set "
                f"the environment variable {ENDPOINT_VARIABLE}."
            )
        return Route(
            endpoint_id=endpoint_id,
            task_group_id=group,
            resource_specification=_as_json("resource_specification", self.resource_specification),
            user_endpoint_config=_as_json("user_endpoint_config", self.user_endpoint_config),
            result_serializers=tuple(self.result_serializers or ()),
        )


def checked_batch_size(value: Any) -> int:
    """Give a batch size of at least 1.

    Raises:
        TypeError: for what is not an integer.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"batch_size must be an integer, not {value!r}.")
    return max(1, int(value))


def checked_serializer(value: Any) -> FuncXSerializer:
    """Give a serializer as it is.

    Raises:
        TypeError: for anything else.
    """
    if not isinstance(value, FuncXSerializer):
        raise TypeError(f"serializer must be a FuncXSerializer, not {value!r}.")
    return value


def checked_port(value: Any) -> int | None:
    """Give a port, or None for the service's choice.

    Raises:
        TypeError: for what is not an integer.
        ValueError: for what is no port.
    """
    if value is None:
        return None
    _check_positive("amqp_port", value, whole=True)
    if value > LAST_PORT:
        raise ValueError(f"amqp_port must be a port, {LAST_PORT} at most, not {value!r}.")
    return int(value)


def _checked_endpoint(value: str | UUID | None) -> str | None:
    if value is None:
        return None
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise ValueError(
            f"{value!r} is not the id of an endpoint: a UUID such as "
            "4b116d3c-1703-4f8f-9f6f-39921e5864df is."
        ) from None


def checked_key(key: Any) -> str:
    """Give the name of a task in the journal.

    Raises:
        TypeError: for what is not a string.
        ValueError: for an empty one, or one that is not text.
    """
    if not isinstance(key, str):
        raise TypeError(f"The key of a task must be a string, not {key!r}.")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValueError(f"The key of a task must be text that UTF-8 can write: {key!r}.") from None
    if not key:
        raise ValueError("The key of a task must not be empty.")
    return key


def _checked_path(journal: Any) -> Path:
    """Give the path of a journal, wherever the process goes later."""
    if not isinstance(journal, str | os.PathLike):
        raise TypeError(f"journal must be the path of a file, not {journal!r}.")
    return Path(journal).absolute()


def _check_positive(name: str, value: Any, *, whole: bool) -> None:
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be {'an integer' if whole else 'a number'}, not {value!r}.")
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0, not {value!r}.")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")


def _as_json(name: str, value: Mapping[str, Any] | None) -> str | None:
    """Equal texts for equal options."""
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dictionary, not {value!r}.")
    if not value:
        return None
    try:
        return json.dumps(dict(value), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be made of JSON's types: {error}.") from None
