"""Which deliveries may be acknowledged, though they are settled out of order.

Rules: a delivery is acknowledged only after it is settled. Up to the first unsettled delivery one
cumulative acknowledgement says it all; above it each is acknowledged singly, so that one result
that has to wait holds up no other. A ledger belongs to one channel: tags start again on the next.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledgement: of ``tag`` alone, or of all up to it."""

    tag: int
    multiple: bool


class AckLedger:
    """Deliveries in, acknowledgements out.

    Example:
        >>> ledger = AckLedger()
        >>> ledger.delivered(1, 2, 3, 4)
        >>> ledger.settled(1, 2, 4)
        >>> ledger.due()
        [Ack(tag=2, multiple=True), Ack(tag=4, multiple=False)]
        >>> ledger.due()
        []
    """

    def __init__(self) -> None:
        self._unsettled: dict[int, None] = {}
        self._settled: list[int] = []

    def __len__(self) -> int:
        """How many deliveries are not acknowledged yet."""
        return len(self._unsettled) + len(self._settled)

    def delivered(self, *tags: int) -> None:
        """Note deliveries; tags come in rising order."""
        self._unsettled.update(dict.fromkeys(tags))

    def settled(self, *tags: int) -> None:
        """Note that deliveries have done their work; once is enough, twice is harmless."""
        for tag in tags:
            if tag in self._unsettled:
                del self._unsettled[tag]
                self._settled.append(tag)

    def due(self) -> list[Ack]:
        """Return the acknowledgements that are due, each only once."""
        settled, self._settled = self._settled, []
        if not settled:
            return []
        first_unsettled = next(iter(self._unsettled), None)
        if first_unsettled is None:
            return [Ack(max(settled), multiple=True)]
        below = [tag for tag in settled if tag < first_unsettled]
        above = sorted(tag for tag in settled if tag > first_unsettled)
        cumulative = [Ack(max(below), multiple=True)] if below else []
        return cumulative + [Ack(tag, multiple=False) for tag in above]
