"""The fuzzers find nothing in a minute each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.fuzz import FUZZERS
from tests.docs.pages import ROOT

pytestmark = [pytest.mark.proof, pytest.mark.timeout(280)]


@pytest.mark.parametrize("name", FUZZERS)
def test_broken_input_does_no_harm(name: str):
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks.fuzz", name, "--seconds", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(ended.stdout, ended.stderr)
    assert ended.returncode == 0
    assert "no escape" in ended.stdout
