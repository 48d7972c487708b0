"""Run tasks for a long time and watch for leaks: ``python -m benchmarks.soak --minutes 60``.

A client submits bursts to a local service, whose connections are cut every ten seconds. Each
minute it prints how many tasks were done, and what the process holds: memory, file descriptors,
threads and tasks of the event loop. After a warm-up these should stay level.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import threading
import time
from pathlib import Path

from funcx_async import FuncXExecutor, gather
from funcx_async.local import LocalService

BURST = 200
CUT_SECONDS = 10.0
COLUMNS = ("minute", "tasks", "MiB", "descriptors", "threads", "loop tasks")


def held() -> list[int]:
    """Return what the process holds now: MiB, file descriptors, threads and tasks of the loop."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    kibibytes = int(status.partition("VmRSS:")[2].split()[0])
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return [kibibytes // 1024, descriptors, threading.active_count(), len(asyncio.all_tasks())]


async def soak(minutes: float) -> None:
    """Submit until the time is over; each value is compared."""
    async with LocalService(workers=2) as service, service.executor() as executor:
        print("".join(f"{name:>13}" for name in COLUMNS), flush=True)
        begun = time.monotonic()
        done, cut = 0, begun
        for minute in range(1, int(minutes) + 1):
            while time.monotonic() - begun < 60 * minute:
                await burst(executor)
                done += BURST
                if time.monotonic() - cut > CUT_SECONDS:
                    service.faults.disconnect()
                    cut = time.monotonic()
            print("".join(f"{each:>13,}" for each in [minute, done, *held()]), flush=True)


async def burst(executor: FuncXExecutor) -> None:
    """Run some tasks, small ones and a large one."""
    futures = [executor.submit(pow, number, 2) for number in range(BURST - 1)]
    large = executor.submit(bytes, 1_000_000)
    values = await gather(*futures)
    if values != [number**2 for number in range(BURST - 1)] or len(await large) != 1_000_000:
        raise AssertionError("a task got another task's value")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    asyncio.run(soak(parser.parse_args().minutes))
