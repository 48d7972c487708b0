"""``run``: one call of a function."""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import sys
from collections.abc import Callable
from functools import reduce
from typing import Annotated, Any

import typer

from funcx_async.cli import Interrupted
from funcx_async.cli.options import AsJson, Endpoint, Service, client_of
from funcx_async.cli.printing import console, print_json, printable
from funcx_async.environments import ENDPOINT_VARIABLE
from funcx_async.errors import FuncXError
from funcx_async.executor import FuncXExecutor


def run(
    function: Annotated[
        str, typer.Argument(metavar="MODULE:FUNCTION", help="Such as math:sqrt, or sweep:run.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENT", help="As JSON, as Python literals, or as texts."),
    ] = None,
    keyword: Annotated[
        list[str] | None,
        typer.Option("--keyword", metavar="NAME=VALUE", help="A keyword argument, likewise."),
    ] = None,
    endpoint: Endpoint = None,
    service: Service = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the result, or print the task id.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Run one function on an endpoint and print its result.

    The module is looked for in the current directory, too. An argument that begins with two
    hyphens is written as JSON: `'"--verbose"'`.
    """
    words = arguments or []
    for word in words:
        if word.startswith("--"):
            raise typer.BadParameter(f"There is no option {word}. A text is written '\"{word}\"'.")
    if not endpoint:
        raise ValueError(f"name an endpoint by --endpoint or {ENDPOINT_VARIABLE}.")
    fn = function_of(function)
    call = _Call(fn, [value_of(word) for word in words], _keywords(keyword or []))
    try:
        code = asyncio.run(call.awaited(endpoint, service, as_json=as_json, wait=wait))
    except KeyboardInterrupt:
        raise Interrupted(call.left_behind()) from None
    raise typer.Exit(code)


def value_of(word: str) -> Any:
    """Read a word of the command line: JSON, else a literal of Python, else a text.

    Example:
        >>> [value_of(word) for word in ("2.5", "[1, null]", "(1, 2)", "True", "hello")]
        [2.5, [1, None], (1, 2), True, 'hello']
    """
    for read in (json.loads, ast.literal_eval):
        try:
            return read(word)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return word


def function_of(name: str) -> Callable[..., Any]:
    """Import a function by its name.

    Args:
        name: its module and its name in there, such as ``math:sqrt``.

    Raises:
        ValueError: if there is no such function, or its module cannot be imported.

    Example:
        >>> function_of("math:sqrt")(16)
        4.0
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise ValueError(f"{name!r} is no function: write module:function, such as math:sqrt.")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"There is no module {error.name!r} to be found from here: change to its directory, "
            "or install it."
        ) from None
    except Exception as error:  # whatever the module itself raises
        raise ValueError(
            f"The module {module_name!r} cannot be imported ({type(error).__name__}: {error})."
        ) from error
    try:
        found = reduce(getattr, path.split("."), module)
    except AttributeError:
        raise ValueError(f"There is no {path!r} in the module {module_name!r}.") from None
    if not callable(found):
        raise ValueError(f"{name} is no function, but a {type(found).__name__}.")
    return found


def _keywords(words: list[str]) -> dict[str, Any]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE.", param_hint="--keyword")
        found[name] = value_of(value)
    return found


class _Call:
    """One call, and what is known of it."""

    def __init__(self, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        self._fn = fn
        self._args = args
        self._kwargs = kwargs
        self._task_id: str | None = None

    async def awaited(
        self, endpoint: str, service: str | None, *, as_json: bool, wait: bool
    ) -> int:
        """Run it, and print what comes of it; the exit code."""
        async with client_of(service) as client:
            executor = FuncXExecutor(endpoint, funcx_client=client)
            future = executor.submit(self._fn, *self._args, **self._kwargs)
            try:
                self._task_id = await future.submitted()
                if not wait:
                    self._tell({"task_id": self._task_id}, self._task_id, as_json=as_json)
                    return 0
                with console(beside=True).status(f"task {self._task_id} on its endpoint"):
                    value = await future
            except FuncXError as error:
                self._tell({"task_id": self._task_id, "error": str(error)}, None, as_json=as_json)
                if not as_json:
                    raise
                return 1
            finally:
                await executor.shutdown(wait=wait and future.done())
        document = {"task_id": self._task_id, "result": printable(value)}
        self._tell(document, value, as_json=as_json)
        return 0

    def left_behind(self) -> str:
        """Say what becomes of it when nobody waits any more."""
        if self._task_id is None:
            return "Interrupted; the task may have been submitted."
        return f"Interrupted; the task goes on. Its result: funcx-async results {self._task_id}"

    @staticmethod
    def _tell(document: dict[str, Any], text: Any, *, as_json: bool) -> None:
        if as_json:
            print_json(document)
        elif text is not None or "result" in document:
            typer.echo(str(text))
