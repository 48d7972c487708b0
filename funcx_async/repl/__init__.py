"""``python -m funcx_async``: a prompt with top-level ``await`` and an executor.

Without a terminal, the standard input runs as a script, as ``python`` does it.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from funcx_async._net.environment import ENDPOINT_VARIABLE
from funcx_async._session.session import end_sessions
from funcx_async.repl.console import Console
from funcx_async.repl.line_editing import enable_editing, enable_history

if TYPE_CHECKING:
    from funcx_async.executor.executor import FuncXExecutor
    from funcx_async.local import LocalService

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells use it."""

USAGE_ERROR = 2
"""The exit code for arguments that are not understood."""

IMPORTED = ("gather", "as_completed", "explain", "FuncXExecutor", "TaskExecutionFailed")
"""The names of the package that are defined at the prompt."""


def main(arguments: Sequence[str] = (), *, environment: Mapping[str, str] = os.environ) -> int:
    """Run the prompt until Ctrl-D, or a script to its end.

    Args:
        arguments: ``--endpoint`` and an id, or nothing.
        environment: the environment variables.

    Returns:
        The exit code: that of ``exit()``; 1 if there is no executor or the script fails; 2 for
        arguments that are not understood; 130 if Ctrl-C ends more than a line.
    """
    try:
        endpoint_id = _endpoint(arguments, environment)
    except ValueError as error:
        return _fail(str(error), USAGE_ERROR)
    try:
        return _run(endpoint_id, environment)
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        return _fail(str(ended.code), 1)


def _endpoint(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the endpoint of the arguments or the environment, if there is one.

    Raises:
        ValueError: if the arguments are not understood.
    """
    match [part for word in arguments for part in word.split("=", 1)]:
        case []:
            return environment.get(ENDPOINT_VARIABLE) or None
        case ["--endpoint", endpoint_id] if endpoint_id:
            return endpoint_id
    words = " ".join(arguments)
    raise ValueError(f"The prompt accepts only `--endpoint ID`, not `{words}`.")


def _run(endpoint_id: str | None, environment: Mapping[str, str]) -> int:
    """Start the resources of the prompt, run the input, and close them."""
    namespace = _new_main_module()
    runner = asyncio.Runner()
    resources = _Resources()
    try:
        try:
            runner.run(resources.start(endpoint_id))
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            return _fail(f"Cannot start an executor: {error}", 1)
        namespace.update(resources.names())
        with Console(namespace, runner) as console:
            if not sys.stdin.isatty():
                return 0 if console.run(sys.stdin.read(), "<stdin>") else 1
            interactive = sys.stdout.isatty()
            if interactive:
                enable_editing(namespace, environment)
            if not sys.flags.ignore_environment:
                console.run_startup_file(environment.get("PYTHONSTARTUP"))
            if interactive:
                enable_history(environment)
            console.interact(banner=resources.banner(), exitmsg="")
        return 0
    finally:
        _close(runner, resources)


class _Resources:
    """The executor of the prompt and, without an endpoint, its local service."""

    def __init__(self) -> None:
        self._executor: FuncXExecutor | None = None
        self._service: LocalService | None = None

    async def start(self, endpoint_id: str | None) -> None:
        """Create the executor, and a local service if there is no endpoint.

        Raises:
            ImportError: if the extra ``local`` is required and not installed.
            OSError: if the service cannot listen.
            RuntimeError: if its workers do not start.
            ValueError: if the endpoint's id is malformed.
        """
        from funcx_async.executor.executor import FuncXExecutor

        if endpoint_id is not None:
            self._executor = FuncXExecutor(endpoint_id)
            return
        try:
            from funcx_async.local import LocalService
        except ImportError as error:
            hint = "Or use an endpoint: python -m funcx_async --endpoint ID"
            raise ImportError(f"{error}\n{hint}") from error
        service = LocalService()
        await service.start()
        self._service, self._executor = service, service.executor()

    def names(self) -> dict[str, Any]:
        """Return the names to define at the prompt."""
        import funcx_async

        names: dict[str, Any] = {name: getattr(funcx_async, name) for name in IMPORTED}
        names |= {"asyncio": asyncio, "funcx_async": funcx_async, "fxe": self._executor}
        if self._executor is not None:
            names["client"] = self._executor.funcx_client
        if self._service is not None:
            names["service"] = self._service
        return names

    def banner(self) -> str:
        """Return the lines that introduce the prompt."""
        target = (
            "a local service (service)"
            if self._service is not None
            else f"the endpoint {self._executor and self._executor.endpoint_id}"
        )
        return (
            f"funcx_async on Python {sys.version.split()[0]}. `await` works here; Ctrl-D exits.\n"
            f"fxe runs functions on {target}.\n"
            f"Also: client, {', '.join(IMPORTED)}\n"
            "Define a function f, then: await fxe.submit(f, ...)"
        )

    async def close(self) -> str:
        """Close everything; return a message about tasks that keep running, or nothing."""
        if self._executor is None:
            return ""
        still_open, group = self._executor.stats.open, self._executor.task_group_id
        await self._executor.shutdown(wait=False, cancel_futures=True)
        await end_sessions()  # of every executor that was made at the prompt: before the service
        if self._service is not None:
            await self._service.aclose()
        elif still_open and group is not None:
            return f"Tasks keep running. To await them: await fxe.reload_tasks({group!r})\n"
        return ""


def _new_main_module() -> dict[str, Any]:
    """Make an empty ``__main__``, so that what is typed belongs to it as at every prompt."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    return module.__dict__


def _close(runner: asyncio.Runner, resources: _Resources) -> None:
    """Close everything, without messages about work that is interrupted."""
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    runner.get_loop().set_exception_handler(lambda loop, context: None)
    try:
        sys.stderr.write(runner.run(resources.close()))
    finally:
        runner.close()


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return code
