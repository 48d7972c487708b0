"""``status`` and ``results``: what became of tasks."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer
from rich.text import Text

from funcx_async._service.operations.calls import TaskBlock
from funcx_async.cli.options import AsJson, Service, client_of
from funcx_async.cli.printing import console, harmless, ids_first, print_json, printable, shown
from funcx_async.client import FuncXClient
from funcx_async.errors import NotFound, ResultExpired
from funcx_async.models import TaskStatus

COLOURS = {"success": "green", "failed": "red", "unknown": "red"}
"""Of the states that are final; others are yellow."""


def status(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK", help="Ids of tasks.")],
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Say of tasks whether they wait, run, succeeded or failed.

    The exit code is 1 if the service does not know one of them.
    """
    found = asyncio.run(_statuses(tasks, service))
    shown = {task_id: _state(each) for task_id, each in found.items()}
    if as_json:
        print_json(
            [
                {"task_id": task_id, "status": shown[task_id], "ended_at": _ended(each)}
                for task_id, each in found.items()
            ]
        )
    else:
        table = ids_first("task", "status", "ended")
        for task_id, each in found.items():
            word = shown[task_id]
            ended = _ended(each)
            when = "" if ended is None else time.strftime("%Y-%m-%d %H:%M:%S", _local(ended))
            table.add_row(task_id, Text(word, COLOURS.get(word, "yellow")), when)
        console().print(table)
    raise typer.Exit(int("unknown" in shown.values()))


def results(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="TASK_GROUP|TASK", help="Ids of task groups, or of tasks."),
    ],
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Print what tasks returned, or all tasks of a group.

    The exit code is 1 if one has failed or has not ended yet. A result is a pickle: whoever runs
    the endpoint can have code run here.
    """
    found = asyncio.run(_results(ids, service))
    if as_json:
        print_json([_document(task_id, block) for task_id, block in found.items()])
    else:
        _show(found)
    raise typer.Exit(int(any("result" not in block for block in found.values())))


async def _statuses(tasks: list[str], service: str | None) -> dict[str, TaskStatus]:
    async with client_of(service) as client:
        return await client.get_batch_status(tasks)


async def _results(ids: list[str], service: str | None) -> dict[str, TaskBlock]:
    """What became of tasks; an id that is no task's may be that of a group."""
    found: dict[str, TaskBlock] = {}
    async with client_of(service) as client:
        blocks = await client.get_batch_result(ids)
        for one in ids:
            block = blocks.get(one)
            if block is not None and not isinstance(block.get("exception"), ResultExpired):
                found[one] = block
            else:
                found |= await _members(client, one)
    return found


async def _members(client: FuncXClient, group: str) -> dict[str, TaskBlock]:
    try:
        return await client.get_batch_result(await client.get_task_group(group))
    except NotFound as error:
        words = (
            f"No task and no task group has the id {group}. Check it; or the result was thrown "
            "away, which services do after some days."
        )
        told = NotFound(words, status=error.status)
        return {group: {"pending": False, "status": "unknown", "exception": told}}


def _show(found: dict[str, TaskBlock]) -> None:
    if len(found) == 1:
        ((_, only),) = found.items()
        if "result" in only:
            typer.echo(shown(only["result"]))
            return
    out, beside = console(), console(beside=True)
    for task_id, block in found.items():
        if "result" in block:
            words = shown(block["result"], repr)
            out.print(Text.assemble((task_id, "dim"), "  ", words), soft_wrap=True)
        elif "exception" in block:
            beside.print(Text(harmless(str(block["exception"])), "red"), soft_wrap=True)
        else:
            words = f"the task {task_id} has not ended yet, it is {block['status']}"
            beside.print(Text(words, "yellow"), soft_wrap=True)


def _document(task_id: str, block: TaskBlock) -> dict[str, Any]:
    document: dict[str, Any] = {"task_id": task_id, "status": block["status"]}
    if "result" in block:
        document["result"] = printable(block["result"])
    elif "exception" in block:
        document["error"] = str(block["exception"])
    return document


def _state(status: TaskStatus) -> str:
    return "unknown" if status.result is None and status.status == "failed" else status.status


def _ended(status: TaskStatus) -> float | None:
    """When a task ended, in Unix seconds, where that is told."""
    told = status.result and status.result.completion_t
    try:
        return float(told) if told else None
    except ValueError:
        return None


def _local(seconds: float) -> time.struct_time:
    return time.localtime(seconds)
