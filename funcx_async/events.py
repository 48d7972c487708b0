"""What happens to an executor: events of its connections to read, and counts of them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self
from weakref import WeakSet

from funcx_async._process import CONNECTIONS, confined

KEPT = 1_000
"""How many events wait for a slow reader; the oldest are dropped."""


class EventKind(StrEnum):
    """What happened.

    Example:
        >>> EventKind("endpoint-offline") is EventKind.ENDPOINT_OFFLINE
        True
        >>> print(EventKind.DISCONNECTED)
        disconnected
    """

    CONNECTED = "connected"
    """Results of a task group come over its queue, for the first time or again."""
    DISCONNECTED = "disconnected"
    """They no longer do; reconnecting goes on."""
    POLLING = "polling"
    """The queue stays out of reach: results are polled over REST until it is back."""
    SERVICE_UNAVAILABLE = "service-unavailable"
    """The service takes no tasks; they wait, and are sent again."""
    SERVICE_AVAILABLE = "service-available"
    """It does again."""
    ENDPOINT_OFFLINE = "endpoint-offline"
    """Tasks have waited for some time, and the service says that their endpoint is not there."""
    ENDPOINT_ONLINE = "endpoint-online"
    """It is back."""


@dataclass(frozen=True, slots=True)
class ExecutorEvent:
    """Something that happened to an executor's connections.

    Attributes:
        kind: what happened.
        subject: to what: the id of a task group or endpoint, or the service's URL.
        reason: why, for people; may be empty.
        at: when, in UTC.

    Example:
        >>> event = ExecutorEvent(EventKind.DISCONNECTED, "a group", "the connection was closed")
        >>> print(event)
        disconnected: a group (the connection was closed)
    """

    kind: EventKind
    subject: str
    reason: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}" + (f" ({self.reason})" if self.reason else "")


@confined(CONNECTIONS)
class EventReader:
    """An asynchronous iterator over what happens from its making to the executor's end."""

    def __init__(self) -> None:
        self._waiting: deque[ExecutorEvent] = deque(maxlen=KEPT)
        self._changed = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ExecutorEvent:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def take(self, event: ExecutorEvent) -> None:
        """Keep an event until it is read."""
        self._waiting.append(event)
        self._changed.set()

    def end(self) -> None:
        """Let the iteration end after what is kept."""
        self._ended = True
        self._changed.set()


class Events:
    """Passes events on to all who read them; used on one loop's thread."""

    def __init__(self) -> None:
        self._readers: WeakSet[EventReader] = WeakSet()

    def emit(self, kind: EventKind, subject: str, reason: str = "") -> None:
        """Emit an event to all readers."""
        event = ExecutorEvent(kind, subject, reason)
        for reader in tuple(self._readers):
            reader.take(event)

    def reader(self) -> EventReader:
        """Return a new reader; it is forgotten when it is no longer referenced."""
        reader = EventReader()
        self._readers.add(reader)
        return reader

    def end(self) -> None:
        """Let all readers end."""
        for reader in tuple(self._readers):
            reader.end()


COUNTED = ("batches", "reconnects", "orphans", "duplicates", "malformed", "retried")
"""The counts that :class:`funcx_async.models.Stats` has, by its names."""


class Counts:
    """How often each thing happened; counted in any thread."""

    def __init__(self) -> None:
        # Reentrant: garbage collection while it is held may call what counts.
        self._lock = threading.RLock()
        self._counts: dict[str, int] = dict.fromkeys(COUNTED, 0)

    def count(self, what: str) -> None:
        """Count an event."""
        with self._lock:
            self._counts[what] = self._counts.get(what, 0) + 1

    def by_name(self) -> dict[str, int]:
        """Return how often each of ``COUNTED`` happened."""
        with self._lock:
            return {name: self._counts[name] for name in COUNTED}
