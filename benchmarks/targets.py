"""What was set out to be reached, and what was."""

from __future__ import annotations

from benchmarks.series import Results, Series, ratio
from benchmarks.tables import FLOOR, FUNCX, OURS, SDK, Cell, micro, milli, table


def targets(results: Results) -> str:
    """What was set out to be reached, and what was."""
    through, single = results.read("throughput"), results.read("latency")
    rows = {
        name: through.where(tasks=10_000, contestant=name) for name in (OURS, SDK, FUNCX, FLOOR)
    }
    ours = rows[OURS].where(wait="gather")
    sdk, original = (_best(rows[name]) for name in (SDK, FUNCX))
    many = through.where(tasks=100_000)
    plain = many.where(contestant=OURS, wait="asyncio.gather").rate()
    alone, bare = (single.where(contestant=OURS).median(key) for key in ("p50", "bare_p50"))
    above = None if alone is None or bare is None else alone - bare
    held = results.read("memory").where(contestant=OURS)
    opened, small = _cost_open(results)
    imported = {
        each: results.read("imports").where(statement=f"import {each}").median("seconds")
        for each in ("funcx_async", "globus_compute_sdk")
    }
    usual = "10,000 tasks, batch 128"
    cpu = ours.per_task("cpu_seconds")
    lines: list[list[Cell]] = [
        [f"throughput, {usual}, over globus-compute-sdk", "≥ 6", ratio(ours.rate(), sdk)],
        [f"throughput, {usual}, over funcx", "≥ 4", ratio(ours.rate(), original)],
        [
            f"throughput, {usual}, over the bare floor",
            "≥ 0.6",
            ratio(ours.rate(), rows[FLOOR].rate()),
        ],
        [
            "throughput, 100,000 tasks, `asyncio.gather`, over globus-compute-sdk",
            "≥ 3.5",
            ratio(plain, _best(many.where(contestant=SDK))),
        ],
        [f"client CPU, {usual}, µs/task", "≤ 25", micro(cpu)],
        [
            f"client CPU, {usual}, over globus-compute-sdk's",
            "≤ 0.167",
            ratio(cpu, rows[SDK].where(wait="wait").per_task("cpu_seconds")),
        ],
        ["one task alone, p50 above a bare httpx POST's, ms", "≤ 1", milli(above)],
        [
            "one task alone, p50 over globus-compute-sdk's",
            "≤ 0.02",
            ratio(alone, single.where(contestant=SDK).median("p50")),
        ],
        ["CPU of a task, 1,000,000 open over 10,000 open", "≤ 1.3", ratio(opened, small)],
        [
            "memory of an open task, traced, bytes",
            "≤ 400",
            held.where(traced=True).per_task("bytes"),
        ],
        [
            "memory of an open task, resident, bytes",
            "≤ 800",
            held.where(traced=False).per_task("bytes"),
        ],
        ["longest stall of the loop, ms", "≤ 20", _stall(results, frozen=False)],
        ["the same after `gc.freeze()`, ms", "≤ 20", _stall(results, frozen=True)],
        [
            "`import funcx_async` over `import globus_compute_sdk`",
            "≤ 0.5",
            ratio(imported["funcx_async"], imported["globus_compute_sdk"]),
        ],
        [
            "local service, end to end, tasks/s",
            "≥ 2,000",
            results.read("local").where(sampled=False).rate(),
        ],
    ]
    return table(["", "target", "measured"], lines)


def _best(rows: Series) -> float | None:
    """The best rate of a client, whichever way its users wait."""
    rates = [rows.where(wait=wait).rate() for wait in rows.each("wait")]
    return max((rate for rate in rates if rate is not None), default=None)


def _stall(results: Results, *, frozen: bool) -> Cell:
    return milli(results.read("stalls").where(frozen=frozen).median("wall"))


def _cost_open(results: Results) -> tuple[float | None, float | None]:
    rows = results.read("open_tasks")
    most, least = (rows.where(tasks=each) for each in (1_000_000, 10_000))
    return most.per_task("cpu_seconds"), least.per_task("cpu_seconds")
