"""The events of the current sweep, for any number of browsers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi.sse import format_sse_event


class Feed:
    """Keeps each event once, encoded; every reader has only its position.

    A slow reader therefore costs nothing and misses nothing: it receives all missed events in one
    piece. The order is that of the store, and the id of an event is its position, so a browser that
    reconnects continues where it was, even after a restart of this service.

    The state of the gateway is not such an event: it is not in the store, it has no id, and readers
    receive only the latest one.
    """

    def __init__(self) -> None:
        self._sweep = 0
        self._frames: list[bytes] = []
        self._state = b""
        self._news = asyncio.Event()

    def begin(self, sweep_id: int, document: dict[str, Any]) -> None:
        """Switch to another sweep."""
        self._sweep, self._frames = sweep_id, []
        self.publish("sweep", document)

    def publish(self, event: str, document: dict[str, Any]) -> None:
        """Add an event for all current and later readers."""
        place = f"{self._sweep}.{len(self._frames)}"
        self._frames.append(format_sse_event(event=event, data_str=_text(document), id=place))
        self._wake()

    def tell(self, state: dict[str, Any]) -> None:
        """Set the state for all current and later readers."""
        self._state = format_sse_event(event="state", data_str=_text(state))
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def follow(self, last_event_id: str = "") -> AsyncGenerator[bytes, None]:
        """Yield all events after that one, the state, and then new events, without end."""
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
        """Return the position after an event; 0 if it does not belong to this sweep."""
        sweep, _, place = last_event_id.partition(".")
        if sweep != str(self._sweep) or not place.isdecimal() or len(place) > 9:
            return 0
        after = int(place) + 1
        return after if after <= len(self._frames) else 0


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
