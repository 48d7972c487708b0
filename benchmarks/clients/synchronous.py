"""What both official executors are measured by: threads and ``concurrent.futures``."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.clients.measuring import Memory, Stopwatch, answer, check, main, order, quantiles

Warm = Callable[[str, int], AbstractContextManager[Any]]
"""Gives an executor for a service's address and a batch size, all its connections made."""


def run(warm: Warm) -> None:
    """Do the job that the command line names."""

    def throughput(url: str, tasks: int, batch_size: int, wait: str) -> dict[str, Any]:
        """Submit all, wait for all."""
        with warm(url, batch_size) as executor:
            watch = Stopwatch()
            futures = [executor.submit(answer, number) for number in range(tasks)]
            values = [future.result() for future in WAIT[wait](futures)]
            measured = watch.read(tasks)
        check(values, tasks)
        return measured

    def latency(url: str, tasks: int) -> dict[str, Any]:
        """One task after the other, alone."""
        with warm(url, 128) as executor:
            taken = []
            for number in range(tasks):
                start = time.perf_counter()
                executor.submit(answer, number).result()
                taken.append(time.perf_counter() - start)
        return {"tasks": tasks, **quantiles(taken)}

    def memory(url: str, tasks: int, traced: bool) -> dict[str, Any]:
        """What open tasks take, once the service has all of them."""
        with warm(url, 128) as executor:
            held = Memory(traced=traced)
            order(url, "hold")
            futures = [executor.submit(answer, number) for number in range(tasks)]
            while any(future.task_id is None for future in futures):
                time.sleep(0.1)
            measured = held.read(tasks)
            order(url, "release")
            check([future.result() for future in futures], tasks)
        return measured

    main({"throughput": throughput, "latency": latency, "memory": memory})


def _wait(futures: list[Any]) -> Iterable[Any]:
    return concurrent.futures.wait(futures).done


WAIT: dict[str, Callable[[list[Any]], Iterable[Any]]] = {
    "wait": _wait,
    "as_completed": concurrent.futures.as_completed,
}
"""How users of those executors wait for many futures."""
