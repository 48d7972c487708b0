"""``status``, ``results`` and ``endpoints``: what the service knows."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer
from rich.text import Text

from funcx_async._service.documents import EndpointSummary
from funcx_async._service.operations.calls import TaskBlock
from funcx_async.cli.options import AsJson, Service, client_of
from funcx_async.cli.printing import (
    console,
    echo,
    ids_first,
    json_value,
    print_json,
    to_text,
)
from funcx_async.client import FuncXClient
from funcx_async.errors import Forbidden, NotFound, ResultExpired, printable
from funcx_async.models import TaskStatus, unix_time

TASK_COLORS = {"success": "green", "failed": "red", "unknown": "red"}
"""Colors of the final states; other states are yellow."""
ENDPOINT_COLORS = {"online": "green", "offline": "red"}


def status(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK", help="Ids of tasks.")],
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Show the status of tasks.

    The exit code is 1 if the service does not know one of them.
    """
    found = asyncio.run(_statuses(tasks, service))
    states = {task_id: _state(each) for task_id, each in found.items()}
    if as_json:
        print_json(
            [
                {"task_id": task_id, "status": states[task_id], "ended_at": _ended_at(each)}
                for task_id, each in found.items()
            ]
        )
    else:
        table = ids_first("task", "status", "ended")
        for task_id, each in found.items():
            state, ended = states[task_id], _ended_at(each)
            when = "" if ended is None else _local_time(ended)
            table.add_row(task_id, Text(state, TASK_COLORS.get(state, "yellow")), when)
        console().print(table)
    raise typer.Exit(int("unknown" in states.values()))


def results(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="TASK_GROUP|TASK", help="Ids of tasks or of task groups."),
    ],
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Print the results of tasks, or of all tasks of a group.

    The exit code is 1 if a task failed or has not finished. Results are pickles: the operator of
    the endpoint can run code in this process.
    """
    found = asyncio.run(_results(ids, service))
    if as_json:
        documents = [_document(task_id, block) for task_id, block in found.items()]
        print_json(documents)
        complete = all("result" in document for document in documents)
    else:
        complete = _print_results(found)
    raise typer.Exit(0 if complete else 1)


def endpoints(
    all_: Annotated[
        bool, typer.Option("--all", help="List all endpoints that you may use.")
    ] = False,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """List your endpoints and whether they are online."""
    found = asyncio.run(_endpoints(service, all_=all_))
    if as_json:
        print_json(
            [
                {"endpoint_id": each.endpoint_id, "name": _name(each), "status": state}
                for each, state in found
            ]
        )
        return
    if not found:
        typer.echo("No endpoints." if all_ else "You have no endpoints; --all lists others.")
        return
    table = ids_first("endpoint", "name", "status")
    for each, state in found:
        name = printable(_name(each))
        table.add_row(
            each.endpoint_id, Text(name), Text(state, ENDPOINT_COLORS.get(state, "yellow"))
        )
    console().print(table)


# Requests ---------------------------------------------------------------------------------------


async def _statuses(tasks: list[str], service: str | None) -> dict[str, TaskStatus]:
    async with client_of(service) as client:
        return await client.get_batch_status(tasks)


async def _results(ids: list[str], service: str | None) -> dict[str, TaskBlock]:
    """Return results by task id; an id of no task is taken as that of a group."""
    found: dict[str, TaskBlock] = {}
    async with client_of(service) as client:
        blocks = await client.get_batch_result(ids)
        for one in ids:
            block = blocks.get(one)
            if block is not None and not isinstance(block.get("exception"), ResultExpired):
                found[one] = block
            else:
                found |= await _results_of_group(client, one)
    return found


async def _results_of_group(client: FuncXClient, group: str) -> dict[str, TaskBlock]:
    try:
        return await client.get_batch_result(await client.get_task_group(group))
    except NotFound as error:
        message = (
            f"No task or task group has the id {group}. Check the id. Services delete results "
            "after some days."
        )
        not_found = NotFound(message, status=error.status)
        return {group: {"pending": False, "status": "unknown", "exception": not_found}}


async def _endpoints(service: str | None, *, all_: bool) -> list[tuple[EndpointSummary, str]]:
    async with client_of(service) as client:
        listed = await client.get_endpoints("any" if all_ else "owner")
        requests = [asyncio.create_task(_status(client, each.endpoint_id)) for each in listed]
        return list(zip(listed, await asyncio.gather(*requests), strict=True))


async def _status(client: FuncXClient, endpoint_id: str) -> str:
    try:
        return (await client.get_endpoint_status(endpoint_id)).status.lower()
    except (NotFound, Forbidden):  # deleted since, or not ours to ask
        return "unknown"


# Output -----------------------------------------------------------------------------------------


def _print_results(found: dict[str, TaskBlock]) -> bool:
    """Print results to the standard output, errors to the standard error.

    Returns:
        Whether every task has a result that could be printed.
    """
    out, err, complete = console(), console(stderr=True), True
    for task_id, block in found.items():
        try:
            if "result" in block and len(found) == 1:
                echo(to_text(block["result"]))
                continue
            if "result" in block:
                text = to_text(block["result"], repr)
                out.print(Text.assemble((task_id, "dim"), "  ", text), soft_wrap=True)
                continue
            if "exception" in block:
                message, color = str(block["exception"]), "red"
            else:
                message = f"Task {task_id} has not finished; its status is {block['status']}."
                color = "yellow"
        except ValueError as error:
            message, color = f"Task {task_id} succeeded, but {error}", "red"
        complete = False
        err.print(Text(printable(message), color), soft_wrap=True)
    return complete


def _document(task_id: str, block: TaskBlock) -> dict[str, Any]:
    document: dict[str, Any] = {"task_id": task_id, "status": block["status"]}
    if "result" in block:
        try:
            document["result"] = json_value(block["result"])
        except ValueError as error:
            document["error"] = f"Task {task_id} succeeded, but {error}"
    elif "exception" in block:
        document["error"] = str(block["exception"])
    return document


def _state(status: TaskStatus) -> str:
    return "unknown" if status.result is None and status.status == "failed" else status.status


def _ended_at(status: TaskStatus) -> float | None:
    """Return when a task ended, in Unix seconds, if the service says so."""
    return unix_time(status.result.completion_t) if status.result else None


def _local_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _name(endpoint: EndpointSummary) -> str:
    return endpoint.display_name or endpoint.name or ""
