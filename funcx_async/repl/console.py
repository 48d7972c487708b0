"""A Python prompt with top-level ``await``.

The main thread reads lines and runs them, so that Ctrl-C works as at every prompt. While it waits
for a line, another thread runs the event loop: tasks go on and results arrive. No other code may
assume in which thread the loop runs.
"""

from __future__ import annotations

import ast
import asyncio
import code
import ctypes
import inspect
import linecache
import signal
import sys
import threading
import time
import tokenize
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

CANCEL_TIMEOUT = 1.0
"""Seconds that a cancelled statement has to end; a second Ctrl-C after that interrupts it."""

STOP_TIMEOUT = 1.0
"""Seconds after which a loop that was asked to stop is blocked by some callback."""


class Console(code.InteractiveConsole):
    """A Python console with top-level ``await``; as a context it handles Ctrl-C.

    Args:
        namespace: the namespace of the statements.
        runner: the runner of the event loop.
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
        """Read a line while the event loop runs."""
        if not sys.stdout.isatty():  # keep the prompt out of redirected output
            self.write(prompt)
            prompt = ""
        with loop_in_thread(self._loop, lambda: self._pressed is not None):
            try:
                self._reading = True
                self._pressed = None
                return super().raw_input(prompt)
            finally:
                self._reading = False

    def runsource(self, source: str, filename: str = "", symbol: str = "single") -> bool:
        """Run what was typed or pasted; return whether the statement is incomplete."""
        name = f"<input {self._inputs}>"
        self._keep(source, name)
        pasted = any("\n" in line for line in self.buffer)
        run = self._run_block if pasted else super().runsource
        more = run(source, name, symbol)
        self._inputs += not more
        return more

    def _run_block(self, source: str, name: str, symbol: str) -> bool:
        """Run several statements, each as if typed, until one fails."""
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
        """Run a statement on the loop and print what it raises."""
        self._run(code)

    def run(self, text: str, name: str) -> bool:
        """Run a whole script; return whether it succeeded.

        Args:
            text: the script.
            name: its file name in tracebacks.
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
        """Run the file that ``PYTHONSTARTUP`` names, as Python's own prompt does."""
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
        """Keep the source: functions are also sent as source."""
        lines = [line + "\n" for line in text.split("\n")]
        linecache.cache[name] = len(text), None, lines, name

    def _run(self, code: types.CodeType) -> bool:
        """Run code on the loop and print what it raises; return whether it succeeded.

        Raises:
            SystemExit: if the code raises it.
            KeyboardInterrupt: after Ctrl-C.
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
        """Run a statement; return what it raised: some exceptions of tasks stop the loop."""
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
        """Interrupt the line or the statement, never other code.

        A KeyboardInterrupt elsewhere would break the executor's tasks or the loop itself. Between
        line and statement it is kept for the statement.
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
        elif statement is not None and time.monotonic() - pressed > CANCEL_TIMEOUT:
            raise KeyboardInterrupt


@contextmanager
def loop_in_thread(
    loop: asyncio.AbstractEventLoop, interrupted: Callable[[], bool]
) -> Iterator[None]:
    """Run an event loop in a thread within the context.

    Args:
        loop: the loop.
        interrupted: returns whether to interrupt the callback that keeps the loop from stopping.
    """
    leaving = threading.Event()

    def run() -> None:
        while not leaving.is_set():
            with suppress(SystemExit, KeyboardInterrupt):  # of a task: the loop must go on
                loop.run_forever()

    def leave() -> None:
        leaving.set()
        loop.stop()

    thread = threading.Thread(target=run, name="funcx_async", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(leave)
        while thread.is_alive():
            thread.join(STOP_TIMEOUT)
            if thread.is_alive() and interrupted():
                _interrupt_thread(thread)


def _interrupt_thread(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread at its next bytecode; signals reach only the main one."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(KeyboardInterrupt))
