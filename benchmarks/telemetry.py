"""What telemetry costs a task: ``python -m benchmarks.telemetry [TASKS]``; half a minute.

Submitted to a null service and awaited, in turn without telemetry, with spans and metrics that the
SDK makes and drops, and with one trace of a hundred sampled. CPU time of this process, the best of
a few rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from benchmarks.clients.measuring import ENDPOINT, answer, check
from benchmarks.running import null_service
from funcx_async import FuncXClient, FuncXExecutor, gather
from funcx_async.telemetry import Telemetry

ROUNDS = 5


def measured(sampler: Sampler) -> Telemetry:
    """Spans and metrics by the SDK; what it makes of them goes nowhere."""
    return Telemetry(TracerProvider(sampler), MeterProvider([InMemoryMetricReader()]))


KINDS: dict[str, Callable[[], Telemetry | None]] = {
    "without": lambda: None,
    "with": lambda: measured(ALWAYS_ON),
    "with 1 % of traces": lambda: measured(ParentBased(TraceIdRatioBased(0.01))),
}


async def cost(url: str, telemetry: Telemetry | None, tasks: int) -> float:
    """Seconds of CPU for one task."""
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(FuncXClient(url, auth="token"))
        executor = await stack.enter_async_context(
            FuncXExecutor(ENDPOINT, funcx_client=client, telemetry=telemetry)
        )
        check([await executor.submit(answer, 0)], 1)
        begun = time.process_time()
        values = await gather(*(executor.submit(answer, number) for number in range(tasks)))
        taken = time.process_time() - begun
    check(values, tasks)
    return taken / tasks


def main(tasks: int) -> None:
    best = dict.fromkeys(KINDS, float("inf"))
    with null_service(None) as service:
        for _ in range(ROUNDS):
            for kind, telemetry in KINDS.items():
                taken = asyncio.run(cost(service.url, telemetry(), tasks))
                best[kind] = min(best[kind], taken)
    for kind, taken in best.items():
        print(f"{kind:20} {taken * 1e6:6.1f} µs a task, {taken / best['without']:.2f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10_000)
