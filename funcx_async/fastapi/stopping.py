"""Learning that the server begins to stop.

A server waits for open responses first and ends the lifespan then, so a stream that ended with the
lifespan would never end. What the application can see in time is the signal that the server sees.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final

SIGNALS: Final = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")  # the last is Windows' own
    if hasattr(signal, name)
]


@contextmanager
def set_at_signal(stopping: asyncio.Event) -> Iterator[None]:
    """Have ``stopping`` set when the process is told to stop, while the context is open.

    Whoever wanted the signal before still gets it, afterwards. A signal that nobody wanted ends the
    process as before. Outside the main thread, as in a ``TestClient``, there are no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    placed = {}
    for number in SIGNALS:
        earlier = signal.getsignal(number)
        if callable(earlier):
            notice = partial(_pass_on, loop, stopping, earlier)
            signal.signal(number, notice)
            placed[number] = (notice, earlier)
    try:
        yield
    finally:
        for number, (notice, earlier) in placed.items():
            if signal.getsignal(number) is notice:  # else somebody has put one on top of it
                signal.signal(number, earlier)


def _pass_on(
    loop: asyncio.AbstractEventLoop,
    stopping: asyncio.Event,
    earlier: Callable[[int, FrameType | None], Any],
    number: int,
    frame: FrameType | None,
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(stopping.set)
    earlier(number, frame)
