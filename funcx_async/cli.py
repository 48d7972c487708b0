"""The command line: ``python -m funcx_async``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    return asyncio.run(_serve(chosen))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m funcx_async",
        description="An asyncio-native client for funcX / Globus Compute.",
    )
    commands = parser.add_subparsers(dest="command", title="commands")
    local = commands.add_parser(
        "local",
        help="serve a funcX web service on this machine, for other processes",
        description="Serve a funcX web service on the loopback interface until Ctrl-C.",
    )
    local.add_argument("--port", type=int, default=0, help="port of the service (default: any)")
    local.add_argument("--workers", type=int, help="worker processes (default: one for each CPU)")
    local.add_argument("--amqp-url", help="a RabbitMQ for results (default: an embedded broker)")
    local.add_argument(
        "--database",
        default=":memory:",
        help="file that outlives the service, its token included (default: none)",
    )
    return parser


async def _serve(chosen: argparse.Namespace) -> int:
    """Run a local service until a signal says to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    try:
        from funcx_async.local import LocalService

        service = LocalService(
            port=chosen.port,
            workers=chosen.workers,
            amqp_url=chosen.amqp_url,
            database=chosen.database,
        )
        await service.start()
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"The local service does not start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    try:
        print(_greeting(service.url, service.token, service.endpoint_id), flush=True)  # noqa: T201
        await stop.wait()
    finally:
        await service.aclose()
    return 0


def _greeting(url: str, token: str, endpoint_id: str) -> str:
    return "\n".join(
        [
            f"funcX service   {url}",
            f"endpoint        {endpoint_id}",
            "",
            "In the shell of a client:",
            "",
            f"export FUNCX_ASYNC_SERVICE_URL={url}",
            f"export FUNCX_ASYNC_TOKEN={token}",
            f"export FUNCX_ASYNC_ENDPOINT_ID={endpoint_id}",
            "",
            "Ctrl-C ends the service.",
        ]
    )
