"""What type checkers must see; checked by mypy and pyright, never run."""

from __future__ import annotations

import asyncio
from typing import assert_type

from funcx_async import (
    FuncXExecutor,
    FuncXFuture,
    ResultExpired,
    SubmitUncertain,
    TaskExecutionFailed,
    as_completed,
    gather,
)


def add(a: int, b: int = 1) -> int:
    return a + b


async def later(text: str) -> str:
    return text


async def value_of(future: FuncXFuture[int]) -> int:
    return await future


async def main(executor: FuncXExecutor) -> None:
    """The result type of a function is that of its future, all the way."""
    future = executor.submit(add, 1, b=2)
    assert_type(future, FuncXFuture[int])
    assert_type(await future, int)
    assert_type(future.result(), int)
    assert_type(await executor.submit(later, "x"), str)
    assert_type(await gather(future, future), list[int])
    assert_type(await gather(future, return_exceptions=True), list[int | BaseException])
    other, third = executor.submit(later, "x"), executor.submit(float, 1)
    assert_type(await gather(future, other), tuple[int, str])
    assert_type(await gather(future, other, third), tuple[int, str, float])
    assert_type(await gather(future, other, third, other), tuple[int, str, float, str])
    assert_type(await gather(future, other, third, other, future), tuple[int, str, float, str, int])
    assert_type(
        await gather(future, other, third, other, future, third),
        tuple[int, str, float, str, int, float],
    )
    first, second = await gather(future, other)
    assert_type((first, second), tuple[int, str])
    await gather(future, other, return_exceptions=True)
    assert_type(await gather(*[future, future]), list[int])
    async for done in as_completed([future], timeout=5):
        assert_type(done, FuncXFuture[int])
    async for result in executor.amap(add, [1, 2]):
        assert_type(result, int)
    assert_type(executor.options(resource_specification={"n": 1}).submit(add, 1), FuncXFuture[int])
    assert_type(await future.submitted(), str)
    assert_type(future.function_name, str | None)

    # The standard library takes them, too.
    assert_type(await asyncio.wait_for(future, 5), int)
    assert_type(await asyncio.shield(future), int)
    assert_type(await asyncio.gather(future, other), tuple[int, str])
    assert_type(await asyncio.wrap_future(future), int)
    finished, unfinished = await asyncio.wait([future, executor.submit(add, 2)], timeout=5)
    assert_type(finished, set[FuncXFuture[int]])
    assert_type(unfinished, set[FuncXFuture[int]])
    for awaitable in asyncio.as_completed([future]):
        assert_type(await awaitable, int)
    async with asyncio.TaskGroup() as tasks:
        assert_type(await tasks.create_task(value_of(future)), int)
    future.add_done_callback(lambda done: print(done.result()))

    careful = executor.options(timeout=5, retries=2, retry_on=(SubmitUncertain, ResultExpired))
    assert_type(careful.submit(add, 1, b=2), FuncXFuture[int])
    assert_type(await careful.submit(later, "x"), str)
    async for result in careful.amap(add, [1, 2]):
        assert_type(result, int)
    assert_type(careful.options(timeout=60).submit(add, 1), FuncXFuture[int])
    assert_type(await careful.options(key="k").options(retries=0).submit(later, "x"), str)
    executor.options(timeout=None, retries=1, retry_on=lambda error: error.task_id is None)
    executor.options(retries=1, retry_on=TaskExecutionFailed)

    executor.submit(add, "one")  # type: ignore[call-overload]
    executor.submit(add, c=1)  # type: ignore[call-overload]
    careful.submit(add, "one")  # type: ignore[call-overload]
    careful.submit(add, 1, 2, 3)  # type: ignore[call-overload]
    careful.submit(add, c=1)  # type: ignore[call-overload]
    careful.submit(later, 5)  # type: ignore[call-overload]
    executor.options(timeout="soon")  # type: ignore[arg-type]
    executor.options(retries="often")  # type: ignore[arg-type]
    executor.options(retries=1, retry_on=5)  # type: ignore[arg-type]
    executor.options(retries=1, retry_on=int)  # type: ignore[arg-type]
    executor.options(time=5)  # type: ignore[call-arg]
    careful.options(timeout="soon")  # type: ignore[arg-type]
    careful.options(time=5)  # type: ignore[call-arg]
