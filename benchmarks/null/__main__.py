"""Run the service: ``python -m benchmarks.null [AMQP URL]``; without a URL it has a broker in it.

It prints its address, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from benchmarks.null import amqp, http
from benchmarks.null.results import Results
from benchmarks.null.service import NullService
from funcx_async.local.broker import EmbeddedBroker


async def serve(amqp_url: str | None) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if amqp_url is None:
            broker = await stack.enter_async_context(EmbeddedBroker())
            broker.add_user("benchmark", "benchmark")
            amqp_url = broker.url("benchmark", "benchmark")
        results = Results(await amqp.connect(amqp_url))
        service = NullService(results, amqp_url)
        server = await http.listen(service.answer)
        port = server.sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else None))
