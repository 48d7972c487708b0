"""``local``: a funcX service on this machine."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from funcx_async.cli import USAGE_ERROR, CommandEnded

if TYPE_CHECKING:
    from funcx_async.local import LocalService


def local(
    port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=65_535, help="Port of the service; 0 is any."),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Worker processes. Default: one for each CPU."),
    ] = None,
    amqp_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="RabbitMQ that delivers results. Default: an embedded broker."
        ),
    ] = None,
    amqp_port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="Port of the embedded broker; 0 is any."
        ),
    ] = 0,
    agents: Annotated[
        bool,
        typer.Option("--agents", help="Accept official endpoint agents."),
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Python that runs the tasks, with funcx-async. Default: this one."
        ),
    ] = None,
    database: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="File that keeps the state, the token included. Default: memory."
        ),
    ] = ":memory:",
) -> None:
    """Run a funcX web service on this machine until Ctrl-C.

    Prints the environment variables to export in other shells.
    """
    options = {
        "port": port,
        "workers": workers,
        "amqp_url": amqp_url,
        "amqp_port": amqp_port,
        "agents": agents,
        "python": python,
        "database": database,
    }
    raise typer.Exit(asyncio.run(_serve(options, agents=agents)))


async def _serve(options: dict[str, Any], *, agents: bool) -> int:
    """Run a local service until a signal stops it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        from funcx_async.local import LocalService
    except ImportError as error:
        raise CommandEnded(str(error), USAGE_ERROR) from None
    try:
        service = LocalService(**options)
        await service.start()
    except (OSError, RuntimeError, ValueError) as error:
        typer.echo(f"The local service failed to start: {error}", err=True)
        return 1
    try:
        for_agents = service.agent_environment if agents else {}
        typer.echo(_greeting(service, for_agents))
        await stop.wait()
    finally:
        await service.aclose()
    return 0


def _greeting(service: LocalService, for_agents: dict[str, str]) -> str:
    if for_agents:  # tasks are meant for the agent, whose id is not known here
        endpoint = [
            "",
            "Also set FUNCX_ASYNC_ENDPOINT_ID to the id that the agent prints when it starts.",
            "",
            "In the shell of an endpoint agent:",
            "",
            *(f"export {name}={value}" for name, value in for_agents.items()),
        ]
    else:
        endpoint = [f"export FUNCX_ASYNC_ENDPOINT_ID={service.endpoint_id}"]
    name = "local workers " if for_agents else "endpoint      "
    return "\n".join(
        [
            f"funcX service   {service.url}",
            f"{name}  {service.endpoint_id}",
            f"status page     {service.status_url}",
            "",
            "In the shell of a client:",
            "",
            f"export FUNCX_ASYNC_SERVICE_URL={service.url}",
            f"export FUNCX_ASYNC_TOKEN={service.token}",
            *endpoint,
            "",
            "Ctrl-C stops the service.",
        ]
    )
