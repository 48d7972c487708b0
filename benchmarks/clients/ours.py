"""funcx_async."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx

from benchmarks.clients import floor
from benchmarks.clients.measuring import (
    ENDPOINT,
    Memory,
    Stopwatch,
    answer,
    check,
    main,
    order,
    quantiles,
)
from benchmarks.clients.sampling import Sampling
from benchmarks.clients.stalls import Stalls
from funcx_async import FuncXClient, FuncXExecutor, gather

GATHER: dict[str, Callable[..., Any]] = {"gather": gather, "asyncio.gather": asyncio.gather}
AT_ONCE = 20
"""Tasks that a considerate program submits before it lets the loop go on."""
LARGE = 10_000_000


@contextlib.asynccontextmanager
async def warm(url: str, batch_size: int = 128) -> AsyncIterator[FuncXExecutor]:
    """An executor that has its function registered, its group and its connections."""
    async with (
        FuncXClient(url, auth="token") as client,
        FuncXExecutor(ENDPOINT, funcx_client=client, batch_size=batch_size) as executor,
    ):
        check([await executor.submit(answer, 0)], 1)
        yield executor


async def throughput(url: str, tasks: int, batch_size: int, wait: str) -> dict[str, Any]:
    """Submit all, wait for all."""
    async with warm(url, batch_size) as executor:
        watch = Stopwatch()
        futures = [executor.submit(answer, number) for number in range(tasks)]
        values = await GATHER[wait](*futures)
        measured = watch.read(tasks)
    check(values, tasks)
    return measured


async def latency(url: str, tasks: int) -> dict[str, Any]:
    """One task after the other, alone; a bare request between any two."""
    body = floor.request(1, None, queue=False)
    taken, bare = [], []
    async with warm(url) as executor, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        await client.post(floor.SUBMIT, content=body)
        for number in range(tasks):
            start = time.perf_counter()
            await client.post(floor.SUBMIT, content=body)
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            await executor.submit(answer, number)
            taken.append(time.perf_counter() - start)
    floors = {f"bare_{name}": seconds for name, seconds in quantiles(bare).items()}
    return {"tasks": tasks, **quantiles(taken), **floors}


async def memory(url: str, tasks: int, traced: bool) -> dict[str, Any]:
    """What open tasks take, once the service has all of them."""
    async with warm(url) as executor:
        held = Memory(traced=traced)
        order(url, "hold")
        futures = [executor.submit(answer, number) for number in range(tasks)]
        # To await `submitted()` of each would be measured along.
        while any(future.task_id is None for future in futures):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        measured = held.read(tasks)
        order(url, "release")
        check(await gather(*futures), tasks)
    return measured


async def stalls(url: str, tasks: int, frozen: bool) -> dict[str, Any]:
    """How long the loop is held by many tasks, one large result among them.

    Args:
        url: of the service.
        tasks: how many.
        frozen: have the collector pass over what was there before.
    """
    async with warm(url) as executor, Stalls() as watched:
        if frozen:
            gc.collect()
            gc.freeze()
        watched.forget()
        futures = []
        for number in range(tasks):
            if number == tasks // 2:
                await asyncio.to_thread(order, url, "large", LARGE)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            futures.append(executor.submit(answer, number))
        values: list[Any] = await gather(*futures)
    large = [value for value in values if isinstance(value, bytes)]
    check([value for value in values if not isinstance(value, bytes)], tasks - 1)
    if [len(value) for value in large] != [LARGE]:
        raise AssertionError("the large result is not there once")
    return {"tasks": tasks, **watched.report()}


async def profile(url: str, tasks: int, times: int) -> dict[str, Any]:
    """Where the CPU time goes, over several runs."""
    async with warm(url) as executor:
        with Sampling() as samples:
            watch = Stopwatch()
            for _ in range(times):
                await gather(*[executor.submit(answer, number) for number in range(tasks)])
            measured = watch.read(tasks * times)
    return measured | samples.report()


def run(job: Callable[..., Coroutine[Any, Any, dict[str, Any]]]) -> Callable[..., dict[str, Any]]:
    return lambda **arguments: asyncio.run(job(**arguments))


if __name__ == "__main__":
    main({job.__name__: run(job) for job in (throughput, latency, memory, stalls, profile)})
