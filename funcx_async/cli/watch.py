"""``watch``: a task group, until all of its tasks have ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.live import Live

from funcx_async.cli import Interrupted
from funcx_async.cli.group import GroupView
from funcx_async.cli.options import Service, client_of
from funcx_async.cli.picture import last_line, line, picture
from funcx_async.cli.printing import console
from funcx_async.client import FuncXClient
from funcx_async.errors import ServiceUnavailable

LIST_EVERY = 5
"""After so many looks the group is listed again: it may have grown."""

Show = Callable[[GroupView, str], None]


def watch(
    task_group: Annotated[str, typer.Argument(metavar="TASK_GROUP", help="Id of the task group.")],
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.05, help="Pause between two looks.")
    ] = 1.0,
    service: Service = None,
) -> None:
    """Show how the tasks of a group get on, until all have ended.

    Without a terminal it prints a line whenever something has changed. It takes no result away
    from whoever awaits it. The exit code is 1 if a task has failed.
    """
    try:
        view = asyncio.run(_watch(task_group, every, service))
    except KeyboardInterrupt:
        raise Interrupted("Interrupted; the tasks go on.") from None
    raise typer.Exit(int(bool(view.failures)))


async def _watch(group_id: str, every: float, service: str | None) -> GroupView:
    out, view = console(), GroupView()
    async with client_of(service) as client:
        with ExitStack() as stack:
            if out.is_terminal:
                live = stack.enter_context(Live(console=out, auto_refresh=False))
                await _until_done(client, group_id, every, view, _on(live, group_id))
            else:
                await _until_done(client, group_id, every, view, _in_lines())
    typer.echo(last_line(view))
    return view


async def _until_done(
    client: FuncXClient, group_id: str, every: float, view: GroupView, show: Show
) -> None:
    looks = 0
    while True:
        try:
            if looks % LIST_EVERY == 0 or view.done == view.total:
                view.listed(await client.list_task_group(group_id), time.time())
                if view.done == view.total:
                    show(view, "")
                    return
            view.seen(await client.get_batch_status(view.to_ask()), time.time())
            looks += 1
            show(view, "")
        except ServiceUnavailable as error:
            if not looks:  # there is nothing to show yet
                raise
            show(view, f"The service cannot be asked now, it is tried again: {error}")
        if view.done < view.total:
            await asyncio.sleep(every)


def _on(live: Live, group_id: str) -> Show:
    def show(view: GroupView, note: str) -> None:
        live.update(picture(view, group_id, time.time(), note), refresh=True)

    return show


def _in_lines() -> Show:
    told: list[object] = []

    def show(view: GroupView, note: str) -> None:
        now = [view.states, note]
        if now != told:
            told[:] = now
            typer.echo(note or line(view, time.time()))

    return show
