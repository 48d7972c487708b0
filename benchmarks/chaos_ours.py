"""The chaos's client: funcx_async. ``chaos.py`` starts it, and reads what it prints."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from itertools import count
from typing import Any

from benchmarks.ledger import Ledger
from funcx_async import FuncXClient, FuncXExecutor, SubmitUncertain

WINDOW = 20_000
"""So many tasks are open at most."""

EXPIRES_EVERY = 40
"""Every so many requests the token has expired."""


def work(number: int, path: str) -> tuple[int, float]:
    """Leave a trace of having run."""
    import os
    import time

    trace = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(trace, b"%d\n" % number)
    finally:
        os.close(trace)
    return 3 * number + 1, time.time()


async def submit_all(executor: FuncXExecutor, ledger: Ledger, plan: dict[str, Any]) -> None:
    """Submit until the time is over or there are enough."""
    loop = asyncio.get_running_loop()
    end = loop.time() + plan["seconds"]
    room = asyncio.Semaphore(WINDOW)
    group = None

    def settled(number: int, future: Any) -> None:
        ledger.settled(number, future)
        room.release()

    while loop.time() < end and ledger.submitted < plan["tasks"]:
        await room.acquire()
        number = ledger.opened()
        future = executor.submit(work, number, plan["trace"])
        future.add_done_callback(partial(settled, number))
        if executor.task_group_id != group:
            group = executor.task_group_id
            print(json.dumps({"group": group}), flush=True)
        if number % 50 == 0:
            await asyncio.sleep(0)


async def main() -> None:
    plan = json.loads(sys.argv[1])
    ledger = Ledger(SubmitUncertain)
    requests = count(1)

    def token() -> str:
        return "expired" if next(requests) % EXPIRES_EVERY == 0 else os.environ["CHAOS_TOKEN"]

    async with FuncXClient(plan["url"], auth=token, timeout=10) as client:
        executor = FuncXExecutor(
            plan["endpoint"],
            funcx_client=client,
            amqp_port=plan["amqp_port"],
            batch_size=plan["batch_size"],
            reconcile_interval=5,
        )
        await submit_all(executor, ledger, plan)
        print(json.dumps({"submitted": ledger.submitted}), flush=True)
        try:
            async with asyncio.timeout(plan["settle_seconds"]):
                await executor.shutdown()
        except TimeoutError:
            pass
        await asyncio.sleep(0)
        print(ledger.report(), flush=True)
        os._exit(0)  # what hangs must not keep the report from ending


if __name__ == "__main__":
    asyncio.run(main())
