"""``watch``: live progress of a task group, as a picture in a terminal or in lines elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from funcx_async.cli import INTERRUPTED, CommandEnded
from funcx_async.cli.group import LOST, GroupView
from funcx_async.cli.options import Service, client_of
from funcx_async.cli.printing import console
from funcx_async.client import FuncXClient
from funcx_async.errors import ServiceUnavailable

POLLS_PER_LISTING = 5
"""How many times the open tasks are polled before the group, which may grow, is listed again."""

SHOWN = 5
"""How many slow tasks and failures are shown."""

SHORT_ID = 8
"""Characters of a task id that are shown."""

SIDE_BY_SIDE_WIDTH = 84
"""Columns from which the two lists are shown side by side."""

_BARS = "▁▂▃▄▅▆▇█"
_COLORS = {"success": "green", "failed": "bold red", LOST: "bold red", "running": "cyan"}

Show = Callable[[GroupView, str], None]


def watch(
    task_group: Annotated[str, typer.Argument(metavar="TASK_GROUP", help="Id of the task group.")],
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.05, help="Polling interval.")
    ] = 1.0,
    service: Service = None,
) -> None:
    """Show live progress of a task group until all its tasks have finished.

    Without a terminal it prints a line for each change. Watching does not take results away from
    other programs. The exit code is 1 if a task failed.
    """
    try:
        view = asyncio.run(_watch(task_group, every, service))
    except KeyboardInterrupt:
        raise CommandEnded("Interrupted; the tasks keep running.", INTERRUPTED) from None
    raise typer.Exit(int(bool(view.failures)))


async def _watch(group_id: str, every: float, service: str | None) -> GroupView:
    out, view = console(), GroupView()
    async with client_of(service) as client:
        with ExitStack() as stack:
            if out.is_terminal:
                live = stack.enter_context(Live(console=out, auto_refresh=False))
                await _poll(client, group_id, every, view, _in_picture(live, group_id))
            else:
                await _poll(client, group_id, every, view, _in_lines())
    typer.echo(last_line(view))
    return view


async def _poll(
    client: FuncXClient, group_id: str, every: float, view: GroupView, show: Show
) -> None:
    """Poll the tasks of a group until all have finished."""
    polls = 0
    while True:
        try:
            if polls % POLLS_PER_LISTING == 0 or view.done == view.total:
                view.listed(await client.list_task_group(group_id), time.time())
                if view.done == view.total:
                    show(view, "")
                    return
            view.polled(await client.get_batch_status(view.next_to_poll()), time.time())
            polls += 1
            show(view, "")
        except ServiceUnavailable as error:
            if not polls:  # there is nothing to show yet
                raise
            show(view, f"The service is unavailable, retrying: {error}")
        if view.done < view.total:
            await asyncio.sleep(every)


def _in_picture(live: Live, group_id: str) -> Show:
    def show(view: GroupView, note: str) -> None:
        live.update(picture(view, group_id, time.time(), note), refresh=True)

    return show


def _in_lines() -> Show:
    shown: list[object] = []

    def show(view: GroupView, note: str) -> None:
        now = [view.states, note]
        if now != shown:
            shown[:] = now
            typer.echo(note or line(view, time.time()))

    return show


# Lines ------------------------------------------------------------------------------------------


def line(view: GroupView, now: float) -> str:
    """Return the state of a group as one line.

    Args:
        view: the group.
        now: the time, in Unix seconds.
    """
    states = ", ".join(f"{state} {count:,}" for state, count in view.states.items())
    rate = view.rate(now)
    speed = "" if rate is None else f"; {rate:.1f}/s"
    at = time.strftime("%H:%M:%S", time.localtime(now))
    return f"{at}  {view.done:,} of {view.total:,} finished  ({states or 'no tasks'}){speed}"


def last_line(view: GroupView) -> str:
    """Return the summary of a group whose tasks have finished."""
    failed, took = len(view.failures), view.duration()
    if not view.total:
        return "The group has no tasks."
    finished = f"All {view.total:,} tasks finished" if view.total > 1 else "The task finished"
    speed = f" in {_duration(took)}, {view.total / took:,.1f}/s" if took else ""
    return f"{finished}{speed}; {f'{failed:,} failed' if failed else 'none failed'}."


# The picture ------------------------------------------------------------------------------------


def picture(view: GroupView, group_id: str, now: float, note: str = "") -> RenderableType:
    """Return the state of a group as a panel.

    Args:
        view: the group.
        group_id: its id.
        now: the time, in Unix seconds.
        note: a message to show below.
    """
    parts: list[RenderableType] = [_bar(view), _states(view), _speed(view, now)]
    parts += [Text(), _Lists(_slowest(view, now), _failures(view))]
    if note:
        parts += [Text(), Text(note, "yellow")]
    title = Text.assemble(("task group ", "dim"), (group_id, "bold"))
    return Panel(Group(*parts), title=title, title_align="left", box=ROUNDED, padding=(1, 2))


@dataclass(frozen=True, slots=True)
class _Lists:
    """Two lists, side by side if the width permits."""

    left: RenderableType
    right: RenderableType

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < SIDE_BY_SIDE_WIDTH:
            yield self.left
            yield Text()
            yield self.right
            return
        both = Table.grid(padding=(0, 3), expand=True)
        both.add_column(ratio=1)
        both.add_column(ratio=1)
        both.add_row(self.left, self.right)
        yield both


def _bar(view: GroupView) -> RenderableType:
    row = Table.grid(padding=(0, 2), expand=True)
    row.add_column(ratio=1)
    row.add_column(justify="right")
    bar = ProgressBar(total=max(view.total, 1), completed=view.done, complete_style="green")
    percent = 100 * view.done // max(view.total, 1)
    row.add_row(bar, Text(f"{view.done:,} of {view.total:,}  {percent} %", "bold"))
    return row


def _states(view: GroupView) -> Text:
    text = Text()
    for state, count in view.states.items():
        text.append(f"{count:,} ", _COLORS.get(state, "yellow"))
        text.append(f"{state}   ", "dim")
    return text


def _speed(view: GroupView, now: float) -> Text:
    rate, left = view.rate(now), view.seconds_left(now)
    text = Text()
    if rate is not None and left is not None and view.done < view.total:
        text.append(f"{rate:,.1f} ", "bold")
        text.append("tasks/s  ", "dim")
        text.append(_curve(view.rates(40)), "cyan")
        text.append(f"  about {_duration(left)} left", "dim")
    elif took := view.duration():
        text.append(f"{view.total / took:,.1f} ", "bold")
        text.append(f"tasks/s, {_duration(took)} in total", "dim")
    return text


def _curve(rates: list[float]) -> str:
    """Draw numbers as bars.

    Example:
        >>> _curve([0.0, 1.0, 2.0])
        '▁▄█'
    """
    most = max(rates, default=0.0) or 1.0
    return "".join(_BARS[int(rate / most * (len(_BARS) - 1) + 0.25)] for rate in rates)


def _slowest(view: GroupView, now: float) -> RenderableType:
    rows = [
        (_duration(seconds) if ended else f"> {_duration(seconds)}", task_id, ended)
        for task_id, seconds, ended in view.slowest(SHOWN, now)
    ]
    longest = max((len(text) for text, _, _ in rows), default=0)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, min_width=SHORT_ID)
    table.add_column(no_wrap=True, justify="right", min_width=longest)
    for text, task_id, ended in rows:
        table.add_row(Text(task_id[:SHORT_ID], "dim" if ended else "cyan"), Text(text))
    return Group(Text("slowest, from submit to end", "bold"), table)


def _failures(view: GroupView) -> RenderableType:
    if not view.failures:
        return Text()
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, min_width=SHORT_ID, max_width=SHORT_ID)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for task_id, message in list(view.failures.items())[-SHOWN:]:
        table.add_row(Text(task_id[:SHORT_ID], "dim"), Text(message, "red"))
    return Group(Text("failed", "bold"), table)


def _duration(seconds: float) -> str:
    """Return a duration as text.

    Example:
        >>> _duration(0.25), _duration(75), _duration(7500)
        ('0.2 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return (
        f"{minutes} min {int(seconds % 60)} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60} min"
    )
