"""How a task group is shown: as a picture that changes in a terminal, or as lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from funcx_async.cli.group import LOST, GroupView

SHOWN = 5
"""So many slow tasks and failures are shown."""

NARROW = 84
"""Columns inside the frame from which on both lists have room side by side."""

_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {"success": "green", "failed": "bold red", LOST: "bold red", "running": "cyan"}


def line(view: GroupView, now: float) -> str:
    """Give the state of a group as one line.

    Args:
        view: the group.
        now: the time, in Unix seconds.
    """
    states = ", ".join(f"{state} {count:,}" for state, count in view.states.items())
    rate = view.rate(now)
    speed = "" if rate is None else f"; {rate:.1f}/s"
    at = time.strftime("%H:%M:%S", time.localtime(now))
    return f"{at}  {view.done:,} of {view.total:,} ended  ({states or 'no tasks'}){speed}"


def last_line(view: GroupView) -> str:
    """Give what all came to."""
    failed, took = len(view.failures), view.took()
    if not view.total:
        return "There are no tasks in the group."
    ended = f"All {view.total:,} tasks have ended" if view.total > 1 else "The task has ended"
    speed = f" in {_span(took)}, {view.total / took:,.1f}/s" if took else ""
    return f"{ended}{speed}; {f'{failed:,} failed' if failed else 'none failed'}."


def picture(view: GroupView, group_id: str, now: float, note: str = "") -> RenderableType:
    """Give the state of a group as a picture.

    Args:
        view: the group.
        group_id: its id.
        now: the time, in Unix seconds.
        note: what is to be said besides.
    """
    parts: list[RenderableType] = [_bar(view), _states(view), _speed(view, now)]
    parts += [Text(), _Lists(_slowest(view, now), _failures(view))]
    if note:
        parts += [Text(), Text(note, "yellow")]
    title = Text.assemble(("task group ", "dim"), (group_id, "bold"))
    return Panel(Group(*parts), title=title, title_align="left", box=ROUNDED, padding=(1, 2))


@dataclass(frozen=True, slots=True)
class _Lists:
    """Two lists side by side, or one below the other where there is no room."""

    left: Table
    right: Table

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < NARROW:
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
    share = 100 * view.done // max(view.total, 1)
    row.add_row(bar, Text(f"{view.done:,} of {view.total:,}  {share} %", "bold"))
    return row


def _states(view: GroupView) -> Text:
    words = Text()
    for state, count in view.states.items():
        words.append(f"{count:,} ", _COLOURS.get(state, "yellow"))
        words.append(f"{state}   ", "dim")
    return words


def _speed(view: GroupView, now: float) -> Text:
    rate, left = view.rate(now), view.seconds_left(now)
    words = Text()
    if rate is not None and left is not None and view.done < view.total:
        words.append(f"{rate:,.1f} ", "bold")
        words.append("tasks a second  ", "dim")
        words.append(_curve(view.rates(40)), "cyan")
        words.append(f"  about {_span(left)} left", "dim")
    elif took := view.took():
        words.append(f"{view.total / took:,.1f} ", "bold")
        words.append(f"tasks a second, {_span(took)} from first to last", "dim")
    return words


def _curve(rates: list[float]) -> str:
    """Draw numbers as bars.

    Example:
        >>> _curve([0.0, 1.0, 2.0])
        '▁▄█'
    """
    most = max(rates, default=0.0) or 1.0
    return "".join(_BARS[int(rate / most * (len(_BARS) - 1) + 0.25)] for rate in rates)


def _slowest(view: GroupView, now: float) -> Table:
    rows = [
        (_span(seconds) if ended else f"> {_span(seconds)}", task_id, ended)
        for task_id, seconds, ended in view.slowest(SHOWN, now)
    ]
    longest = max((len(words) for words, _, _ in rows), default=0)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, justify="right", min_width=longest)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_row("", Text("slowest, from submit to end", "bold"))
    for words, task_id, ended in rows:
        table.add_row(Text(words), Text(task_id[:8], "dim" if ended else "cyan"))
    return table


def _failures(view: GroupView) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="crop", width=8)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_row(Text("failed" if view.failures else "", "bold"), "")
    for task_id, words in list(view.failures.items())[-SHOWN:]:
        table.add_row(Text(task_id[:8], "dim"), Text(words, "red"))
    return table


def _span(seconds: float) -> str:
    """Write a span of time.

    Example:
        >>> _span(0.25), _span(75), _span(7500)
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
