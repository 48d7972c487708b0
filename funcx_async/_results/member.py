"""What a stream of results asks of each executor that it serves."""

from __future__ import annotations

from typing import Protocol

from funcx_async._journal import Journal
from funcx_async._results.source import ResultSource
from funcx_async.client import FuncXClient
from funcx_async.events import EventKind


class Member(Protocol):
    """An executor's part in a stream: what it connects and asks with."""

    @property
    def client(self) -> FuncXClient:
        """Asks the service."""
        ...

    @property
    def source(self) -> ResultSource | None:
        """Connects to the queue; None for an executor that only polls."""
        ...

    @property
    def asks_instead(self) -> bool:
        """Whether results are asked for while the queue cannot be reached."""
        ...

    @property
    def reconcile_interval(self) -> float:
        """Seconds after which one of its own open tasks is looked up."""
        ...

    def note(self, kind: EventKind, subject: str, reason: str = "") -> None:
        """Tell whoever reads events."""
        ...

    @property
    def journal(self) -> Journal | None:
        """Where its results are written; None for an executor without a journal."""
        ...

    def count(self, what: str) -> None:
        """Count a noteworthy thing."""
        ...
