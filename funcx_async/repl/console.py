"""A prompt of Python whose statements may await.

The main thread reads lines and runs them, so that Ctrl-C does there what it does at every prompt.
While it waits for a line, a thread of its own keeps the event loop going: tasks run on, results
come in. Nothing else may take it for granted in which thread the loop runs.
"""

from __future__ import annotations

import ast
import asyncio
import code
import inspect
import linecache
import signal
import sys
import time
import tokenize
import types
from types import TracebackType
from typing import Any, Self

from funcx_async.repl.elsewhere import running_elsewhere

PATIENCE = 1.0
"""Seconds that a statement has to end when it is cancelled; Ctrl-C after that is not so polite."""


class Console(code.InteractiveConsole):
    """A Python console whose statements may await; Ctrl-C is its own for a ``with`` block.

    Args:
        namespace: where they run.
        runner: runs them.
    """

    def __init__(self, namespace: dict[str, Any], runner: asyncio.Runner) -> None:
        super().__init__(namespace)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._namespace = namespace
        self._runner = runner
        self._loop = runner.get_loop()
        self._inputs = 0
        self._reading = False
        self._statement: asyncio.Task[Any] | None = None
        self._pressed: float | None = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def raw_input(self, prompt: str = "") -> str:
        """Read a line; the loop runs on meanwhile."""
        if not sys.stdout.isatty():  # a prompt is for who types, not for who reads the output
            self.write(prompt)
            prompt = ""
        with running_elsewhere(self._loop, lambda: self._pressed is not None):
            try:
                self._reading = True
                self._pressed = None
                return super().raw_input(prompt)
            finally:
                self._reading = False

    def runsource(self, source: str, filename: str = "", symbol: str = "single") -> bool:
        """Run what was typed or pasted, and keep its text; whether there is more to come."""
        name = f"<input {self._inputs}>"
        self._keep(source, name)
        pasted = any("\n" in line for line in self.buffer)
        run = self._run_block if pasted else super().runsource
        more = run(source, name, symbol)
        self._inputs += not more
        return more

    def _run_block(self, source: str, name: str, symbol: str) -> bool:
        """Run several statements, each as if it were typed, until one fails."""
        try:
            whole = self.compile(source, name, "exec")
        except (OverflowError, SyntaxError, ValueError):
            self.showsyntaxerror(name)
            return False
        if whole is None:
            return True
        flags = self.compile.compiler.flags
        for statement in ast.parse(source, name).body:
            typed = ast.Interactive([statement])
            if not self._run(compile(typed, name, symbol, flags, dont_inherit=True)):
                break
        return False

    def runcode(self, code: types.CodeType) -> None:
        """Run a statement on the loop, and show what it raises."""
        self._run(code)

    def run(self, text: str, name: str) -> bool:
        """Run a whole script; whether it went well.

        Args:
            text: the script.
            name: where it comes from, for tracebacks.
        """
        self._keep(text, name)
        self._pressed = None
        try:
            code = compile(
                text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
            )
        except (OverflowError, SyntaxError, ValueError):
            self.showsyntaxerror(name)
            return False
        return self._run(code)

    def run_startup_file(self, path: str | None) -> None:
        """Run the file that ``PYTHONSTARTUP`` names, as every prompt of Python does."""
        if not path:
            return
        try:
            with tokenize.open(path) as file:
                text = file.read()
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            self.write(f"Could not read PYTHONSTARTUP\n{type(error).__name__}: {error}\n")
            return
        try:
            self.run(text, path)
        except KeyboardInterrupt:
            self.write("\nKeyboardInterrupt\n")

    def _keep(self, text: str, name: str) -> None:
        """Keep the text of what is run: functions are sent as source, too."""
        lines = [line + "\n" for line in text.split("\n")]
        linecache.cache[name] = len(text), None, lines, name

    def _run(self, code: types.CodeType) -> bool:
        """Run code on the loop, and show what it raises; whether that is nothing.

        Raises:
            SystemExit: as the code does.
            KeyboardInterrupt: for Ctrl-C.
        """
        try:
            error = self._runner.run(self._execute(code))
        finally:
            self._statement = None
        if error is None:
            return True
        if self._pressed is not None and isinstance(error, asyncio.CancelledError):
            raise KeyboardInterrupt
        if isinstance(error, SystemExit | KeyboardInterrupt):
            raise error
        try:
            raise error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        except BaseException:  # the one that was raised just now
            self.showtraceback()
        return False

    async def _execute(self, code: types.CodeType) -> BaseException | None:
        """Run a statement; gives what it raised, as tasks let some exceptions end the loop."""
        try:
            self._statement = asyncio.current_task()
            if self._pressed is not None:
                return KeyboardInterrupt()
            result = types.FunctionType(code, self._namespace)()
            if code.co_flags & inspect.CO_COROUTINE:
                await result
        except BaseException as error:  # whatever the statement raised
            return error
        return None

    def _interrupt(self, number: int, frame: object) -> None:
        """End the line or the statement, not whatever else goes on at this moment.

        A KeyboardInterrupt at any other place would break what is of use later: the executor's
        tasks, or the loop itself. Between line and statement it is kept for the statement.
        """
        if self._reading:
            self._reading = False
            raise KeyboardInterrupt
        statement, pressed = self._statement, self._pressed
        if statement is not None and asyncio.current_task(self._loop) is statement:
            raise KeyboardInterrupt
        if pressed is None:
            self._pressed = time.monotonic()
            if statement is not None:
                self._loop.call_soon_threadsafe(statement.cancel)
        elif statement is not None and time.monotonic() - pressed > PATIENCE:
            raise KeyboardInterrupt
