"""The longest Collatz sequence below 20,000: a fan-out of 1,000 tasks on a local service.

Run it with ``python examples/collatz.py``; it needs no other service.
"""

from __future__ import annotations

import asyncio
import time

from funcx_async import gather
from funcx_async.local import LocalService

LIMIT = 20_000
TASKS = 1_000


def longest(first: int, last: int) -> tuple[int, int]:
    """Return the longest sequence that starts in first..last, as (steps, start)."""
    best = (0, first)
    for start in range(first, last + 1):
        number, steps = start, 0
        while number != 1:
            number = 3 * number + 1 if number % 2 else number // 2
            steps += 1
        best = max(best, (steps, start))
    return best


async def main() -> None:
    width = LIMIT // TASKS
    async with LocalService() as service, service.executor() as executor:
        begin = time.perf_counter()
        futures = [
            executor.submit(longest, first, first + width - 1)
            for first in range(1, LIMIT + 1, width)
        ]
        answers = await gather(*futures, progress=True)
        seconds = time.perf_counter() - begin
        steps, start = max(answers)
        print(f"Below {LIMIT:,}, {start:,} takes the most steps to reach 1: {steps}.")
        print(
            f"{TASKS:,} tasks in {seconds:.1f} s ({TASKS / seconds:,.0f} tasks/s), "
            f"submitted in {executor.stats.batches} batches."
        )


if __name__ == "__main__":
    asyncio.run(main())
