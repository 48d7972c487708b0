"""Making a request again while the service is unavailable, as it may be: it was not taken."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from funcx_async._core.backoff import Backoff
from funcx_async.errors import ServiceUnavailable

T = TypeVar("T")

_log = logging.getLogger("funcx_async.retry")


async def patiently(call: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Make a request that may be made again, for at most ``deadline`` seconds.

    Raises:
        FuncXError: what the last try said.
    """
    clock = asyncio.get_running_loop()
    until = clock.time() + deadline
    backoff = Backoff()
    while True:
        try:
            return await call()
        except ServiceUnavailable as error:
            chance = random.random()  # noqa: S311 - spreads the tries, hides nothing
            delay = max(backoff.next_delay(chance), error.retry_after or 0)
            if clock.time() + delay > until:
                raise
            _log.info(
                "%s Trying again in %.1f s.", error, delay, extra={"request_id": error.request_id}
            )
            await asyncio.sleep(delay)
