"""Is anything lost when everything fails? Faults strike about every second while tasks run.

    python -m benchmarks.chaos --seed 1 --tasks 200000
    python -m benchmarks.chaos --seed 1 --seconds 60
    python -m benchmarks.chaos --seed 1 --seconds 60 --client sdk --python path/to/its/python

It starts a local service, and a RabbitMQ of its own to be killed; needs rabbitmq-server. Each task
leaves a trace where it runs, so that what the client believes is compared with what happened. The
exit code is 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.faults import Faults
from benchmarks.rabbitmq import Node
from funcx_async.local import LocalService
from tests.proxy import Proxy

HERE = Path(__file__).parent
ALL = 10**9
SETTLE_SECONDS = 120
"""Seconds after the last fault in which every future must settle."""

NONE = ("wrong", "settled twice", "lost", "hung", "executed twice")
"""Promised never to happen."""


async def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Run the client through the faults, and compare what it saw with what happened."""
    trace = directory / "trace"
    trace.touch()
    async with AsyncExitStack() as stack:
        (directory / "rabbitmq").mkdir()
        node = await stack.enter_async_context(Node(directory / "rabbitmq"))
        service = await stack.enter_async_context(LocalService(workers=2, amqp_url=node.url))
        rest = await stack.enter_async_context(Proxy(service.url))
        amqp = await stack.enter_async_context(Proxy(node.url))
        plan = {
            "url": rest.before(service.url),
            "endpoint": service.endpoint_id,
            "amqp_port": amqp.port,
            "batch_size": options.batch_size,
            "trace": str(trace),
            "tasks": options.tasks,
            "seconds": options.seconds,
            "settle_seconds": SETTLE_SECONDS,
        }
        client = await start(options, plan, service.token, directory)
        faults = Faults(random.Random(options.seed), service, node, rest, amqp)
        seen = await listen(client, faults)
        accepted = service.faults.count("accepted")
    runs = Counter(int(line) for line in trace.read_text().split())
    return judged(seen, runs, accepted, faults)


async def start(
    options: argparse.Namespace, plan: dict[str, Any], token: str, home: Path
) -> asyncio.subprocess.Process:
    """Start the client's program."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CHAOS_TOKEN": token}
    if options.client == "sdk":
        # Its base URL cannot be set: our service is its HTTP proxy, and answers itself.
        environment |= {"HTTP_PROXY": plan["url"], "PYTHONPATH": str(HERE.parent)}
        command = [options.python, str(HERE / "chaos_sdk.py")]
    else:
        command = [sys.executable, "-m", "benchmarks.chaos_ours"]
    return await asyncio.create_subprocess_exec(
        *command,
        json.dumps(plan),
        stdout=asyncio.subprocess.PIPE,
        stderr=(home / "client.log").open("wb"),
        env=environment,
        cwd=HERE.parent,
        limit=2**26,
    )


async def listen(client: asyncio.subprocess.Process, faults: Faults) -> dict[str, Any]:
    """Inject faults until all is submitted, and return the client's last line."""
    injecting = asyncio.create_task(faults.inject())
    seen: dict[str, Any] = {}
    assert client.stdout is not None
    try:
        async for line in client.stdout:
            seen = json.loads(line)
            faults.group = seen.get("group", faults.group)
            if injecting.done() and not injecting.cancelled():
                injecting.result()
            if list(seen) == ["submitted"]:
                injecting.cancel()
    finally:
        injecting.cancel()
        await asyncio.wait([injecting])
        if client.returncode is None:
            client.kill()
        await client.wait()
    if "right" not in seen:
        raise SystemExit("the client's program failed")
    return seen


def judged(
    seen: dict[str, Any], runs: Counter[int], accepted: int, faults: Faults
) -> dict[str, Any]:
    """Compare what the client saw with what happened."""
    doubts = seen["doubts"]
    return {
        "tasks submitted": seen["submitted"],
        "settled": seen["settled"],
        "right": seen["right"],
        "wrong": seen["wrong"],
        "settled twice": seen["settled twice"],
        "lost": len(seen["lost"]),
        "lost, and ran": sum(number in runs for number in seen["lost"]),
        "hung": seen["hung"],
        "executed twice": sum(count > 1 for count in runs.values()),
        "uncertain": len(doubts),
        "uncertain, and ran": sum(number in runs for number in doubts),
        "uncertain batches": seen["doubted batches"],
        "answers kept back by faults": faults.doubtful,
        "worst settle delay (s)": round(seen["worst settle delay"], 2),
        "peak memory (MB)": round(seen["peak memory"]),
        "executors that died": seen["executors that died"],
        "tasks that the service took": accepted,
        "errors": seen["errors"],
        "examples": seen["examples"],
        "faults": dict(faults.struck),
    }


def broken(report: dict[str, Any]) -> list[str]:
    """Print which promises were broken."""
    words = [f"{report[name]} {name}" for name in NONE if report[name]]
    if report["uncertain batches"] > report["answers kept back by faults"]:
        words.append("more was uncertain than the faults left open")
    if report["settled"] != report["tasks submitted"] - report["hung"]:
        words.append("settled and hung do not make up what was submitted")
    return words


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=ALL, help="stop after so many")
    parser.add_argument("--seconds", type=float, default=ALL, help="stop after so long")
    parser.add_argument("--batch-size", type=int, default=1_000)
    parser.add_argument("--client", choices=["ours", "sdk"], default="ours")
    parser.add_argument("--python", help="an interpreter with globus-compute-sdk", default=None)
    options = parser.parse_args()
    if options.tasks == options.seconds == ALL:
        options.seconds = 60
    if (options.client == "sdk") != (options.python is not None):
        parser.error("--client sdk needs --python, and only that")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the node must not be left behind
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        report = asyncio.run(run(options, Path(directory)))
    for name, value in report.items():
        print(f"{name:28} {value}")
    words = broken(report)
    if options.client == "ours" and words:
        sys.exit("BROKEN: " + "; ".join(words))


if __name__ == "__main__":
    main()
