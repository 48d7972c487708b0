"""Acknowledging deliveries once they have done their work.

What a connection does not acknowledge, the broker delivers again on the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NoReturn, TypeAlias

from funcx_async._core.acks import AckLedger
from funcx_async._results.source import Deliveries, SourceLost

ACK_INTERVAL = 0.01
"""Seconds from one acknowledgement to the next: each costs as much as settling a dozen results, and
the prefetch is good for more deliveries than a client settles in this time."""

Tag: TypeAlias = tuple[AckLedger, int]
"""Names a delivery: the ledger of its channel, and its number there."""

_log = logging.getLogger("funcx_async.results")


class Acknowledger:
    """Acknowledges the deliveries of one task group, on the connection that brought them.

    Args:
        task_group_id: whose deliveries.

    Attributes:
        ledger: of the deliveries of the present connection.
    """

    def __init__(self, task_group_id: str) -> None:
        self._task_group_id = task_group_id
        self._deliveries: Deliveries | None = None
        self._due = asyncio.Event()
        self._flushing = asyncio.Lock()
        self.ledger = AckLedger()

    def connected(self, deliveries: Deliveries) -> None:
        """Begin a ledger for a new connection."""
        self._deliveries, self.ledger = deliveries, AckLedger()

    def disconnected(self) -> None:
        """Send nothing more on the connection."""
        self._deliveries = None

    def done_with(self, tag: Tag) -> None:
        """Acknowledge a delivery soon; harmless if its channel is gone."""
        ledger, number = tag
        ledger.settled(number)
        self._due.set()

    def all_done_with(self, ledger: AckLedger, numbers: Sequence[int]) -> None:
        """Acknowledge deliveries of one channel soon; harmless if it is gone."""
        ledger.settled(*numbers)
        self._due.set()

    async def acknowledge_forever(self) -> NoReturn:
        """Send acknowledgements as they fall due, in bulk."""
        while True:
            await self._due.wait()
            await self.flush()
            await asyncio.sleep(ACK_INTERVAL)

    async def flush(self) -> None:
        """Send the acknowledgements that are due."""
        self._due.clear()
        if self._deliveries is None:
            return
        ids = {"task_group_id": self._task_group_id}
        try:
            async with self._flushing:  # acknowledgements go in the order in which they fall due
                await self._deliveries.acknowledge(self.ledger.due())
        except SourceLost as error:  # the consumer learns of it, too
            _log.debug("acknowledging: %s", error, extra=ids)
        except Exception:  # the broker delivers them again
            _log.exception(
                "acknowledging results of the task group %s", self._task_group_id, extra=ids
            )
