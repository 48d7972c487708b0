"""What the operations of every subject share: the connection, and ids in paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from funcx_async._service.dialects import Dialect
from funcx_async._service.rest import Rest
from funcx_async.models import TaskStatus
from funcx_async.serialize import FuncXSerializer


class Operations:
    """Operations of the service, on one connection; there is a subclass for each subject.

    Args:
        rest: makes the requests.
        dialect: phrases requests and parses answers.
        serializer: writes functions and arguments, reads results.
        user_runtime: what submits report about Python and the machine; None for this process.
    """

    def __init__(
        self,
        rest: Rest,
        dialect: Dialect,
        serializer: FuncXSerializer,
        user_runtime: Mapping[str, Any] | None,
    ) -> None:
        self._rest = rest
        self.dialect = dialect
        self.serializer = serializer
        self.task_group_id = dialect.new_task_group()
        self._user_runtime = user_runtime
        self._unclaimed: dict[str, TaskStatus] = {}


def in_path(given: str | UUID, kind: str) -> str:
    """Return an id as a part of a path.

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
    """Return ids as an iterable, also for a single id."""
    return [ids] if isinstance(ids, str | UUID) else ids
