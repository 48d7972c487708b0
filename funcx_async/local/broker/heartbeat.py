"""Heartbeats: to say that this side lives, and to notice that the other does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICKS = 2  # per interval; a client gives up after two silent intervals, so one lost does no harm
SILENT_INTERVALS = 2


class Heartbeat:
    """Asks twice per interval whether there was traffic in either direction.

    Attributes:
        heard: set this to True whenever bytes arrive, or when it is no wonder that none do.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval: float,
        beat: Callable[[], None],
        on_silence: Callable[[], None],
    ) -> None:
        """Start; ``beat`` is called at each tick, ``on_silence`` after two silent intervals."""
        self.heard = True
        self._loop = loop
        self._pause = interval / TICKS
        self._beat = beat
        self._on_silence = on_silence
        self._silent_ticks = 0
        self._timer = loop.call_later(self._pause, self._tick)

    def stop(self) -> None:
        """Ask no more."""
        self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._pause, self._tick)
        self._silent_ticks = 0 if self.heard else self._silent_ticks + 1
        self.heard = False
        self._beat()
        if self._silent_ticks >= TICKS * SILENT_INTERVALS:
            self._on_silence()
