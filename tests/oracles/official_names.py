"""The public methods of an official package and their arguments, as a JSON document.

Run by the interpreter that has the package: ``sdk`` or ``funcx``.
"""

from __future__ import annotations

import inspect
import json
import sys


def classes(package):
    """The classes that programs use."""
    if package == "sdk":
        from globus_compute_sdk import Client, Executor, MPIFunction, ShellFunction
        from globus_compute_sdk.sdk.asynchronous.compute_future import ComputeFuture
        from globus_compute_sdk.sdk.batch import Batch
        from globus_compute_sdk.serialize import ComputeSerializer

        shell = [ShellFunction, MPIFunction]
        return [Client, Executor, ComputeFuture, Batch, *shell, ComputeSerializer]
    from funcx import FuncXClient, FuncXExecutor
    from funcx.sdk.asynchronous.funcx_future import FuncXFuture
    from funcx.sdk.batch import Batch
    from funcx.serialize import FuncXSerializer

    return [FuncXClient, FuncXExecutor, FuncXFuture, Batch, FuncXSerializer]


def arguments(function):
    """The names of a function's arguments, without ``self``."""
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def names(cls):
    """The methods, properties and arguments of a class that are its own and public."""
    found = {}
    for owner in cls.__mro__:
        if not owner.__module__.startswith(("globus_compute_sdk", "funcx")):
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") and name not in ("__init__", "__call__"):
                continue
            if isinstance(member, (staticmethod, classmethod)):
                member = member.__func__
            if callable(member):
                found.setdefault(name, ("method", arguments(inspect.unwrap(member))))
            elif isinstance(member, property):
                found.setdefault(name, ("property", []))
    return found


if __name__ == "__main__":
    json.dump({cls.__name__: names(cls) for cls in classes(sys.argv[1])}, sys.stdout)
