"""The files and functions that the pages for contributors name are in the package."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT

PACKAGE = ROOT / "funcx_async"
PAGES = {name: (ROOT / name).read_text() for name in ("docs/architecture.md", "CONTRIBUTING.md")}
NAMED = {
    code: page
    for page, text in PAGES.items()
    for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", line)
}
SKIPPED = re.compile(r"^(make|\.ci/|submit$|PATH$|pre-commit)| ")


def names_of(tree: ast.Module) -> set[str]:
    """Return the functions, classes, methods and constants that a module defines."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [each.name for each in node.body if hasattr(each, "name")]
            found |= {node.name, *(f"{node.name}.{method}" for method in methods)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            found |= {each.id for each in targets if isinstance(each, ast.Name)}
    return found


DEFINED = set().union(*(names_of(ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py")))


@pytest.mark.parametrize(("code", "page"), NAMED.items(), ids=NAMED)
def test_what_is_named_exists(code: str, page: str):
    if SKIPPED.search(code):
        return
    path = PACKAGE / code
    known = path.exists() or path.with_suffix(".py").exists() or (ROOT / code).exists()
    assert known or code in DEFINED, f"{page} names {code}"
