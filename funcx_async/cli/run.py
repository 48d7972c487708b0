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

from funcx_async._net.environment import ENDPOINT_VARIABLE
from funcx_async.cli import INTERRUPTED, CommandEnded
from funcx_async.cli.options import AmqpPort, AsJson, Endpoint, Service, client_of
from funcx_async.cli.printing import (
    console,
    echo,
    json_value,
    long_integers,
    print_json,
    to_text,
)
from funcx_async.errors import FuncXError
from funcx_async.executor.executor import FuncXExecutor

RETRY_DEADLINE = 10.0
"""Seconds for which a submit is retried: somebody waits at the terminal."""


def run(
    function: Annotated[
        str, typer.Argument(metavar="MODULE:FUNCTION", help="For example math:sqrt.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENT", help="Arguments: JSON, Python literals or strings."),
    ] = None,
    keyword: Annotated[
        list[str] | None,
        typer.Option("--keyword", metavar="NAME=VALUE", help="A keyword argument; repeatable."),
    ] = None,
    endpoint: Endpoint = None,
    service: Service = None,
    amqp_port: AmqpPort = None,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for the result, or print the task id."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Run one function on an endpoint and print its result.

    Modules are also imported from the current directory. Write an argument that begins with two
    hyphens as JSON: `'"--verbose"'`.
    """
    words = arguments or []
    for word in words:
        if word.startswith("--"):
            raise typer.BadParameter(f"No such option: {word}. Write a string as '\"{word}\"'.")
    if not endpoint:
        raise ValueError(f"set --endpoint or {ENDPOINT_VARIABLE}.")
    fn = function_of(function)
    call = _Call(fn, [value_of(word) for word in words], _keywords(keyword or []))
    try:
        code = asyncio.run(call.run(endpoint, service, amqp_port, as_json=as_json, wait=wait))
    except KeyboardInterrupt:
        raise CommandEnded(call.after_interrupt(), INTERRUPTED) from None
    raise typer.Exit(code)


def value_of(word: str) -> Any:
    """Parse a word of the command line as JSON, else as a Python literal, else as a string.

    Example:
        >>> [value_of(word) for word in ("2.5", "[1, null]", "(1, 2)", "True", "hello")]
        [2.5, [1, None], (1, 2), True, 'hello']
    """
    for parse in (json.loads, ast.literal_eval):
        try:
            with long_integers():
                return parse(word)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return word


def function_of(name: str) -> Callable[..., Any]:
    """Import a function.

    Args:
        name: its module and its name in that module, such as ``math:sqrt``.

    Raises:
        ValueError: if there is no such function, or its module cannot be imported.

    Example:
        >>> function_of("math:sqrt")(16)
        4.0
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise ValueError(f"{name!r} does not name a function: write module:function, as math:sqrt.")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"No module named {error.name!r}: change to its directory, or install it."
        ) from None
    except SystemExit:
        raise ValueError(
            f"Importing the module {module_name!r} called sys.exit(): move what the script does to "
            "below `if __name__ == '__main__':`."
        ) from None
    except Exception as error:  # whatever the module itself raises
        raise ValueError(
            f"The module {module_name!r} cannot be imported ({type(error).__name__}: {error})."
        ) from error
    try:
        found = reduce(getattr, path.split("."), module)
    except AttributeError:
        raise ValueError(f"The module {module_name!r} has no {path!r}.") from None
    if not callable(found):
        raise ValueError(f"{name} is a {type(found).__name__}, not a function.")
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
    """One call, and how far it has come."""

    def __init__(self, fn: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        self._fn = fn
        self._args = args
        self._kwargs = kwargs
        self._task_id: str | None = None
        self._unsent = True

    async def run(
        self,
        endpoint: str,
        service: str | None,
        amqp_port: int | None,
        *,
        as_json: bool,
        wait: bool,
    ) -> int:
        """Run the function and print the result; return the exit code."""
        async with client_of(service) as client:
            executor = FuncXExecutor(
                endpoint, funcx_client=client, amqp_port=amqp_port, retry_deadline=RETRY_DEADLINE
            )
            err, future, value = console(stderr=True), None, None
            try:
                with err.status(f"submitting to {client.base_url}"):
                    # Separately, so that Ctrl-C until then has certainly submitted nothing.
                    await executor.register_function(self._fn)
                    future = executor.submit(self._fn, *self._args, **self._kwargs)
                    self._task_id = await future.submitted()
                if wait:
                    with err.status(f"waiting for task {self._task_id}"):
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
        if wait:
            return self._print_result(value, as_json=as_json)
        print_json({"task_id": self._task_id}) if as_json else typer.echo(self._task_id)
        return 0

    def _print_result(self, value: Any, *, as_json: bool) -> int:
        """Print the result; return the exit code, which is 1 if the value cannot be printed."""
        try:
            if as_json:
                print_json({"task_id": self._task_id, "result": json_value(value)})
            else:
                echo(to_text(value))
        except ValueError as error:
            message = f"Task {self._task_id} succeeded, but {error}"
            if not as_json:
                raise ValueError(message) from error
            print_json({"task_id": self._task_id, "error": message})
            return 1
        return 0

    def after_interrupt(self) -> str:
        """Return what to tell the user after Ctrl-C."""
        if self._task_id is not None:
            return (
                f"Interrupted; the task keeps running. Get its result with: funcx-async results "
                f"{self._task_id}"
            )
        if self._unsent:
            return "Interrupted; nothing was submitted."
        return "Interrupted; the task may have been submitted."
