"""Background jobs of a session: an unforeseen error in one is logged, and the job goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from funcx_async._net.cancellation import is_cancelled

T = TypeVar("T")

PAUSE_AFTER_ERROR = 1.0
"""Seconds until a job goes on: an error that returns at once must not occupy the loop."""

_log = logging.getLogger("funcx_async.executor")


async def keep_running(job: Callable[[], Awaitable[T]], name: str) -> T:
    """Run a job until it returns or is cancelled; run it again after any error.

    Args:
        job: starts the job, or goes on with it.
        name: what it does, for the log.
    """
    while True:
        try:
            return await job()
        except (Exception, asyncio.CancelledError):  # cancelled by a library, perhaps
            if is_cancelled():
                raise
            _log.exception("%s failed unexpectedly; it goes on", name)
        await asyncio.sleep(PAUSE_AFTER_ERROR)
