"""The options of one executor."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

from funcx_async._process import level_of_user
from funcx_async._service.dialects import Dialect
from funcx_async._settings.settings import Settings, Target, TargetOptions
from funcx_async.serialize import FuncXSerializer


class NotGiven(enum.Enum):
    """The type of ``NOT_GIVEN``."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN = NotGiven.NOT_GIVEN
"""The default of a deprecated option: whoever gives any value is warned."""


class Options:
    """The options of one executor, which may change; each task keeps those of its submit.

    Args:
        dialect: that of the service.
        settings: what :class:`Settings` takes; without a serializer it is the dialect's.
        target: what :class:`Target` takes.
        label: names the executor in logs.

    Attributes:
        settings: how the executor works now.
        target: where new tasks go.
        label: names the executor in logs.

    Raises:
        ValueError: for what is not an endpoint's id, for a container, for an option out of range.
        TypeError: for an option of another type.
    """

    def __init__(
        self,
        dialect: Dialect,
        settings: Mapping[str, Any] | None = None,
        target: TargetOptions | None = None,
        label: str = "",
    ) -> None:
        told = dict(settings or {})
        if told.get("serializer") is None:
            told["serializer"] = FuncXSerializer(dialect.code_strategy)
        self._dialect = dialect
        self.settings = Settings(**told)
        self.target = Target(dialect=dialect)
        self._asks_for_readable = True
        self.aim(**(target or {}))
        self._ask_for_readable()
        dialect.check_container(self.settings.container_id)
        self.label = label

    def change(self, **changes: Any) -> None:
        """Change settings; raises as they do, and nothing has changed then."""
        settings = replace(self.settings, **changes)
        self._dialect.check_container(settings.container_id)
        self.settings = settings
        self._ask_for_readable()

    def aim(self, **changes: Unpack[TargetOptions]) -> None:
        """Change where new tasks go; raises as :meth:`Target.changed`."""
        self.target = self.target.changed(**changes)
        if "result_serializers" in changes:
            self._asks_for_readable = changes["result_serializers"] is None
            self._ask_for_readable()

    def _ask_for_readable(self) -> None:
        """Have results written in what the serializer may read, unless the user chose."""
        if self._asks_for_readable and self._dialect.takes_options:
            readable = self.settings.serializer.result_serializers
            self.target = self.target.changed(result_serializers=readable)


def warn_of_deprecated(**options: object) -> None:
    """Warn of options that are given, in the line of the user's program that gives them."""
    for name, value in options.items():
        if value is not NOT_GIVEN:
            warnings.warn(f"{name} does nothing any more", DeprecationWarning, level_of_user())
