"""The side bar has every page, and the first page leads to each of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from docs.conf import CONTENTS
from funcx_async import errors
from tests.docs.pages import ROOT

DOCS = ROOT / "docs"
LISTED = [page for pages in CONTENTS.values() for page in pages.split()]


def links_of(page: Path) -> set[Path]:
    """The files of this repository that a page links to."""
    found = re.findall(r"\]\(([^)\s#]+)", page.read_text())
    return {(page.parent / link).resolve() for link in found if "://" not in link}


def written() -> set[str]:
    """Every page that somebody wrote, as the side bar names it."""
    names = {
        str(path.relative_to(DOCS).with_suffix(""))
        for pattern in ("*.md", "*/*.md", "*.rst", "*/*.rst")
        for path in DOCS.glob(pattern)
    }
    # A directory's first page lists the others itself.
    return {name for name in names if "/" not in name or name.endswith("/index")} - {"index"}


def test_the_side_bar_has_every_page_once():
    assert sorted(LISTED) == sorted(written())


@pytest.mark.parametrize("page", LISTED)
def test_the_first_page_leads_to_every_page(page: str):
    file = next(DOCS.glob(f"{page}.*"))
    assert file in links_of(DOCS / "index.md")


@pytest.mark.parametrize("directory", ["reference", "transcripts"])
def test_the_first_page_of_a_directory_leads_to_the_others(directory: str):
    first = next((DOCS / directory).glob("index.*"))
    told = first.read_text()
    for page in first.parent.glob(f"*{first.suffix}"):
        assert page == first or page.stem in told, f"{first} does not lead to {page}"


def test_the_readme_leads_to_the_first_page():
    assert DOCS / "index.md" in links_of(ROOT / "README.md")


def test_every_error_class_has_its_remedy_in_troubleshooting():
    headings = set(
        re.findall(r"^### (\w+)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    )
    aliases = {"FuncXError", "FuncxTaskExecutionFailed"}
    assert headings == {name for name in errors.__all__ if name[:1].isupper()} - aliases


def test_every_extra_is_in_the_table_of_the_installation():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for_contributors = {"bench", "dev", "docs"}
    table = re.findall(r"^\| `(\w+)` \|", (DOCS / "installation.md").read_text(), re.MULTILINE)
    assert set(table) == project["optional-dependencies"].keys() - for_contributors


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("installation", "Installation"),
        ("security", "Security model"),
        ("limits", "Limits"),
        ("options", "Retries and timeouts"),
        ("reliability", "Fault tolerance"),
        ("troubleshooting", "Troubleshooting"),
    ],
)
def test_titles_carry_the_words_that_users_search_for(page: str, words: str):
    assert (DOCS / f"{page}.md").read_text().startswith(f"# {words}\n")
