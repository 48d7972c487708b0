"""What type checkers must see; checked by mypy and pyright, never run."""

from __future__ import annotations

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


async def main(executor: FuncXExecutor) -> None:
    """The result type of a function is that of its future, all the way."""
    future = executor.submit(add, 1, b=2)
    assert_type(future, FuncXFuture[int])
    assert_type(await future, int)
    assert_type(future.result(), int)
    assert_type(await executor.submit(later, "x"), str)
    assert_type(await gather(future, future), list[int])
    assert_type(await gather(future, return_exceptions=True), list[int | BaseException])
    async for done in as_completed([future]):
        assert_type(done, FuncXFuture[int])
    async for result in executor.amap(add, [1, 2]):
        assert_type(result, int)
    assert_type(executor.options(resource_specification={"n": 1}).submit(add, 1), FuncXFuture[int])
    assert_type(await future.submitted(), str)

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
