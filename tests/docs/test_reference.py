"""Every public name has a page, with an example that is run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import doctest
import importlib
import inspect
import re
from typing import Any

import pytest

from docs.conf import FOR_THE_PACKAGE
from funcx_async.testing import pytest_plugin
from tests.docs.docstrings import NOT_RUN, modules, printed, prompted
from tests.docs.pages import PAGES, ROOT, blocks

MODULES = ["funcx_async", "funcx_async.blocking", "funcx_async.fastapi", "funcx_async.local"]
"""The modules that users import from; each has its public names in `__all__`."""

LISTED = re.findall(
    r"^   (funcx_async[\w.]+)$", (ROOT / "docs/reference/index.rst").read_text(), re.MULTILINE
)
NAMES = [
    f"{module}.{name}" for module in MODULES for name in importlib.import_module(module).__all__
]
RUN = [
    block.text
    for page in PAGES
    for block in blocks(page)
    if block.language == "python" and not block.reason and not block.official
]
EXAMPLES = [
    *RUN,
    *prompted(),
    *(example.text for example in printed() if example.own_name not in NOT_RUN),
]
FIXTURES = [
    name
    for name, member in vars(pytest_plugin).items()
    if isinstance(member, type(pytest_plugin.funcx_service))
]


def found(name: str) -> Any:
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


def owner_of(kind: type, name: str) -> type:
    return next(base for base in kind.__mro__ if name in vars(base))


PYTHONS = {
    *vars(concurrent.futures.Executor),
    *vars(concurrent.futures.Future),
    *dir(asyncio.Future),
}
"""Methods that Python's documentation has examples of."""

TRIED_ELSEWHERE = {name.rpartition(".")[2] for name in NOT_RUN}

METHODS = sorted(
    {
        f"{owner_of(kind, name).__name__}.{name}"
        for kind in map(found, LISTED)
        if inspect.isclass(kind)
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
        if name not in PYTHONS | TRIED_ELSEWHERE
        if owner_of(kind, name).__module__.startswith("funcx_async")
    }
    - {f"{owner}.{name}" for owner, names in FOR_THE_PACKAGE.items() for name in names.split()}
)
"""The methods that the reference describes."""


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_page(name: str):
    assert found(name) in [found(listed) for listed in LISTED], "add it to docs/reference/index.rst"


@pytest.mark.parametrize("name", LISTED)
def test_a_name_of_the_reference_has_an_example_that_is_run(name: str):
    """In its docstring, by tests/test_examples.py, or on a page, by test_pages.py beside this."""
    module, _, own = name.rpartition(".")
    in_docstring = doctest.DocTestParser().get_examples(inspect.getdoc(found(name)) or "")
    on_a_page = [
        block
        for block in RUN
        if re.search(rf"^from {module}(?:\.\w+)? import [^#]*\b{own}\b", block, re.MULTILINE)
    ]
    assert in_docstring or on_a_page


def test_the_reference_lists_nothing_twice():
    assert len(LISTED) == len(set(LISTED))


@pytest.mark.parametrize("fixture", FIXTURES)
def test_a_fixture_has_a_place_in_the_reference_and_an_example_that_is_run(fixture: str):
    page = (ROOT / "docs/reference/fixtures.rst").read_text()
    assert f".. autofunction:: {fixture}(" in page
    # A test that asks for it, or the reader's own in its place.
    assert any(re.search(rf"def \w+\([^)]*\b{fixture}\b|def {fixture}\(", block) for block in RUN)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_an_example_that_is_run(method: str):
    name = method.rpartition(".")[2]
    assert any(re.search(rf"\.{name}\(", text) for text in EXAMPLES), f"add one to {method}"


def test_what_is_left_out_of_the_reference_is_there():
    classes = {
        kind.__name__: kind
        for module in modules()
        for kind in vars(importlib.import_module(module)).values()
        if inspect.isclass(kind) and kind.__module__ == module
    }
    for owner, names in FOR_THE_PACKAGE.items():
        assert set(names.split()) <= set(vars(classes[owner])), owner
