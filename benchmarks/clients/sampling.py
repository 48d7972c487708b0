"""Where a process spends its CPU time, by samples: cheap enough not to change what it measures."""

from __future__ import annotations

import signal
from collections import Counter
from functools import cache
from pathlib import PurePath
from types import FrameType
from typing import Any, Self

INTERVAL = 0.001
"""Seconds of CPU between samples; many kernels make it 4 ms, 10 at worst."""


class Sampling:
    """Counts which function runs, on the main thread, while it is entered.

    What C code does is put down to the Python function that called it.
    """

    def __init__(self) -> None:
        self._entries: Counter[str] = Counter()
        self._functions: Counter[str] = Counter()
        self._packages: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)

    def report(self) -> dict[str, Any]:
        """Samples by entry, by package, by function, and in all.

        An entry is the function by which the program or the loop came into funcx_async.
        """
        return {
            "samples": self._packages.total(),
            "entries": self._entries.most_common(15),
            "packages": self._packages.most_common(15),
            "functions": self._functions.most_common(40),
        }

    def _sample(self, _: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self._functions[name_of(frame)] += 1
        self._packages[package_of(module_of(frame.f_code.co_filename))] += 1
        entry = "elsewhere"
        while frame is not None:
            if module_of(frame.f_code.co_filename).startswith("funcx_async."):
                entry = name_of(frame)
            frame = frame.f_back
        self._entries[entry] += 1


def name_of(frame: FrameType) -> str:
    """The module and the name of the function that a frame runs."""
    return f"{module_of(frame.f_code.co_filename)}:{frame.f_code.co_qualname}"


@cache
def module_of(file: str) -> str:
    """The dotted name of a file's module, as far as its path tells."""
    file = file.removeprefix("<frozen ").strip("<>")
    parts = PurePath(file).with_suffix("").parts
    for root in ("site-packages", "python3.11", "python3.12", "python3.13"):
        if root in parts:
            return ".".join(parts[parts.index(root) + 1 :])
    for package in ("funcx_async", "benchmarks"):
        if package in parts:
            return ".".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
    return "generated code" if file == "string" else file


def package_of(module: str) -> str:
    """What a module belongs to: a part of funcx_async, or another package."""
    parts = module.split(".")
    if parts[0] != "funcx_async":
        return parts[0]
    return ".".join(parts[: 3 if parts[1:2] == ["local"] else 2])
