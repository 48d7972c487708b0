"""Measure: ``python -m benchmarks [experiment ...]``.

Results are printed as tables and kept as JSON; the tables and pictures of the documentation are
made from what is kept. ``report`` alone measures nothing, and makes those again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.experiments import EXPERIMENTS, QUICK, Scale, measure
from benchmarks.plots import draw
from benchmarks.report import rewrite
from benchmarks.running import CONTESTANTS, ROOT, null_service, rabbitmq
from benchmarks.series import Results, Row
from benchmarks.tables import TABLES
from benchmarks.targets import targets

PAGE = ROOT / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("experiments", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; or report")
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--keep", type=Path, help="keep all in this directory, not in the project")
    parser.add_argument("--rounds", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--long-rounds", type=int, default=3, help="of long ones (default: 3)")
    parser.add_argument("--embedded", action="store_true", help="even where there is a RabbitMQ")
    chosen = parser.parse_args()
    if unknown := set(chosen.experiments) - {*EXPERIMENTS, "report"}:
        parser.error(f"no such experiment: {', '.join(unknown)}")
    names = [name for name in chosen.experiments or EXPERIMENTS if name != "report"]
    scale = QUICK if chosen.quick else Scale(chosen.rounds, chosen.long_rounds)
    for contestant in CONTESTANTS:
        if not contestant.present:
            print(f"{contestant.name} is left out: `make oracles` makes {contestant.python}")
    amqp_url = None if chosen.embedded else rabbitmq()
    with tempfile.TemporaryDirectory() as directory:
        keep = chosen.keep or (Path(directory) if chosen.quick else None)
        results = Results(keep or ROOT / "benchmarks" / "results")
        run(names, scale, results, amqp_url)
        draw(results, keep or PAGE.parent / "images")
        written = rewrite(PAGE.read_text(), results)
        (keep / PAGE.name if keep else PAGE).write_text(written)


def run(names: list[str], scale: Scale, results: Results, amqp_url: str | None) -> None:
    """Measure, and tell as it goes."""
    facts = machine(amqp_url)
    for name in names:
        rows = []
        with null_service(amqp_url) as service:
            for row in measure(name, scale, service):
                rows.append(row)
                print(f"{name}: {_line(row)}", file=sys.stderr, flush=True)
        results.write(name, facts, rows)
        print(f"\n{TABLES[name](results)}\n", flush=True)
    print(f"\n{targets(results)}\n")


def machine(amqp_url: str | None) -> Row:
    """On what it was measured, in general words."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "broker": "RabbitMQ" if amqp_url else "embedded",
        **{name: version(name) for name in ("httpx", "aio-pika", "aiormq")},
    }


def _line(row: Row) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
        if not isinstance(value, list)
    )


if __name__ == "__main__":
    main()
