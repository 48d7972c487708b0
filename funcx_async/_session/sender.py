"""What the submitter asks of the session that it belongs to."""

from __future__ import annotations

from typing import Protocol

from funcx_async._journal import Journal
from funcx_async._results.stream import ResultStream
from funcx_async._session.task_groups import TaskGroups
from funcx_async._settings.settings import Settings
from funcx_async.client import FuncXClient
from funcx_async.events import EventKind


class Sender(Protocol):
    """What the submitter asks of the session that it belongs to."""

    @property
    def client(self) -> FuncXClient:
        """Asks the service."""
        ...

    @property
    def settings(self) -> Settings:
        """How the executor works; read whenever it matters."""
        ...

    @property
    def journal(self) -> Journal | None:
        """Where submissions are written down; None for an executor without a journal."""
        ...

    @property
    def groups(self) -> TaskGroups:
        """The task groups that are submitted to."""
        ...

    def opened(self, endpoint_id: str) -> None:
        """Take note that tasks are about to be sent to an endpoint."""
        ...

    def stream(self, task_group_id: str) -> ResultStream:
        """Give the stream of a task group, joined."""
        ...

    def count(self, what: str) -> None:
        """Count a noteworthy thing."""
        ...

    def note(self, kind: EventKind, subject: str, reason: str = "") -> None:
        """Tell whoever reads events."""
        ...
