"""The benchmarks run from end to end; how fast anything is, no test says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.experiments import EXPERIMENTS
from benchmarks.running import CONTESTANTS
from benchmarks.series import Results
from benchmarks.tables import TABLES
from benchmarks.targets import targets

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all experiments, done small, left what they measured."""
    directory = tmp_path_factory.mktemp("benchmarks")
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--keep", str(directory)],
        cwd=ROOT,
        env=os.environ | {"MPLCONFIGDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return directory


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_measures_every_client_that_it_is_about(kept: Path, experiment: str):
    rows = Results(kept).read(experiment)
    alone = {"open_tasks", "stalls", "local", "profile"}
    bare = {"throughput", "batches"}
    clients = {
        client.name
        for client in CONTESTANTS
        if client.program == "ours"
        or (experiment not in alone and (client.program != "floor" or experiment in bare))
    }
    assert set(rows.each("contestant")) == clients


def test_tables_and_pictures_show_what_was_measured(kept: Path):
    results = Results(kept)
    for make in TABLES.values():
        assert "not measured" not in make(results)
    assert "| one task alone, p50 above a bare httpx POST's, ms | ≤ 1 | " in targets(results)
    page = (kept / "performance.md").read_text()
    assert TABLES["throughput"](results) in page
    assert {picture.name for picture in kept.glob("*.png")} == {"costs.png", "throughput.png"}
