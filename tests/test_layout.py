"""The layout of the package: who may import whom, and the figures that keep it small."""

from __future__ import annotations

import ast
import asyncio
import sys
from graphlib import TopologicalSorter
from operator import mul
from pathlib import Path
from types import FrameType

import pytest

import funcx_async
from funcx_async import FuncXClient, FuncXExecutor
from funcx_async.blocking import LocalService

PACKAGE = Path(funcx_async.__file__).parent
FILES = {
    ".".join(("funcx_async", *path.relative_to(PACKAGE).with_suffix("").parts)): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "-" not in path.stem
}
TREES = {module: ast.parse(path.read_text()) for module, path in FILES.items()}

LEVELS = {
    "language": "_process errors events models _lazy _versions _html",
    "pure": "_core serialize",
    "wire": "_net _futures auth",
    "service": "_service _settings _journal telemetry client",
    "results": "_results",
    "session": "_session",
    "executor": "executor",
    "faces": "doctor __init__ fastapi local blocking testing cli repl __main__ _pyinstaller",
}
"""From the lowest; in one level a name may import those to the left of it."""
ORDER = [(level, name) for level, names in LEVELS.items() for name in names.split()]
PLACE = {name: place for place, (_, name) in enumerate(ORDER)}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LIMITS = {
    "modules": 200,
    "classes": 394,
    "loose modules": 10,
    "half-classes": 0,
    "protocols with one implementer": 3,
    "levels": 8,
    "functions of a submit": 182,
    "files of a submit": 48,
}


def top(module: str) -> str:
    """Return the name at the top level of the package that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in PLACE else "__init__"


def imported(tree: ast.Module) -> set[str]:
    """Return all names that a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def test_every_module_has_a_level():
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES.values()} == (
        set(PLACE)
    )


@pytest.mark.parametrize("module", FILES)
def test_module_imports_from_lower_levels_only(module: str):
    own = top(module)
    for name in imported(TREES[module]):
        if name.startswith("funcx_async.") and top(name) != own:
            assert PLACE[top(name)] < PLACE[own], f"{module} must not import {name}"


def test_no_modules_import_each_other():
    graph = {
        module: (imported(tree) & FILES.keys()) - {module}
        for module, tree in TREES.items()
        if not module.endswith("__init__")
    }
    assert set(TopologicalSorter(graph).static_order()) >= graph.keys()


def test_core_imports_no_loop_thread_clock_or_socket():
    forbidden = {"asyncio", "threading", "time", "socket", "concurrent", "httpx", "random", "anyio"}
    for module, tree in TREES.items():
        if top(module) == "_core":
            assert not {name.split(".")[0] for name in imported(tree)} & forbidden, module
            for node in ast.walk(tree):
                assert not isinstance(node, ast.Await | ast.AsyncFunctionDef), module


class Class:
    """A class of the package, as its text tells of it."""

    def __init__(self, module: str, node: ast.ClassDef) -> None:
        self.name = node.name
        self.node = node
        self.home = f"{module}.{node.name}"
        self.is_protocol = any(base_name(base) == "Protocol" for base in node.bases)
        self.bases = {resolved(module, base_name(base)) for base in node.bases}
        functions = [each for each in node.body if isinstance(each, FUNCTIONS)]
        assigned = {name for each in ast.walk(node) for name in targets(each)}
        self.members = {each.name for each in functions} | assigned

    def private(self) -> set[str]:
        return {name for name in self.members if name.startswith("_") and not name.endswith("__")}

    def uses(self) -> set[str]:
        """Return the names that the class looks up on ``self``."""
        return {name for each in ast.walk(self.node) if (name := name_on_self(each))}

    def all_members(self) -> set[str]:
        """Return the members of the class and of its bases in this package."""
        ours = [CLASSES[base].all_members() for base in self.bases if base in CLASSES]
        return self.members.union(*ours)


def base_name(base: ast.expr) -> str:
    """Return the name of a base class: ``Base`` for ``Base[T]``, nothing for ``module.Base``."""
    return getattr(base.value if isinstance(base, ast.Subscript) else base, "id", "")


def resolved(module: str, name: str) -> str:
    """Return the full name of what a module calls ``name``."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and name in {
            each.asname or each.name for each in node.names
        }:
            return f"{node.module}.{name}"
    return f"{module}.{name}"


def name_on_self(node: ast.AST) -> str:
    on_self = isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self"
    return node.attr if on_self else ""


def targets(node: ast.AST) -> list[str]:
    """Return the names that a statement assigns to, ``self.name`` among them."""
    if isinstance(node, ast.AnnAssign):
        return [name_on_self(node.target) or getattr(node.target, "id", "")]
    if isinstance(node, ast.Assign):
        return [name_on_self(each) or getattr(each, "id", "") for each in node.targets]
    return []


CLASSES = {
    each.home: each
    for module, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
    for each in [Class(module, node)]
}


def half_classes() -> list[str]:
    """Return the bases that have one subclass, which works with their private state."""
    found = []
    for home, base in CLASSES.items():
        subclasses = [each for each in CLASSES.values() if home in each.bases]
        if len(subclasses) == 1 and not base.is_protocol and base.private() & subclasses[0].uses():
            found.append(base.name)
    return found


def protocols_with_one_implementer() -> list[str]:
    others = [each.all_members() for each in CLASSES.values() if not each.is_protocol]
    protocols = [each for each in CLASSES.values() if each.is_protocol]
    return [each.name for each in protocols if sum(each.members <= other for other in others) < 2]


def test_figures_stay_within_their_limits():
    figures = {
        "modules": len(FILES),
        "classes": len(CLASSES),
        "loose modules": len(list(PACKAGE.glob("*.py"))),
        "half-classes": len(half_classes()),
        "protocols with one implementer": len(protocols_with_one_implementer()),
        "levels": len(LEVELS),
    }
    print(*(f"{name}: {figures[name]} of {LIMITS[name]}" for name in figures), sep="\n")
    print("half-classes:", *half_classes())
    print("protocols:", *protocols_with_one_implementer())
    assert {name: found for name, found in figures.items() if found > LIMITS[name]} == {}


async def test_way_of_a_submit_stays_short():
    with LocalService(workers=1) as service:  # its loop is in a thread that is not traced
        client = FuncXClient(service.url, auth=service.token)
        async with client, FuncXExecutor(service.endpoint_id, funcx_client=client) as executor:
            await asyncio.wait_for(executor.submit(mul, 1, 1), 30)
            called = Calls()
            sys.setprofile(called.note)
            try:
                assert await asyncio.wait_for(executor.submit(mul, 6, 7), 30) == 42
            finally:
                sys.setprofile(None)
    figures = {
        "functions of a submit": len(called.functions),
        "files of a submit": len({home for home, _ in called.functions}),
    }
    print(*(f"{name}: {figures[name]} of {LIMITS[name]}" for name in figures), sep="\n")
    print(*(f"{home}: {function}" for home, function in called.functions), sep="\n")
    assert {name: found for name, found in figures.items() if found > LIMITS[name]} == {}


class Calls:
    """The functions of the package that a thread calls, in the order of their first calls."""

    def __init__(self) -> None:
        self.functions: dict[tuple[str, str], None] = {}

    def note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        # Newer Pythons have no frame for a comprehension.
        if event == "call" and path.is_relative_to(PACKAGE) and code.co_name[0] != "<":
            self.functions[str(path.relative_to(PACKAGE)), code.co_qualname] = None
