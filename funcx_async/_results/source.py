"""The seam between the result stream and the wire that brings deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from funcx_async._core.acks import Ack
from funcx_async.models import Delivery


class SourceLost(Exception):
    """The connection to the queue could not be made, or is gone; its message says why."""


class Deliveries(Protocol):
    """One connection's deliveries."""

    async def next_burst(self) -> Sequence[Delivery]:
        """Wait for deliveries and return all that are there.

        Raises:
            SourceLost: when there will be no more.
        """
        ...

    async def acknowledge(self, acks: Sequence[Ack]) -> None:
        """Acknowledge deliveries.

        Raises:
            SourceLost: when the connection is gone.
        """
        ...


class ResultSource(Protocol):
    """Where deliveries come from; opened again after each loss."""

    def open(self, task_group_id: str) -> AbstractAsyncContextManager[Deliveries]:
        """Connect to the queue of a task group.

        Raises:
            SourceLost: if that fails.
            FuncXError: if the service does not say where the queue is.
        """
        ...
