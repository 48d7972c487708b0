"""``python -m funcx_async``: a prompt with top-level ``await`` and an executor that is ready.

Without a terminal there is nobody to prompt: what comes in is run as a script, as Python does.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from funcx_async._net.environments import ENDPOINT_VARIABLE
from funcx_async.repl.console import Console
from funcx_async.repl.lines import edit, remember
from funcx_async.repl.setting import Setting

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

MISUSED = 2
"""The exit code for words that mean nothing."""


def main(arguments: Sequence[str] = (), *, environment: Mapping[str, str] = os.environ) -> int:
    """Run the prompt until Ctrl-D, or a script to its end.

    Args:
        arguments: ``--endpoint`` and an id, or nothing.
        environment: the environment variables.

    Returns:
        The exit code: that of ``exit()``; 1 if there is no executor to be had, or the script
        fails; 2 for words that mean nothing; 130 if Ctrl-C ends more than a line.
    """
    try:
        endpoint_id = _endpoint(arguments, environment)
    except ValueError as error:
        return _say(str(error), MISUSED)
    try:
        return _run(endpoint_id, environment)
    except KeyboardInterrupt:
        return _say("Interrupted.", INTERRUPTED)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        return _say(str(ended.code), 1)


def _endpoint(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Give the endpoint that was chosen, if one was; ValueError for words that mean nothing."""
    match [part for word in arguments for part in word.split("=", 1)]:
        case []:
            return environment.get(ENDPOINT_VARIABLE) or None
        case ["--endpoint", endpoint_id] if endpoint_id:
            return endpoint_id
    words = " ".join(arguments)
    msg = f"The prompt takes `--endpoint ID` and nothing else, not `{words}`."
    raise ValueError(msg)


def _run(endpoint_id: str | None, environment: Mapping[str, str]) -> int:
    """Make what is to be there, run what is typed, and end it all."""
    namespace = _as_main_module()
    runner = asyncio.Runner()
    there = Setting()
    try:
        try:
            runner.run(there.make(endpoint_id))
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            return _say(f"There is nothing to run functions on: {error}", 1)
        namespace.update(there.names())
        with Console(namespace, runner) as console:
            if not sys.stdin.isatty():
                return 0 if console.run(sys.stdin.read(), "<stdin>") else 1
            typed = sys.stdout.isatty()
            if typed:
                edit(namespace, environment)
            if not sys.flags.ignore_environment:
                console.run_startup_file(environment.get("PYTHONSTARTUP"))
            if typed:
                remember(environment)
            console.interact(banner=there.banner(), exitmsg="")
        return 0
    finally:
        _close(runner, there)


def _as_main_module() -> dict[str, Any]:
    """Make an empty ``__main__``, so that what is typed belongs to it as at every prompt."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    return module.__dict__


def _close(runner: asyncio.Runner, there: Setting) -> None:
    """End everything without a word about what is ended in the middle of its work."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    runner.get_loop().set_exception_handler(lambda loop, context: None)
    try:
        sys.stderr.write(runner.run(there.close()))
    finally:
        runner.close()


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201
    return code
