"""Every block of Python on a page runs as it is printed."""

from __future__ import annotations

import ast
import codeop
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.docs import session
from tests.docs.pages import PAGES, blocks, kept, name_of

LANGUAGES = {"python", "console", "yaml", "text"}

NOT_RUN = {
    ("docs/authentication.md", "needs an account at Globus"): 1,
}
"""How many blocks of Python are not run, by page and reason. Everything else is."""

TEST_OPTIONS = ["-p", "no:cacheprovider", "-p", "no:asyncio"]
"""How a page's tests are run: pytest-asyncio warns where a project has not configured it."""

PYTHON = {
    name_of(page): [block for block in blocks(page) if block.language == "python"] for page in PAGES
}


def run(command: list[str], cwd: Path, environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", *command],
        capture_output=True,
        text=True,
        timeout=170,
        cwd=cwd,
        env=environment,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("page", [name for name, found in PYTHON.items() if found])
def test_the_blocks_of_a_page_run_in_one_session_and_its_programs_alone(
    page: str, tmp_path: Path, environment: dict[str, str]
):
    typed: list[str] = []
    programs: list[str] = []
    tests: set[Path] = set()
    for block in PYTHON[page]:
        if block.reason or block.official:
            continue
        file = kept(block, tmp_path, environment)
        if Path(file).name.startswith("test_"):
            tests.add(Path(file).parent)
        else:
            (programs if block.is_program else typed).append(file)
    for program in programs:
        run([program], tmp_path, environment)
    for directory in tests:
        run(
            ["-m", "pytest", *TEST_OPTIONS, *map(str, sorted(directory.glob("test_*.py")))],
            directory,
            environment,
        )
    if typed:
        run([session.__file__, *typed], tmp_path, environment)


def test_the_tutorial_can_be_typed_at_a_prompt():
    """Where an empty line ends a function, and what follows a loop needs one before it."""
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for block in PYTHON["docs/tutorial.md"]:
        if block.is_program:
            assert "save this as" in block.prose
            continue
        typed: list[str] = []
        for line in [*block.text.splitlines(), ""]:
            typed.append(line)
            if compiler("\n".join(typed), f"line {block.line}"):
                typed = []
        assert not any(typed)


def test_what_is_not_run_is_this_and_the_page_says_why():
    excused = [(page, block) for page, found in PYTHON.items() for block in found if block.reason]
    assert Counter((page, block.reason) for page, block in excused) == NOT_RUN
    for page, block in excused:
        assert str(block.reason) in block.prose, f"{page}:{block.line} does not tell its reader"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_block_says_what_it_is_written_in(page: Path):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{name_of(page)}:{block.line}: {block.language!r}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path):
    """On a code-hosting site, where the pages are read as files; Sphinx looks at its own."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, _ = link.partition("#")
        if path and not path.startswith("https://"):
            assert (page.parent / path).exists(), link


INSTALLING = [page for page in PAGES if "pip install 'funcx-async[" in page.read_text()]


@pytest.mark.parametrize("page", INSTALLING, ids=name_of)
def test_a_page_that_installs_the_package_says_where_it_comes_from(page: Path):
    text = page.read_text()
    assert "installation.md)" in text or "\n# Installation\n" in f"\n{text}"
