"""The embedded broker, the local service and its workers, with funcx_async in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

from benchmarks.clients.measuring import Stopwatch, main
from benchmarks.clients.sampling import Sampling
from funcx_async import gather
from funcx_async.local import LocalService


def same(number: int) -> int:
    """A trivial task."""
    return number


async def end_to_end(tasks: int, workers: int, sampled: bool) -> dict[str, Any]:
    """Submit all, run all, wait for all."""
    async with LocalService(workers=workers) as service, service.executor() as executor:
        await gather(*[executor.submit(same, number) for number in range(2 * workers)])
        with Sampling() if sampled else contextlib.nullcontext() as samples:
            watch, before = Stopwatch(), cpu_of_children()
            futures = [executor.submit(same, number) for number in range(tasks)]
            values = await gather(*futures)
            measured = watch.read(tasks)
            measured["workers_cpu_seconds"] = cpu_of_children() - before
    if values != list(range(tasks)):
        raise AssertionError("wrong results")
    return measured | (samples.report() if samples else {})


def cpu_of_children() -> float:
    """Seconds of CPU that the children of this process have used."""
    threads = Path("/proc/self/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    used = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in children]
    # The text after the name begins with the third field; the 14th and 15th are times.
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in used)
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main({"end_to_end": lambda **arguments: asyncio.run(end_to_end(**arguments))})
