"""Submit, await, a remote error, a batch, and reloading the tasks of a group."""

from __future__ import annotations

import asyncio

from funcx_async import TaskExecutionFailed, as_completed, gather
from funcx_async.local import LocalService


def add(a: int, b: int) -> int:
    return a + b


def divide(a: int, b: int) -> float:
    return a / b


async def main() -> None:
    async with LocalService() as service, service.executor() as executor:
        print("40 + 2 =", await executor.submit(add, 40, 2))

        try:
            await executor.submit(divide, 1, 0)
        except TaskExecutionFailed as error:
            print("remote error:", f"{error.exception_type}: {error.exception_message}")

        futures = [executor.submit(add, number, 1) for number in range(5)]
        total = 0
        async for future in as_completed(futures):
            total += await future
        print("sum of five:", total)

        squares = [square async for square in executor.amap(pow, range(5), [2] * 5)]
        print("squares:", squares)

        again = await gather(*await executor.reload_tasks(), return_exceptions=True)
        print("tasks of this group:", len(again))


if __name__ == "__main__":
    asyncio.run(main())
