"""The examples of docstrings that are printed as plain code, without a prompt."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import textwrap
from dataclasses import dataclass

import funcx_async

_BLOCK = re.compile(r"^([ \t]*)Examples?::\n\n((?:\1[ \t]+\S.*\n|[ \t]*\n)+)", re.MULTILINE)


NOT_RUN = {
    "LocalService.agent_environment": "starts an official agent",
    "EndpointOperations.register_endpoint": "needs a service that takes agents",
    "EndpointOperations.stop_endpoint": "needs a service that takes agents",
    "EndpointOperations.delete_endpoint": "needs a service that takes agents",
    "FuncXExecutor.events": "ends with its executor; docs/telemetry.md has one that is run",
}
"""What tests/oracles, tests/service and pages try in another way."""


@dataclass(frozen=True)
class Printed:
    """A piece of code in a docstring.

    Attributes:
        name: whose docstring it is.
        module: the module where that is.
        text: the code.
    """

    name: str
    module: str
    text: str

    @property
    def own_name(self) -> str:
        """Its name in the module."""
        return self.name.removeprefix(f"{self.module}.")


def modules() -> list[str]:
    """Every module that can be imported without being run; the hooks are for PyInstaller alone."""
    found = pkgutil.walk_packages(funcx_async.__path__, "funcx_async.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    return [
        funcx_async.__name__,
        *(name for name in names if not name.startswith("funcx_async._pyinstaller.")),
    ]


def printed() -> list[Printed]:
    """Every piece of code behind ``Example::``, in order."""
    finder = doctest.DocTestFinder(exclude_empty=False)
    return [
        Printed(found.name, module, textwrap.dedent(block[2]).strip() + "\n")
        for module in modules()
        for found in finder.find(importlib.import_module(module))
        for block in _BLOCK.finditer((found.docstring or "") + "\n")
    ]


def prompted() -> list[str]:
    """Every example that begins with a prompt; tests/test_examples.py runs those."""
    finder = doctest.DocTestFinder()
    return [
        "".join(example.source for example in found.examples)
        for module in modules()
        for found in finder.find(importlib.import_module(module))
        if found.examples
    ]
