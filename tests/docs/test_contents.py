"""The side bar has every page, and the first page leads to each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.conf import CONTENTS
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
