"""Every command on a page is one that there is; those that need nothing but a service are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import typer

from funcx_async.cli.app import app
from tests.docs.pages import PAGES, ROOT, Block, blocks, kept, name_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SOURCES = "".join(path.read_text() for path in (ROOT / "funcx_async").rglob("*.py"))

TELEMETRY = {"opentelemetry-sdk", "opentelemetry-exporter-prometheus"}
NOTEBOOK = {"ipywidgets", "jupyterlab"}
OTHERS_PACKAGES = {"globus-compute-endpoint", "kubernetes", "pytest", *NOTEBOOK, *TELEMETRY}
OTHERS_PROGRAMS = {
    *("cd", "curl", "git", "source", "ssh"),
    *("globus-compute-endpoint", "jupyter", "pytest", "uvicorn"),
}
"""What readers have, or have just installed."""

RUN = {"doctor", "endpoints", "run"}
"""Commands of ours that end by themselves and need a service and nothing else."""

CONSOLE = {
    name_of(page): [block for block in blocks(page) if block.language == "console"]
    for page in PAGES
}


def commands(block: Block) -> list[str]:
    """The commands of a block: all its lines, or those after a prompt if there are any."""
    lines = block.text.replace("\\\n", " ").splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    return prompted or [line for line in lines if line.strip()]


def words_of(command: str) -> list[str]:
    """A command's words; every way to call an interpreter is `python`, and ours by its name."""
    words = shlex.split(command, comments=True)
    if words and re.fullmatch(r"(\S+/)?python3?", words[0]):
        words[0] = "python"
    if words[:3] in (["python", "-m", "funcx_async"], ["python", "-m", "pip"]):
        words = [{"funcx_async": "funcx-async", "pip": "pip"}[words[2]], *words[3:]]
    return words


@cache
def help_of(*words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *words, "--help"],
        capture_output=True,
        text=True,
        timeout=170,
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def check_options(program: list[str], words: list[str]) -> None:
    told = help_of(*program)
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in told, f"{program} has no {word}"


def check_export(words: list[str], files: set[str]) -> None:
    for variable in words:
        assert variable == "..." or variable.partition("=")[0] in SOURCES, variable


def check_make(words: list[str], files: set[str]) -> None:
    assert set(words) <= TARGETS


def check_pip(words: list[str], files: set[str]) -> None:
    for word in words[1:]:
        if word.startswith("-"):
            continue
        named = re.fullmatch(r"([\w.-]+)(?:\[([\w,]+)\])?", word)
        assert named, word
        package, extras = named.groups()
        assert package in {PROJECT["name"], ".", *OTHERS_PACKAGES}
        assert set((extras or "").split(",")) <= {"", *PROJECT["optional-dependencies"]}


def check_ours(words: list[str], files: set[str]) -> None:
    command = [word for word in words[:1] if not word.startswith("-")]
    check_options(["funcx_async", *command], words)


def check_python(words: list[str], files: set[str]) -> None:
    if words[0] != "-m":
        assert words[0] in files or (ROOT / words[0]).exists(), f"there is no {words[0]}"
    elif words[1] not in {"asyncio", "venv"}:
        check_options(words[1:2], words[2:])


CHECKS: dict[str, Callable[[list[str], set[str]], None]] = {
    "export": check_export,
    "funcx-async": check_ours,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
}


@pytest.mark.parametrize("page", [name for name, found in CONSOLE.items() if found])
def test_every_command_of_a_page_can_be_typed(page: str):
    files = {str(block.file) for block in blocks(ROOT / page) if block.file}
    for block in CONSOLE[page]:
        for command in commands(block):
            program, *words = words_of(command)
            if program in CHECKS:
                CHECKS[program](words, files)
            else:
                assert program in OTHERS_PROGRAMS, f"what is {program}?"


def test_every_command_of_ours_is_on_a_page():
    typed = {
        " ".join(words_of(command)[:2])
        for found in CONSOLE.values()
        for block in found
        for command in commands(block)
    }
    ours = typer.main.get_command(app)
    assert isinstance(ours, typer.core.TyperGroup)
    assert {f"funcx-async {name}" for name in ours.commands} <= typed


def runs(command: str) -> bool:
    words = words_of(command)
    return words[:1] == ["funcx-async"] and set(words[1:2]) <= RUN and "..." not in command


@pytest.mark.parametrize(
    "page",
    [
        name
        for name, found in CONSOLE.items()
        if any(runs(command) for block in found for command in commands(block))
    ],
)
def test_commands_that_need_a_service_alone_are_run(
    page: str, tmp_path: Path, environment: dict[str, str]
):
    for block in blocks(ROOT / page):
        if block.file:
            kept(block, tmp_path, environment)
    for block in CONSOLE[page]:
        for command in filter(runs, commands(block)):
            ended = subprocess.run(
                [sys.executable, "-m", "funcx_async", *words_of(command)[1:]],
                capture_output=True,
                text=True,
                timeout=170,
                cwd=tmp_path,
                env=environment,
                check=False,
            )
            assert ended.returncode == 0, f"{command}: {ended.stderr}"
