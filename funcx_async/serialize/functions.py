"""What a pickle has of a function besides its code, and whether its imports will work."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping
from importlib.util import resolve_name
from types import FunctionType
from typing import Any

from funcx_async.serialize.bytecode import Chain, InnerImport, inner_imports
from funcx_async.serialize.classes import annotations_of
from funcx_async.serialize.diagnosis import CannotTravel
from funcx_async.serialize.origin import worker_has, worker_lacks


def check_imports(function: FunctionType) -> None:
    """Refuse a function that would fail on the worker, before it is sent there.

    An import whose failure the function handles itself is not checked.

    Raises:
        CannotTravel: it imports a module that the worker does not have.
    """
    for each in inner_imports(function.__code__):
        raised = ImportError if each.level else ModuleNotFoundError
        if any(_catches(chain, raised, function.__globals__) for chain in each.caught):
            continue
        name = _absolute_name(each, function.__globals__)
        if name is None:
            raise CannotTravel(
                f"{function.__qualname__} imports {_as_written(each)} when it runs, and is not "
                "part of a package; import it by its full name"
            )
        if lacking := next(filter(worker_lacks, _modules_needed(name, each.names)), None):
            raise CannotTravel(
                f"{function.__qualname__} imports your module {lacking} when it runs, and the "
                "worker does not have it; import it at the top of the file, so that what is used "
                "of it travels along, or call "
                f"send_by_reference({lacking.partition('.')[0]!r}) if the workers do have it"
            )
        if each.level and not _is_part_of_the_workers(function):
            raise CannotTravel(
                f"{function.__qualname__} imports {_as_written(each)} when it runs, and on the "
                f"worker it is not part of a package; import it by its full name, {name}"
            )


def _absolute_name(each: InnerImport, namespace: Mapping[str, Any]) -> str | None:
    """The name of an imported module without leading dots; None if it is relative to nothing."""
    if not each.level:
        return each.module
    package = namespace.get("__package__") or ""
    if not package and "__path__" in namespace:
        package = namespace.get("__name__")
    elif not package:
        package = str(namespace.get("__name__")).rpartition(".")[0]
    try:
        return resolve_name("." * each.level + each.module, package)
    except ImportError:
        return None


def _as_written(each: InnerImport) -> str:
    return "." * each.level + (each.module or ", ".join(each.names))


def _modules_needed(name: str, names: tuple[str, ...]) -> Iterator[str]:
    """The modules that ``from name import names`` needs, the most precise first."""
    yield from (inner for each in names if (inner := f"{name}.{each}") in sys.modules)
    yield name


def _catches(chain: Chain, raised: type[ImportError], namespace: Mapping[str, Any]) -> bool:
    """Whether the exceptions that a handler names are raised by an import that fails."""
    first, *rest = chain
    found = namespace.get(first, getattr(builtins, first, None))
    for attribute in rest:
        found = getattr(found, attribute, None)
    kinds = found if isinstance(found, tuple) else (found,)
    return any(isinstance(kind, type) and issubclass(raised, kind) for kind in kinds)


def _is_part_of_the_workers(function: FunctionType) -> bool:
    """Whether the function has a module's own globals on the worker too, and so its package."""
    home = function.__globals__.get("__name__")
    return (
        isinstance(home, str)
        and worker_has(home)
        and vars(sys.modules[home]) is function.__globals__
    )


def state_of(function: FunctionType) -> dict[str, Any]:
    """Return the attributes of a function that its code does not have."""
    code = function.__code__
    documented = code.co_consts[0] if code.co_consts else None
    state: dict[str, Any] = {}
    if function.__doc__ != (documented if isinstance(documented, str) else None):
        state["__doc__"] = function.__doc__
    if function.__qualname__ != code.co_qualname:
        state["__qualname__"] = function.__qualname__
    if function.__module__ != function.__globals__.get("__name__"):  # as functools.wraps has it
        state["__module__"] = function.__module__
    if parameters := getattr(function, "__type_params__", ()):
        state["__type_params__"] = parameters
    if function.__defaults__:
        state["__defaults__"] = function.__defaults__
    if function.__kwdefaults__:
        state["__kwdefaults__"] = function.__kwdefaults__
    if annotations := annotations_of(function):
        state["__annotations__"] = annotations
    return {**state, **vars(function)}
