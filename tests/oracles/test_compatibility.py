"""The official packages themselves: each public method and argument is on the page."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.oracles.interpreters import interpreter

pytestmark = pytest.mark.oracle

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "compatibility.md").read_text()
CHAPTERS = {"sdk": "globus-compute-sdk 4.19", "funcx": "funcx 1.0.13"}


def told(package: str) -> set[str]:
    """The first cells of the tables of a chapter."""
    chapter = re.split(r"\n## ", PAGE.partition(f"## {CHAPTERS[package]}\n")[2])[0]
    return set(re.findall(r"^\| `([^`]+)` \|", chapter, re.MULTILINE))


@pytest.mark.parametrize("package", CHAPTERS)
def test_every_public_method_and_argument_is_on_the_page(package: str):
    program = [interpreter(package), str(HERE / "official_names.py"), package]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    is_there = set()
    for cls, members in json.loads(done.stdout).items():
        for name, (kind, arguments) in members.items():
            whole = cls if name == "__init__" else f"{cls}.{name}"
            is_there.add(whole if kind == "property" else f"{whole}({', '.join(arguments)})")
    assert is_there - told(package) == set(), "the page does not have these"
    assert told(package) - is_there == set(), "the package does not have these"
