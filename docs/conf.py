"""How the documentation site is built: `make docs` makes it in build/docs, without a network."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Any

from sphinx.pycode import ModuleAnalyzer

project = "funcx_async"
author = "the authors of funcx_async"
copyright = f"2026, {author}"  # noqa: A001
release = metadata.version("funcx-async")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]

html_theme = "furo"
html_title = "funcx_async"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False

# The reference -------------------------------------------------------------------------------

autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Only names of this package can be linked to: other packages' inventories would be downloads.
# The type variables and what the package keeps to itself have no pages.
WITHOUT_PAGE = (
    r"T\d?|Classic|Compute|Dialect|LoopBinding|NotGiven|Observer|Origin|Queueing|Rest|"
    "Results|TargetedExecutor|TokenFile|Watcher"
)
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!funcx_async).*"),
    ("py:.*", r"funcx_async\.fastapi\.lifespan\.get_\w+|funcx_async\.executor\.Annotated"),
    ("py:.*", rf"funcx_async\..*\.({WITHOUT_PAGE})"),
]

FOR_THE_PACKAGE = {
    "BearerAuth": "async_auth_flow",
    "ClientCredentials": "fetch",
    "FuncXClient": "warn_if_outdated within_budget",
    "FuncXFuture": "accept belongs_to bind claim fail failed fulfil give_up outcome reader release "
    "restart sent succeed task_failed unwatch watch",
    "FuncXSerializer": "sizes without_source serialize_arguments serialize_function",
    "Hold": "note",
    "RenewingAuth": "token",
    "Telemetry": "began counted posting settled submitted",
}
"""Methods that are public to modules of this package alone, by the class that has them."""

_LEFT_OUT = {
    f"{owner}.{name}" for owner, names in FOR_THE_PACKAGE.items() for name in names.split()
}


# The side bar --------------------------------------------------------------------------------

CONTENTS = {
    "Begin": "installation tutorial moving transcripts/index",
    "How to": "notebooks fastapi frameworks testing telemetry options local endpoints "
    "authentication command-line firewalls journal serialization",
    "Explanation": "architecture reliability security performance",
    "Reference": "troubleshooting limits reference/index compatibility",
}
"""The pages in their order, as index.md has them; here, so that it can be read without Sphinx."""


def setup(app: Any) -> None:
    """Add the contents to the first page; have the reference say what users want to know."""
    app.connect("source-read", _add_contents)
    app.connect("source-read", _add_commands)
    app.connect("autodoc-skip-member", _is_left_out)
    app.connect("autodoc-process-docstring", _describe_parameter)


def _add_contents(app: Any, page: str, source: list[str]) -> None:
    if page == "index":
        for caption, pages in CONTENTS.items():
            source[0] += _contents(f":caption: {caption}", *pages.split())
    elif page == "transcripts/index":
        source[0] += _contents(":glob:", "*")


def _add_commands(app: Any, page: str, source: list[str]) -> None:
    """Let typer describe the commands, below its summary of them, which is cut short."""
    if page == "reference/command-line":
        words = ["-m", "typer", "funcx_async.cli.app", "utils", "docs", "--name", "funcx-async"]
        told = subprocess.run(  # noqa: S603 - a command of typer's, about a module of ours
            [sys.executable, *words], capture_output=True, text=True, check=True
        )
        source[0] += told.stdout[told.stdout.index("\n## ") :]


def _contents(option: str, *pages: str) -> str:
    return "\n".join(["\n\n```{toctree}", ":hidden:", option, "", *pages, "```\n"])


def _is_left_out(
    app: Any, kind: str, name: str, member: Any, skip: bool, options: Any
) -> bool | None:
    named = getattr(member, "fget", None) or member
    return True if getattr(named, "__qualname__", None) in _LEFT_OUT else None


def _describe_parameter(
    app: Any, kind: str, name: str, alias: Any, options: Any, lines: list[str]
) -> None:
    """An alias of a type has no docstring of its own, but one below it, where it is made."""
    if name in ("funcx_async.fastapi.FuncX", "funcx_async.fastapi.FuncXTasks"):
        home = ModuleAnalyzer.for_module("funcx_async.fastapi.lifespan")
        lines[:] = home.find_attr_docs()["", name.rpartition(".")[2]]
