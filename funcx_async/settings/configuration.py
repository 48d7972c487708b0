"""What an executor can be told, when it is made and later."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from funcx_async.dialects import Dialect
from funcx_async.interpreter import level_of_user
from funcx_async.serialize import FuncXSerializer
from funcx_async.serialize.facade import Strategylike
from funcx_async.settings.checks import checked_batch_size, checked_port, checked_serializer
from funcx_async.settings.settings import ExecutorOptions, Settings, Target, TargetOptions

_DEPRECATED = ("batch_interval", "batch_enabled")
_SETTINGS = {field.name for field in fields(Settings)} - {"batch_size"}
_AIMS = set(TargetOptions.__annotations__) - {"endpoint_id", "task_group_id"}


class Configuration:
    """The options of an executor; each task keeps those that it was submitted with.

    Raises:
        ValueError: for what is not an endpoint's id, for a container, for an option out of range.
        TypeError: for an unknown option or one of another type.
    """

    def __init__(
        self,
        endpoint_id: str | UUID | None,
        container_id: str | None,
        task_group_id: str | UUID | None,
        label: str,
        batch_size: int,
        options: ExecutorOptions,
        dialect: Dialect,
    ) -> None:
        self._dialect = dialect
        told: dict[str, Any] = dict(options)
        for name in _DEPRECATED:
            if name in told:
                del told[name]
                warnings.warn(f"{name} does nothing any more", DeprecationWarning, level_of_user())
        unknown = ", ".join(sorted(set(told) - _SETTINGS - _AIMS))
        if unknown:
            raise TypeError(f"FuncXExecutor() does not know the option(s) {unknown}.")
        aims = {name: told.pop(name) for name in _AIMS & set(told)}
        told.setdefault("serializer", FuncXSerializer(dialect.code_strategy))
        self._settings = Settings(batch_size=batch_size, **told)
        self._asks_for_readable = aims.get("result_serializers") is None
        self._target = Target(dialect=dialect).changed(
            endpoint_id=endpoint_id, task_group_id=task_group_id, **aims
        )
        self._ask_for_readable()
        self.container_id = container_id
        self.label = label

    @property
    def endpoint_id(self) -> str | None:
        """Where new tasks run; a UUID as text. ValueError for anything else."""
        return self._target.endpoint_id

    @endpoint_id.setter
    def endpoint_id(self, value: str | UUID | None) -> None:
        self._target = self._target.changed(endpoint_id=value)

    @property
    def container_id(self) -> str | None:
        """Where new tasks run; ValueError for today's service (``v3``), which has none."""
        return self._container_id

    @container_id.setter
    def container_id(self, value: str | None) -> None:
        self._dialect.check_container(value)
        self._container_id = value

    @property
    def batch_size(self) -> int:
        """How many tasks go in one request at most."""
        return self._settings.batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        self._settings.batch_size = checked_batch_size(value)

    @property
    def resource_specification(self) -> Mapping[str, Any] | None:
        """What new tasks need, as the endpoint defines it."""
        return self._target.resource_specification

    @resource_specification.setter
    def resource_specification(self, value: Mapping[str, Any] | None) -> None:
        self._target = self._target.changed(resource_specification=value)

    @property
    def user_endpoint_config(self) -> Mapping[str, Any] | None:
        """The configuration of the user's endpoint for new tasks."""
        return self._target.user_endpoint_config

    @user_endpoint_config.setter
    def user_endpoint_config(self, value: Mapping[str, Any] | None) -> None:
        self._target = self._target.changed(user_endpoint_config=value)

    @property
    def result_serializers(self) -> Sequence[str] | None:
        """Import paths of the strategies for results, tried in order; given also as classes.

        None: the endpoint's choice, or what ``serializer`` may read if that is not everything.
        """
        return self._target.result_serializers

    @result_serializers.setter
    def result_serializers(self, value: Iterable[Strategylike] | None) -> None:
        self._asks_for_readable = value is None
        self._target = self._target.changed(result_serializers=value)
        self._ask_for_readable()

    @property
    def serializer(self) -> FuncXSerializer:
        """Writes functions and arguments of new tasks, reads the results that come.

        With another one functions are registered again, as that writes them. The client that the
        executor made for itself reads and writes by it, too; one that was given keeps its own.
        """
        return self._settings.serializer

    @serializer.setter
    def serializer(self, value: FuncXSerializer) -> None:
        self._use_serializer(value)

    @property
    def amqp_port(self) -> int | None:
        """The port of result queues that are connected to from now on; None: the service's."""
        return self._settings.amqp_port

    @amqp_port.setter
    def amqp_port(self, value: int | None) -> None:
        self._settings.amqp_port = checked_port(value)

    def _use_serializer(self, serializer: FuncXSerializer) -> None:
        self._settings.serializer = checked_serializer(serializer)
        self._ask_for_readable()

    def _ask_for_readable(self) -> None:
        """Have results written in what the serializer may read, unless the user chose."""
        if self._asks_for_readable and self._dialect.takes_options:
            readable = self._settings.serializer.result_serializers
            self._target = self._target.changed(result_serializers=readable)
