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
    """

    def __init__(self) -> None:
        self._sweep = 0
        self._frames: list[bytes] = []
        self._news = asyncio.Event()

    def begin(self, sweep_id: int, document: dict[str, Any]) -> None:
        """Show another sweep from now on."""
        self._sweep, self._frames = sweep_id, []
        self.publish("sweep", document)

    def publish(self, event: str, document: dict[str, Any]) -> None:
        """Add an event for all who read now or later."""
        place = f"{self._sweep}.{len(self._frames)}"
        text = json.dumps(document, separators=(",", ":"))
        self._frames.append(format_sse_event(event=event, data_str=text, id=place))
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def follow(self, last_event_id: str = "") -> AsyncGenerator[bytes, None]:
        """Give all events after that one, and then each as it comes, without end."""
        sweep, _, place = last_event_id.partition(".")
        read = int(place) + 1 if sweep == str(self._sweep) and place.isdecimal() else 0
        shown = self._sweep
        while True:
            if shown != self._sweep:
                shown, read = self._sweep, 0
            missed = self._frames[read:]
            if missed:
                read += len(missed)
                yield b"".join(missed)
            else:
                await self._news.wait()
