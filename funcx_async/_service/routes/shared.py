"""What the routes of every subject work with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from funcx_async._service.dialects import Dialect
from funcx_async._service.rest import Rest
from funcx_async.models import TaskStatus
from funcx_async.serialize import FuncXSerializer


class Routes:
    """A part of the client, which gives it all of this.

    Attributes:
        dialect: phrases requests and reads answers.
        task_group_id: the group of what it submits, or None where the service makes the groups.
    """

    dialect: Dialect
    task_group_id: str | None
    _rest: Rest
    serializer: FuncXSerializer
    _user_runtime: Mapping[str, Any] | None
    _version_checked: bool
    _unclaimed: dict[str, TaskStatus]


def in_path(given: str | UUID, kind: str) -> str:
    """Give an id as a part of a path.

    Args:
        given: the id.
        kind: what it is the id of, such as ``endpoint``.

    Raises:
        TypeError: if it is neither text nor a UUID.
        ValueError: if it cannot be an id, but could lead to another path.

    Example:
        >>> in_path("../secrets", "endpoint")
        Traceback (most recent call last):
        ValueError: '../secrets' is not the id of one endpoint.
    """
    if not isinstance(given, str | UUID):
        raise TypeError(f"The id of one {kind} is a text or a UUID, not {given!r:.80}.")
    text = str(given)
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise ValueError(f"{text!r:.80} is not the id of one {kind}.")
    return text


def several(ids: str | UUID | Iterable[str | UUID]) -> Iterable[str | UUID]:
    """Give ids, also where only one was given."""
    return [ids] if isinstance(ids, str | UUID) else ids
