"""Measurements, and their medians over the rounds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Series:
    """The rows of one experiment.

    Args:
        rows: what was measured, one round after the other.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows = list(rows)

    def where(self, **wanted: object) -> Series:
        """Only the rows that have these values."""
        return Series(
            row
            for row in self.rows
            if all(key in row and row[key] == value for key, value in wanted.items())
        )

    def each(self, key: str) -> list[Any]:
        """The different values of a key, in the order in which they came."""
        return list(dict.fromkeys(row[key] for row in self.rows if key in row))

    def median(self, key: str) -> float | None:
        """The median of a measured value, None if it was not measured."""
        values = [row[key] for row in self.rows if key in row]
        return statistics.median(values) if values else None

    def rate(self) -> float | None:
        """Tasks a second."""
        values = [row["tasks"] / row["seconds"] for row in self.rows]
        return statistics.median(values) if values else None

    def per_task(self, key: str) -> float | None:
        """What one task took of something measured for all."""
        values = [row[key] / row["tasks"] for row in self.rows if key in row]
        return statistics.median(values) if values else None


class Results:
    """The results of all experiments, one file for each.

    Args:
        directory: where the files are, or will be.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, experiment: str, machine: Row, rows: list[Row]) -> None:
        """Keep what was measured, in place of what was before."""
        self._directory.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        text = f'{{"machine": {json.dumps(machine)},\n "rows": [\n{lines}\n]}}\n'
        self._file(experiment).write_text(text)

    def read(self, experiment: str) -> Series:
        """Return what was measured last; nothing if it never was."""
        if not self._file(experiment).exists():
            return Series()
        return Series(json.loads(self._file(experiment).read_text())["rows"])

    def _file(self, experiment: str) -> Path:
        return self._directory / f"{experiment}.json"


def ratio(over: float | None, under: float | None) -> float | None:
    """One number over the other, None where one is missing."""
    return None if over is None or not under else over / under
