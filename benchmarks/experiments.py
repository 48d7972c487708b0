"""What is measured: the experiments, their cases and how large they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.running import FLOOR, FUNCX, OURS, SDK, Contestant, Service, run_program

Row = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    rounds: int = 5
    long_rounds: int = 3
    tasks: tuple[int, ...] = (1_000, 10_000, 100_000)
    open_tasks: tuple[int, ...] = (1_000_000,)
    batch_sizes: tuple[int, ...] = (16, 64, 128, 256, 1024)
    usual: int = 10_000
    alone: int = 200
    alone_official: int = 10
    held: int = 20_000
    stalled: int = 100_000
    profiled: int = 20


QUICK = Scale(
    rounds=1,
    long_rounds=1,
    tasks=(200,),
    open_tasks=(400,),
    batch_sizes=(32,),
    usual=100,
    alone=3,
    alone_official=1,
    held=200,
    stalled=400,
    profiled=1,
)


@dataclass(frozen=True)
class Case:
    """One program to run."""

    contestant: Contestant
    job: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def run(self, service: Service) -> Row:
        """Run it; what it measured."""
        return service.run(self.contestant, self.job, **self.arguments)


@dataclass(frozen=True)
class Import(Case):
    """The time that an import takes, in a fresh interpreter."""

    def run(self, service: Service) -> Row:
        """Run it; what it measured."""
        program = (
            "import time\nwall, cpu = time.perf_counter(), time.process_time()\n"
            f"{self.arguments['statement']}\n"
            "wall, cpu = time.perf_counter() - wall, time.process_time() - cpu\n"
            "import json\nprint(json.dumps({'seconds': wall, 'cpu_seconds': cpu}))"
        )
        command = [str(self.contestant.python), "-c", program]
        return run_program(command, {}, {"HOME": service.home})


@dataclass(frozen=True)
class Local(Case):
    """The local service in the place of the null service."""

    def run(self, service: Service) -> Row:
        """Run it; what it measured."""
        command = [sys.executable, "-m", "benchmarks.clients.local", self.job]
        return run_program(command, self.arguments, {"HOME": service.home})


def throughput(scale: Scale) -> Iterator[Case]:
    """Submit all, wait for all; over the number of tasks."""
    for tasks in scale.tasks:
        yield from _contest(tasks, 128)
    for wait in ("as_completed",) if scale.usual in scale.tasks else ():
        yield _through(SDK, scale.usual, 128, wait)
        yield _through(FUNCX, scale.usual, 128, wait)
    for tasks in scale.tasks:
        yield _through(OURS, tasks, 128, "asyncio.gather")


def open_tasks(scale: Scale) -> Iterator[Case]:
    """The cost of a task while very many are open, ours alone."""
    for tasks in (scale.usual, *scale.open_tasks):
        yield _through(OURS, tasks, 128, "gather")


def batches(scale: Scale) -> Iterator[Case]:
    """Over the size of batches."""
    for batch_size in scale.batch_sizes:
        yield from _contest(scale.usual, batch_size)


def latency(scale: Scale) -> Iterator[Case]:
    """One task alone."""
    yield Case(OURS, "latency", {"tasks": scale.alone})
    for official in (SDK, FUNCX):
        yield Case(official, "latency", {"tasks": scale.alone_official})


def memory(scale: Scale) -> Iterator[Case]:
    """What an open task takes."""
    for traced in (True, False):
        for contestant in (OURS, SDK, FUNCX):
            yield Case(contestant, "memory", {"tasks": scale.held, "traced": traced})


def stalls(scale: Scale) -> Iterator[Case]:
    """How long our client holds the loop, with what was imported left to the collector or not."""
    for frozen in (False, True):
        yield Case(OURS, "stalls", {"tasks": scale.stalled, "frozen": frozen})


def imports(scale: Scale) -> Iterator[Case]:
    """What an import takes."""
    yield Import(OURS, "import", {"statement": "import funcx_async"})
    yield Import(OURS, "import", {"statement": "from funcx_async import FuncXExecutor"})
    yield Import(SDK, "import", {"statement": "import globus_compute_sdk"})
    yield Import(FUNCX, "import", {"statement": "import funcx"})


def local(scale: Scale) -> Iterator[Case]:
    """The embedded broker, the local service and two workers, end to end."""
    for sampled in (False, True):
        yield Local(OURS, "end_to_end", {"tasks": scale.usual, "workers": 2, "sampled": sampled})


def profile(scale: Scale) -> Iterator[Case]:
    """Where our client's CPU time goes."""
    yield Case(OURS, "profile", {"tasks": scale.usual, "times": scale.profiled})


EXPERIMENTS: dict[str, Callable[[Scale], Iterator[Case]]] = {
    each.__name__: each
    for each in (
        *(throughput, open_tasks, batches, latency, memory),
        *(stalls, imports, local, profile),
    )
}


LONG = {"batches", "profile"}
"""They take long, and nothing was set out to be reached there."""


def measure(name: str, scale: Scale, service: Service) -> Iterator[Row]:
    """Run an experiment: all its cases in turn, round after round."""
    cases = [case for case in EXPERIMENTS[name](scale) if case.contestant.present]
    for turn in range(scale.rounds):
        for case in cases:
            if turn >= scale.long_rounds and name in LONG:
                continue
            told = {"contestant": case.contestant.name, "round": turn, **case.arguments}
            yield told | case.run(service)


def _contest(tasks: int, batch_size: int) -> Iterator[Case]:
    yield _through(OURS, tasks, batch_size, "gather")
    yield _through(FLOOR, tasks, batch_size, "count")
    yield _through(SDK, tasks, batch_size, "wait")
    yield _through(FUNCX, tasks, batch_size, "wait")


def _through(contestant: Contestant, tasks: int, batch_size: int, wait: str) -> Case:
    return Case(contestant, "throughput", {"tasks": tasks, "batch_size": batch_size, "wait": wait})
