"""A minute of the chaos: nothing is lost while everything fails."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests import brokers

pytestmark = [pytest.mark.proof, pytest.mark.timeout(290)]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", brokers.with_own_node(1))
async def test_no_promise_is_broken_in_a_minute_of_faults(seed: int):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.chaos", "--seed", str(seed), "--seconds", "60"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    print(out.decode())
    assert process.returncode == 0, "standard output and error say which promise was broken"
