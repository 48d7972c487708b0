"""Runs an event loop in a thread of its own for a while."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HELD_UP = 1.0
"""Seconds after which a loop that is asked to stop and does not is held up by some callback."""


@contextmanager
def running_elsewhere(
    loop: asyncio.AbstractEventLoop, interrupted: Callable[[], bool]
) -> Iterator[None]:
    """Run a loop in a thread of its own while the context is open.

    Args:
        loop: is run.
        interrupted: whether to end, by KeyboardInterrupt, what keeps the loop from stopping.
    """
    leaving = threading.Event()

    def run() -> None:
        while not leaving.is_set():
            with suppress(SystemExit, KeyboardInterrupt):  # of some task: the loop is to go on
                loop.run_forever()

    def leave() -> None:
        leaving.set()
        loop.stop()

    thread = threading.Thread(target=run, name="funcx_async", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(leave)
        while thread.is_alive():
            thread.join(HELD_UP)
            if thread.is_alive() and interrupted():
                _interrupt(thread)


def _interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread as soon as it runs Python; no signal would do that."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(KeyboardInterrupt))
