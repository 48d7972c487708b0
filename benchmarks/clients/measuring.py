"""What the measured programs share; it needs no package, so that each environment has it."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import tracemalloc
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

VALUE = 42
"""What every task of the null service returns."""

ENDPOINT = "4b116d3c-1703-4f8f-9f6f-39921e5864df"

Job = Callable[..., "dict[str, Any]"]


def answer(number: int) -> int:
    """What is submitted; it never runs."""
    return number


class Stopwatch:
    """Seconds on the wall, and of this process's CPU, since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, tasks: int) -> dict[str, Any]:
        """What passed, for so many tasks."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        return {"tasks": tasks, "seconds": wall, "cpu_seconds": cpu}


class Memory:
    """What this process holds more than when this was made."""

    def __init__(self, *, traced: bool) -> None:
        gc.collect()
        if traced:
            tracemalloc.start()
        self._traced = traced
        self._before = self._held()

    def read(self, tasks: int) -> dict[str, Any]:
        """What came, for so many tasks."""
        gc.collect()
        held = self._held() - self._before
        tracemalloc.stop()
        return {"tasks": tasks, "bytes": held}

    def _held(self) -> int:
        return tracemalloc.get_traced_memory()[0] if self._traced else resident()


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def quantiles(taken: list[float]) -> dict[str, float]:
    """The median and the 95th percentile of some seconds."""
    ordered = sorted(taken)
    return {"p50": ordered[len(ordered) // 2], "p95": ordered[int(0.95 * (len(ordered) - 1))]}


def order(url: str, what: str, body: object = "") -> dict[str, Any]:
    """Send the null service an order."""
    # No proxy: the SDK's program has the service for its own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/null/{what}", str(body).encode()) as reply:
        told: dict[str, Any] = json.load(reply)
        return told


def check(values: list[Any], tasks: int) -> None:
    """Fail unless these are the results of so many tasks."""
    if len(values) != tasks or any(value != VALUE for value in values):
        raise AssertionError(f"{len(values)} results of {tasks} tasks, or wrong ones")


def main(jobs: dict[str, Job]) -> None:
    """Do the job that the command line names, and print what was measured."""
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(jobs[name](**arguments)))
