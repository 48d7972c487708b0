"""The database of the gateway: the sweeps and the outcomes of their tasks."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUSY = 100
"""Milliseconds that a call, and the event loop, waits for a lock of another process."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sweep (
    id INTEGER PRIMARY KEY, first REAL, last REAL, columns INTEGER, pause REAL, ordered REAL
);
CREATE TABLE IF NOT EXISTS outcome (
    number INTEGER PRIMARY KEY, sweep INTEGER, "column" INTEGER, document TEXT,
    UNIQUE (sweep, "column")
);
"""


@dataclass(frozen=True)
class Sweep:
    """One sweep: an attractor for each of ``columns`` values of r from ``first`` to ``last``."""

    id: int
    first: float
    last: float
    columns: int
    pause: float
    ordered: float

    def at(self, column: int) -> float:
        """Return the value of r in a column."""
        return self.first + (self.last - self.first) * column / max(1, self.columns - 1)


class Store:
    """A database in one file. Each call is a transaction of microseconds on the event loop.

    While another process has it locked, a call fails after a short time and can be retried.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        # Without a flush at every commit a power failure may lose the last outcomes. They are then
        # computed again.
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        self._database.execute(f"PRAGMA busy_timeout={BUSY}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, first: float, last: float, columns: int, pause: float) -> Sweep:
        """Store a new sweep."""
        row = (first, last, columns, pause, time.time())
        number = self._database.execute(
            "INSERT INTO sweep (first, last, columns, pause, ordered) VALUES (?, ?, ?, ?, ?)", row
        ).lastrowid
        return Sweep(number or 0, *row)

    def latest(self) -> Sweep | None:
        """Return the latest sweep."""
        row = self._database.execute("SELECT * FROM sweep ORDER BY id DESC LIMIT 1").fetchone()
        return row and Sweep(*row)

    def outcomes(self, sweep: Sweep) -> list[dict[str, Any]]:
        """Return the outcomes of a sweep in the order of their arrival."""
        rows = self._database.execute(
            "SELECT document FROM outcome WHERE sweep = ? ORDER BY number", (sweep.id,)
        )
        return [json.loads(document) for (document,) in rows]

    def keep(self, sweep_id: int, outcome: dict[str, Any]) -> bool:
        """Store the outcome of a task; return False if there is one already."""
        row = (sweep_id, outcome["column"], json.dumps(outcome))
        return bool(
            self._database.execute(
                'INSERT OR IGNORE INTO outcome (sweep, "column", document) VALUES (?, ?, ?)', row
            ).rowcount
        )
