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

from funcx_async._net.environments import ENDPOINT_VARIABLE
from funcx_async.cli import Interrupted
from funcx_async.cli.options import AmqpPort, AsJson, Endpoint, Service, client_of
from funcx_async.cli.printing import console, print_json, printable, shown
from funcx_async.errors import FuncXError
from funcx_async.executor.executor import FuncXExecutor

RETRIED = 10.0
"""Seconds for which a submit is tried again: somebody sits and waits for it."""


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
    amqp_port: AmqpPort = None,
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
        code = asyncio.run(call.awaited(endpoint, service, amqp_port, as_json=as_json, wait=wait))
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
    except SystemExit:
        raise ValueError(
            f"Importing the module {module_name!r} ended the program: what it does when it is run "
            "as a script belongs below `if __name__ == '__main__':`."
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
        self._unsent = True

    async def awaited(
        self,
        endpoint: str,
        service: str | None,
        amqp_port: int | None,
        *,
        as_json: bool,
        wait: bool,
    ) -> int:
        """Run it, and print what comes of it; the exit code."""
        async with client_of(service) as client:
            executor = FuncXExecutor(
                endpoint, funcx_client=client, amqp_port=amqp_port, retry_deadline=RETRIED
            )
            beside, future, value = console(beside=True), None, None
            try:
                with beside.status(f"submitting to {client.base_url}"):
                    # First by itself: who presses Ctrl-C meanwhile has certainly submitted nothing.
                    await executor.register_function(self._fn)
                    future = executor.submit(self._fn, *self._args, **self._kwargs)
                    self._task_id = await future.submitted()
                if wait:
                    with beside.status(f"task {self._task_id} on its endpoint"):
                        value = await future
            except asyncio.CancelledError:  # Ctrl-C
                self._unsent = future is None or future.cancel()
                raise
            except FuncXError as error:
                if not as_json:
                    raise
                print_json({"task_id": self._task_id, "error": str(error)})
                return 1
            finally:
                await executor.shutdown(wait=wait and future is not None and future.done())
        if not wait:
            told = {"task_id": self._task_id}
            print_json(told) if as_json else typer.echo(self._task_id)
        elif as_json:
            print_json({"task_id": self._task_id, "result": printable(value)})
        else:
            typer.echo(shown(value))
        return 0

    def left_behind(self) -> str:
        """Say what becomes of it when nobody waits any more."""
        if self._task_id is not None:
            return f"Interrupted; the task goes on. Its result: funcx-async results {self._task_id}"
        if self._unsent:
            return "Interrupted; nothing was submitted."
        return "Interrupted; the task may have been submitted."
