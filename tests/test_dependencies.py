"""The versions of dependencies that developers and CI have are within what users may have."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = [
    Requirement(line)
    for line in (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
]
REQUIREMENTS = [
    requirement
    for text in sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
    if canonicalize_name((requirement := Requirement(text)).name) != PROJECT["name"]
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_each_dependency_is_locked_within_its_bounds(requirement: Requirement):
    name = canonicalize_name(requirement.name)
    locked = [each for each in LOCKED if canonicalize_name(each.name) == name]
    assert locked, f"{name} is not in .ci/constraints.txt: run `make lock`"
    for each in locked:
        version = str(each.specifier).removeprefix("==")
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{each} is not within {requirement}: run `make lock`"
        )


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_each_dependency_has_a_lowest_version(requirement: Requirement):
    assert [each.operator for each in requirement.specifier].count(">=") == 1


def test_the_lowest_python_is_the_first_of_those_named():
    named = [
        line.rpartition(" ")[2] for line in PROJECT["classifiers"] if " :: Python :: 3." in line
    ]
    assert PROJECT["requires-python"] == f">={named[0]}"
