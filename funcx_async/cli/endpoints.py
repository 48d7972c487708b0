"""``endpoints``: where tasks can run."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from funcx_async._service.documents import EndpointSummary
from funcx_async.cli.options import AsJson, Service, client_of
from funcx_async.cli.printing import console, ids_first, print_json
from funcx_async.client import FuncXClient
from funcx_async.errors import Forbidden, NotFound

COLOURS = {"online": "green", "offline": "red"}


def endpoints(
    all_: Annotated[
        bool, typer.Option("--all", help="Also those of others that you may use.")
    ] = False,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """List your endpoints, and whether they are online."""
    found = asyncio.run(_look(service, all_=all_))
    if as_json:
        print_json(
            [
                {"endpoint_id": each.endpoint_id, "name": _name(each), "status": status}
                for each, status in found
            ]
        )
        return
    if not found:
        typer.echo("There are none." if all_ else "There are none that are yours: try --all.")
        return
    table = ids_first("endpoint", "name", "status")
    for each, status in found:
        coloured = Text(status, COLOURS.get(status, "yellow"))
        table.add_row(each.endpoint_id, Text(_name(each)), coloured)
    console().print(table)


async def _look(service: str | None, *, all_: bool) -> list[tuple[EndpointSummary, str]]:
    async with client_of(service) as client:
        listed = await client.get_endpoints("any" if all_ else "owner")
        statuses = [asyncio.create_task(_status(client, each.endpoint_id)) for each in listed]
        return list(zip(listed, await asyncio.gather(*statuses), strict=True))


async def _status(client: FuncXClient, endpoint_id: str) -> str:
    try:
        return (await client.get_endpoint_status(endpoint_id)).status.lower()
    except (NotFound, Forbidden):  # gone meanwhile, or not for us to ask
        return "not told"


def _name(endpoint: EndpointSummary) -> str:
    return endpoint.display_name or endpoint.name or ""
