"""The programs of those who move print the same before and after."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import official
from tests.docs.pages import ROOT, Block, blocks, kept
from tests.oracles.interpreters import interpreter

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(280)]


def moves() -> list[tuple[Block, list[Block]]]:
    """Each program of an official package, and those that may take its place."""
    found: list[tuple[Block, list[Block]]] = []
    for block in blocks(ROOT / "docs/moving.md"):
        if block.official:
            found.append((block, []))
        elif block.language == "python":
            found[-1][1].append(block)
    return found


def printed(command: list[str], environment: dict[str, str]) -> str:
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("before", "after"), [pytest.param(*move, id=f"line {move[0].line}") for move in moves()]
)
def test_what_takes_the_place_of_a_program_prints_the_same(
    before: Block, after: list[Block], tmp_path: Path, environment: dict[str, str]
):
    assert after
    package = str(before.official)
    theirs = environment | {"HOME": str(tmp_path)}
    if package == "sdk":  # it goes to localhost:5000 whatever it is told: our service is its proxy
        theirs["HTTP_PROXY"] = environment["FUNCX_ASYNC_SERVICE_URL"]
    command = [interpreter(package), official.__file__, package]
    expected = printed([*command, kept(before, tmp_path, environment)], theirs)
    assert expected
    for block in after:
        ours = kept(block, tmp_path, environment)
        assert printed([sys.executable, "-W", "error", ours], environment) == expected
