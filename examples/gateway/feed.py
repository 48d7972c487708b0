"""The events of the sweep that goes on, for any number of browsers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi.sse import format_sse_event


class Feed:
    """Keeps each event once, encoded; every reader has only its place among them.

    So a slow reader costs nothing and misses nothing: it gets all that it lacks in one piece. The
    order is that of the store, and an event's id is its place, so that a browser that comes back
    goes on where it was, also after a restart of this service.

    How things stand is no such event: it is not in the store, so it has no place and no id, and a
    reader gets the last word on it alone.
    """

    def __init__(self) -> None:
        self._sweep = 0
        self._frames: list[bytes] = []
        self._state = b""
        self._news = asyncio.Event()

    def begin(self, sweep_id: int, document: dict[str, Any]) -> None:
        """Show another sweep from now on."""
        self._sweep, self._frames = sweep_id, []
        self.publish("sweep", document)

    def publish(self, event: str, document: dict[str, Any]) -> None:
        """Add an event for all who read now or later."""
        place = f"{self._sweep}.{len(self._frames)}"
        self._frames.append(format_sse_event(event=event, data_str=_text(document), id=place))
        self._wake()

    def tell(self, state: dict[str, Any]) -> None:
        """Say how things stand, to all who read now or later."""
        self._state = format_sse_event(event="state", data_str=_text(state))
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def follow(self, last_event_id: str = "") -> AsyncGenerator[bytes, None]:
        """Give all events after that one, how things stand, and then what comes, without end."""
        read, shown, told = self._after(last_event_id), self._sweep, b""
        while True:
            if shown != self._sweep:
                shown, read = self._sweep, 0
            missed = self._frames[read:]
            read += len(missed)
            if told != self._state:
                told = self._state
                missed.append(told)
            if missed:
                yield b"".join(missed)
            else:
                await self._news.wait()

    def _after(self, last_event_id: str) -> int:
        """The place after an event; the first one if it is not, or no longer, among these."""
        sweep, _, place = last_event_id.partition(".")
        if sweep != str(self._sweep) or not place.isdecimal() or len(place) > 9:
            return 0
        after = int(place) + 1
        return after if after <= len(self._frames) else 0


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
