"""Cancellations that a library underneath keeps to itself."""

from __future__ import annotations

import asyncio


def is_cancelled() -> bool:
    """Whether the running task was asked to end, even if a library has swallowed that.

    aiormq cancels its waiters when a connection breaks, which nobody asked for; and it may swallow
    a cancellation that was asked for, or turn it into an error. What asyncio counts tells the one
    from the other. Call it outside ``asyncio.timeout``, which cancels, too.

    Example:
        >>> async def stubborn():
        ...     try:
        ...         await asyncio.sleep(60)
        ...     except asyncio.CancelledError:
        ...         pass
        ...     return is_cancelled()
        >>> async def main():
        ...     task = asyncio.create_task(stubborn())
        ...     await asyncio.sleep(0)
        ...     task.cancel()
        ...     return await task
        >>> asyncio.run(main())
        True
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
