"""The results as tables, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.running import CONTESTANTS
from benchmarks.series import Results, Series

OURS, FLOOR, SDK, FUNCX = (each.name for each in CONTESTANTS)

Cell = str | float | None


def table(head: Sequence[str], lines: Sequence[Sequence[Cell]]) -> str:
    """A table whose numbers have three figures that matter."""
    rule = ["---" if number == 0 else "---:" for number in range(len(head))]
    return "\n".join(
        f"| {' | '.join(_text(cell) for cell in line)} |" for line in (head, rule, *lines)
    )


def _text(cell: Cell) -> str:
    if cell is None:
        return "not measured"
    if isinstance(cell, str):
        return cell
    if abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.3g}"


def throughput(results: Results) -> str:
    """Tasks a second and CPU a task, over the number of tasks."""
    rows = results.read("throughput")
    lines: list[list[Cell]] = []
    for tasks in rows.each("tasks"):
        some = rows.where(tasks=tasks)
        for name, wait in _ways(some):
            way = some.where(contestant=name, wait=wait)
            lines.append([f"{tasks:,}", f"{name}, `{wait}`", way.rate(), *_costs(way)])
    return table(
        ["tasks", "client", "tasks/s", "client CPU, µs/task", "service CPU, µs/task"], lines
    )


def _ways(rows: Series) -> list[tuple[str, str]]:
    names = [OURS, SDK, FUNCX, FLOOR]
    pairs = {(row["contestant"], row["wait"]) for row in rows.rows}
    return sorted(pairs, key=lambda pair: (names.index(pair[0]), pair[1] != "gather", pair[1]))


def _costs(rows: Series) -> list[float | None]:
    return [micro(rows.per_task(key)) for key in ("cpu_seconds", "service_cpu_seconds")]


def micro(seconds: float | None) -> float | None:
    """Microseconds."""
    return None if seconds is None else seconds * 1e6


def milli(seconds: float | None) -> float | None:
    """Milliseconds."""
    return None if seconds is None else seconds * 1e3


def batches(results: Results) -> str:
    """Tasks a second over the size of batches."""
    rows = results.read("batches")
    names = [name for name in (OURS, SDK, FUNCX, FLOOR) if name in rows.each("contestant")]
    lines = [
        [str(size), *(rows.where(batch_size=size, contestant=name).rate() for name in names)]
        for size in rows.each("batch_size")
    ]
    return table(["batch size", *names], lines)


def open_tasks(results: Results) -> str:
    """The cost of a task over how many are open."""
    rows = results.read("open_tasks")
    lines = []
    for tasks in rows.each("tasks"):
        some = rows.where(tasks=tasks)
        seconds, cpu = (micro(some.per_task(key)) for key in ("seconds", "cpu_seconds"))
        lines.append([f"{tasks:,}", seconds, cpu])
    return table(["open tasks", "µs/task", "client CPU, µs/task"], lines)


def latency(results: Results) -> str:
    """One task alone."""
    rows = results.read("latency")
    lines = [
        [name, *(milli(rows.where(contestant=name).median(key)) for key in ("p50", "p95"))]
        for name in rows.each("contestant")
    ]
    bare = [milli(rows.where(contestant=OURS).median(key)) for key in ("bare_p50", "bare_p95")]
    return table(["one task alone", "p50, ms", "p95, ms"], [*lines, ["bare httpx POST", *bare]])


def memory(results: Results) -> str:
    """Bytes of an open task."""
    rows = results.read("memory")
    lines = []
    for name in rows.each("contestant"):
        own = rows.where(contestant=name)
        traced, resident = (own.where(traced=each).per_task("bytes") for each in (True, False))
        lines.append([name, f"{own.rows[0]['tasks']:,}", traced, resident])
    return table(["client", "open tasks", "traced, bytes/task", "resident, bytes/task"], lines)


def stalls(results: Results) -> str:
    """How long the loop was held."""
    rows = results.read("stalls")
    told = {
        "longest, on the wall": "wall",
        "longest, CPU of the loop's thread": "cpu",
        "longest collection of garbage, of that": "collection",
        "99 % of turns, on the wall": "p99",
        "half of the turns, on the wall": "p50",
    }
    lines: list[list[Cell]] = [
        [words, *(milli(rows.where(frozen=frozen).median(key)) for frozen in (False, True))]
        for words, key in told.items()
    ]
    return table(["the loop was held for", "ms", "after `gc.freeze()`, ms"], lines)


def imports(results: Results) -> str:
    """What an import takes."""
    rows = results.read("imports")
    lines = []
    for statement in rows.each("statement"):
        some = rows.where(statement=statement)
        taken = (milli(some.median(key)) for key in ("seconds", "cpu_seconds"))
        lines.append([f"`{statement}`", *taken])
    return table(["in a fresh interpreter", "ms", "CPU, ms"], lines)


def local(results: Results) -> str:
    """The embedded broker and the local service."""
    rows = results.read("local").where(sampled=False)
    lines = [
        ["tasks/s, end to end", rows.rate()],
        ["CPU of client, service and broker, µs/task", micro(rows.per_task("cpu_seconds"))],
        ["CPU of the workers, µs/task", micro(rows.per_task("workers_cpu_seconds"))],
    ]
    return table(["the local service, two workers", ""], lines)


def local_profile(results: Results) -> str:
    """Where the local service's process spends its time."""
    return _profile(results.read("local").where(sampled=True))


def profile(results: Results) -> str:
    """Where our client's process spends its time."""
    return _profile(results.read("profile"))


def _profile(rows: Series) -> str:
    per_task = micro(rows.per_task("cpu_seconds")) or 0.0
    total = sum(row["samples"] for row in rows.rows) or 1
    head = ["", "% of CPU", "µs/task"]
    tables = []
    for what, most in (("entries", 10), ("packages", 12), ("functions", 20)):
        counted: dict[str, int] = {}
        for row in rows.rows:
            for name, samples in row[what]:
                counted[name] = counted.get(name, 0) + samples
        top = sorted(counted.items(), key=lambda pair: -pair[1])[:most]
        lines: list[list[Cell]] = [
            [f"`{name}`", 100 * n / total, per_task * n / total] for name, n in top
        ]
        tables.append(table(head, lines))
    return "\n\n".join(tables)


TABLES: dict[str, Callable[[Results], str]] = {
    each.__name__: each
    for each in (
        *(throughput, batches, open_tasks, latency, memory, stalls, imports),
        *(local, local_profile, profile),
    )
}
