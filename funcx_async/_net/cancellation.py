"""Cancellations that a library underneath keeps to itself."""

from __future__ import annotations

import asyncio


def cancel_requests() -> int:
    """How often the running task was asked to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def is_cancelled(before: int = 0) -> bool:
    """Whether the running task was asked to end, even if a library has swallowed that.

    aiormq cancels its waiters when a connection breaks, which nobody asked for; and it may swallow
    a cancellation that was asked for, or turn it into an error. What asyncio counts tells the one
    from the other. Call it outside ``asyncio.timeout``, which cancels, too.

    Args:
        before: what ``cancel_requests`` gave at the beginning; a task that cleans up after it was
            cancelled has had one already.

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
    return cancel_requests() > before
