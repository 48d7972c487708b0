"""What a pickle tells of a function besides its code, and whether its imports will work."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from funcx_async.serialize.classes import portable_annotations
from funcx_async.serialize.diagnosis import CannotTravel
from funcx_async.serialize.names import modules_imported
from funcx_async.serialize.origin import worker_lacks


def check_imports(function: FunctionType) -> None:
    """Refuse a function that would fail on the worker, before it is sent there.

    Raises:
        CannotTravel: it imports a module that the worker does not have.
    """
    for name in sorted(filter(worker_lacks, modules_imported(function.__code__))):
        raise CannotTravel(
            f"{function.__qualname__} imports your module {name} when it runs, and the worker does "
            "not have it; import it at the top of the file, so that what is used of it travels "
            f"along, or say send_by_reference({name!r}) if the workers do have it"
        )


def state_of(function: FunctionType) -> dict[str, Any]:
    """What the code of a function does not tell of it."""
    code = function.__code__
    documented = code.co_consts[0] if code.co_consts else None
    state: dict[str, Any] = {}
    if function.__doc__ != (documented if isinstance(documented, str) else None):
        state["__doc__"] = function.__doc__
    if function.__qualname__ != code.co_qualname:
        state["__qualname__"] = function.__qualname__
    if function.__defaults__:
        state["__defaults__"] = function.__defaults__
    if function.__kwdefaults__:
        state["__kwdefaults__"] = function.__kwdefaults__
    if function.__annotations__:
        state["__annotations__"] = portable_annotations(function.__annotations__)
    return {**state, **vars(function)}
