"""Cards of HTML that notebooks show for executors, futures and other objects.

All text is escaped. A card uses the colors of the notebook, light or dark, loads nothing, and is a
plain table where its styles are removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from funcx_async.errors import TaskExecutionFailed, last_error

if TYPE_CHECKING:
    from funcx_async.models import Stats

LONGEST = 240
"""Characters of a value that are shown at most."""


class Tone(StrEnum):
    """The color of a state, which stands out from light and dark backgrounds."""

    RESTING = "#8a8f98"
    WORKING = "#3b82f6"
    GOOD = "#2f9e5f"
    BAD = "#e5484d"


_CARD = (
    "display:inline-block;max-width:100%;box-sizing:border-box;padding:.5em .9em;"
    "border:1px solid rgba(128,128,128,.4);border-radius:6px;line-height:1.5"
)
_CELL = "text-align:left;vertical-align:top;border:0;background:none"
_LABEL = f"{_CELL};padding:0 1.2em 0 0;white-space:nowrap;font-weight:normal;opacity:.7"
_VALUE = f"{_CELL};padding:0;white-space:pre-wrap;overflow-wrap:anywhere"


def card(name: str, state: str, tone: Tone, rows: Mapping[str, object], bar: str = "") -> str:
    """Return a card: a name, a dot with a state, a bar if there is one, and rows.

    Args:
        name: what it is.
        state: how it is.
        tone: the color of the dot.
        rows: labels and values; without those that are None or empty.
        bar: see :func:`bar_of`.

    Example:
        >>> "&lt;b&gt;" in card("Thing", "done", Tone.GOOD, {"label": "<b>"})
        True
    """
    shown = "".join(
        f'<tr style="background:none"><th style="{_LABEL}">{escape(label)}</th>'
        f'<td style="{_VALUE}">{escape(shortened(str(value)))}</td></tr>'
        for label, value in rows.items()
        if value is not None and value != ""
    )
    return (
        f'<div style="{_CARD}"><div><b>{escape(name)}</b>&ensp;'
        f'<span style="color:{tone}">&#9679;</span> {escape(state)}</div>{bar}'
        f'<table style="border:0;margin:.2em 0 0;line-height:1.5">{shown}</table></div>'
    )


def bar_of(shares: Iterable[tuple[int, Tone]]) -> str:
    """Return a bar of parts, each as long as its number; empty without parts."""
    parts = [(number, tone) for number, tone in shares if number]
    if not parts:
        return ""
    inside = "".join(
        f'<span style="flex:{number} 1 2px;background:{tone}"></span>' for number, tone in parts
    )
    return (
        '<div style="display:flex;height:6px;margin:.4em 0;border-radius:3px;overflow:hidden">'
        f"{inside}</div>"
    )


def shortened(text: str) -> str:
    """Cut a text that is too long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def executor_card(stats: Stats, *, closed: bool, rows: Mapping[str, object]) -> str:
    """Return the card of an executor: the progress of its tasks, and ``rows``."""
    if stats.open:
        state, tone = f"{stats.open:,} open", Tone.WORKING
    elif closed:
        state, tone = "shut down", Tone.RESTING
    else:
        state, tone = "idle", Tone.GOOD
    counts = {
        "done": stats.done,
        "failed": stats.failed,
        "open": stats.open,
        "of them queued": stats.queued,
    }
    told = {
        "tasks": ", ".join(f"{count:,} {label}" for label, count in counts.items() if count),
        "retried": stats.retried or None,
        "reconnects": stats.reconnects or None,
    }
    shares = (stats.done, Tone.GOOD), (stats.failed, Tone.BAD), (stats.open, Tone.RESTING)
    return card("FuncXExecutor", state, tone, {**told, **rows}, bar_of(shares))


def future_card(future: Future[Any], *, sent: bool, rows: Mapping[str, object]) -> str:
    """Return the card of a future: its state, the type of its result or its error, and ``rows``."""
    told: dict[str, object] = {}
    if not sent:
        state, tone = "queued", Tone.RESTING
    elif not future.done():
        state, tone = ("running" if future.running() else "being sent"), Tone.WORKING
    elif future.cancelled():
        state, tone = "cancelled", Tone.RESTING
    elif (error := future.exception(timeout=0)) is not None:
        state, tone = "failed", Tone.BAD
        told = {"error": type(error).__name__, "because": _reason(error)}
    else:
        state, tone = "done", Tone.GOOD
        told = {"result": type(future.result(timeout=0)).__name__}
    return card("FuncXFuture", state, tone, {**told, **rows})


def _reason(error: BaseException) -> str:
    """Return one line: of a remote traceback, the one that says what was raised."""
    if isinstance(error, TaskExecutionFailed):
        return last_error(error.remote_data).partition("\n")[0]
    return str(error).rstrip().rpartition("\n")[2].strip()
