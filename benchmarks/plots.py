"""The results as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.series import Results, Series
from benchmarks.tables import FLOOR, FUNCX, OURS, SDK, micro, milli

COLOURS = {OURS: "#1b6ca8", FLOOR: "#9a9a9a", SDK: "#c8553d", FUNCX: "#e0a030"}
STYLE: Any = {
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "legend.frameon": False,
}
WAIT = {OURS: "gather", FLOOR: "count", SDK: "wait", FUNCX: "wait"}


def draw(results: Results, directory: Path) -> list[Path]:
    """Draw what was measured, and give the pictures' files."""
    directory.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        return [
            _saved(_throughput(results), directory / "throughput.png"),
            _saved(_costs(results), directory / "costs.png"),
        ]


def _throughput(results: Results) -> Figure:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    over_tasks, over_batches = figure.subplots(1, 2)
    through, batches = results.read("throughput"), results.read("batches")
    for name in COLOURS:
        rows = through.where(contestant=name, wait=WAIT[name])
        tasks = sorted(rows.each("tasks"))
        _line(over_tasks, name, tasks, [rows.where(tasks=each).rate() for each in tasks])
        rows = batches.where(contestant=name)
        sizes = sorted(rows.each("batch_size"))
        _line(over_batches, name, sizes, [rows.where(batch_size=each).rate() for each in sizes])
    over_tasks.set(title="Throughput, batches of 128", xlabel="tasks")
    over_batches.set(title="Throughput, 10,000 tasks", xlabel="batch size")
    _ticks(over_tasks, through.each("tasks"))
    _ticks(over_batches, batches.each("batch_size"))
    for axes in (over_tasks, over_batches):
        axes.set(ylabel="tasks/s", ylim=(0, None))
    over_tasks.legend(loc="center", bbox_to_anchor=(0.5, 0.35))
    return figure


def _costs(results: Results) -> Figure:
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    (cpu, opened), (alone, held) = figure.subplots(2, 2)
    through = results.read("throughput")
    for name in COLOURS:
        rows = through.where(contestant=name, wait=WAIT[name])
        tasks = sorted(rows.each("tasks"))
        costs = [micro(rows.where(tasks=each).per_task("cpu_seconds")) for each in tasks]
        _line(cpu, name, tasks, costs)
    cpu.set(title="Client CPU of a task", ylabel="µs/task", xlabel="tasks")
    _ticks(cpu, through.each("tasks"))
    cpu.set_ylim(0, None)
    cpu.legend()

    rows = Series([*through.where(contestant=OURS, wait="gather").rows])
    rows.rows += results.read("open_tasks").rows
    tasks = sorted(rows.each("tasks"))
    for key, label in (("cpu_seconds", "client CPU"), ("seconds", "on the wall")):
        costs = [micro(rows.where(tasks=each).per_task(key)) for each in tasks]
        _line(opened, label, tasks, costs)
    opened.set(title="funcx_async, a task over open tasks", ylabel="µs/task", xlabel="open tasks")
    opened.set_ylim(0, None)
    _ticks(opened, tasks)
    opened.legend()

    _bars_of_latency(alone, results.read("latency"))
    _bars_of_memory(held, results.read("memory"))
    return figure


def _bars_of_latency(axes: Axes, rows: Series) -> None:
    ours = rows.where(contestant=OURS)
    bars = {"bare POST": [milli(ours.median(key)) for key in ("bare_p50", "bare_p95")]}
    for name in rows.each("contestant"):
        some = rows.where(contestant=name)
        bars[name] = [milli(some.median(key)) for key in ("p50", "p95")]
    _bars(axes, bars, ("p50", "p95"))
    axes.set(title="One task alone, submit to result", ylabel="ms", yscale="log")


def _bars_of_memory(axes: Axes, rows: Series) -> None:
    bars = {}
    for name in rows.each("contestant"):
        some = rows.where(contestant=name)
        bars[name] = [some.where(traced=traced).per_task("bytes") for traced in (True, False)]
    _bars(axes, bars, ("traced", "resident"))
    axes.set(title="Memory of an open task", ylabel="bytes")


def _bars(axes: Axes, bars: dict[str, list[float | None]], labels: tuple[str, str]) -> None:
    places = range(len(bars))
    for number, label in enumerate(labels):
        heights = [pair[number] or 0.0 for pair in bars.values()]
        drawn = axes.bar([place + 0.4 * number - 0.2 for place in places], heights, 0.38)
        drawn.set_label(label)
        axes.bar_label(
            drawn,
            [f"{height:,.3g}" if height < 100 else f"{height:,.0f}" for height in heights],
            fontsize=8,
        )
    names = [name.replace("globus-", "globus-\n") for name in bars]
    axes.set_xticks(list(places), names, fontsize=9)
    axes.grid(visible=False, axis="x")
    axes.legend()


def _ticks(axes: Axes, numbers: list[int]) -> None:
    """Name the measured numbers, instead of powers of ten, on a logarithmic axis."""
    axes.set_xscale("log")
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.minorticks_off()


def _line(axes: Axes, name: str, x: list[int], y: list[float | None]) -> None:
    heights = [float("nan") if each is None else each for each in y]
    axes.plot(x, heights, marker="o", color=COLOURS.get(name), label=name)


def _saved(figure: Figure, file: Path) -> Path:
    figure.savefig(file, dpi=110)
    return file
