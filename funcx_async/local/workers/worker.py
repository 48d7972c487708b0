"""One worker process: ``python -P -m funcx_async.local.workers.worker ENDPOINT_ID``.

The service starts it. It reads tasks from its standard input, runs one at a time in its main
thread, and writes the result messages to its standard output. Before the first task both are moved
out of the tasks' way: what a task prints goes to standard error, what it reads is empty.

A second thread reads ahead. It keeps the next tasks at hand, gives those that have not begun back
when the service asks, and ends the process, whatever the task does, when the service is gone.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import json
import os
import platform
import signal
import sys
import threading
import time
import traceback
import types
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from funcx_async.local.outcomes import Failure, result_message
from funcx_async.local.workers import frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funcx_async.serialize import FuncXSerializer

RESULT_LIMIT: Final = 10 * 1024 * 1024
"""A serialized result may have this many characters."""
TRACEBACK_LIMIT: Final = 1024 * 1024
"""Of a traceback, so many characters at its end are kept."""
COLLECT_AFTER: Final = 16 * 1024 * 1024
"""Characters of tasks with classes of their own, after which garbage is collected."""
DEFAULT_SERIALIZERS: Final = ("DillDataBase64", "DillCode")


class ResultTooLargeError(Exception):
    """The value is larger than the service takes."""


class Pipes:
    """The way to the service, out of reach of the tasks."""

    def __init__(self) -> None:
        self._commands = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
        self._results = os.dup(1)
        self._writing = threading.Lock()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        if hasattr(os, "register_at_fork"):
            # A child forked by a task must not keep the pipes open when this process has ended.
            os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        os.close(self._results)
        os.close(self._commands.fileno())

    def receive(self) -> tuple[int, bytes] | None:
        """Return the next frame as ``(kind, body)``, or None if the service is gone."""
        head = self._commands.read(frames.HEAD.size)
        if len(head) < frames.HEAD.size:
            return None
        length, kind = frames.HEAD.unpack(head)
        body = self._commands.read(length)
        return (kind, body) if len(body) == length else None

    def send(self, kind: int, body: bytes = b"") -> None:
        """Write one frame."""
        rest = memoryview(frames.frame(kind, body))
        with self._writing:
            while rest:
                rest = rest[os.write(self._results, rest) :]


class Runner:
    """Runs tasks and says what became of them."""

    def __init__(self, endpoint_id: str | None = None) -> None:
        import dill

        from funcx_async.serialize import FuncXSerializer, pickled, rebuild

        rebuild.OWN_WORKER = True
        self._rebuild = rebuild
        self._written_as_results = pickled.written_as_results
        self._uncollected = 0
        self._reader = FuncXSerializer()
        self._writers: dict[str, tuple[bool, FuncXSerializer]] = {}
        self.details = {
            "os": platform.platform(),
            "python_version": platform.python_version(),
            "dill_version": dill.__version__,
            "endpoint_id": endpoint_id,
        }

    def run(self, task_id: str, buffer: str, serializers: Sequence[str]) -> tuple[bool, bytes]:
        """Run one task; whether it failed, and the result message."""
        started = time.time_ns()
        outcome: str | Failure
        try:
            outcome = self._value(buffer, serializers)
        except ResultTooLargeError as error:
            code = "MaxResultSizeExceeded"
            outcome = Failure(f"{code}: {error}", code, f"remote error: {error}")
        except BaseException as error:  # the user's code may raise anything, or exit
            outcome = Failure(users_traceback(error))
        message = result_message(
            task_id, outcome, started=started, ended=time.time_ns(), details=self.details
        )
        self._forget(len(buffer))
        return isinstance(outcome, Failure), message

    def _forget(self, size: int) -> None:
        """Forget the classes that came with a task of this size, and what they held."""
        if self._rebuild.leave():
            self._uncollected += size
        if self._uncollected > COLLECT_AFTER:
            self._uncollected = 0
            gc.collect()

    def _value(self, buffer: str, serializers: Sequence[str]) -> str:
        code, args, kwargs = self._reader.unpack_buffers(buffer)
        function = self._reader.deserialize(code)
        arguments = self._reader.deserialize(args)
        keywords = self._reader.deserialize(kwargs)
        value = self._serialized(function(*arguments, **keywords), serializers)
        if len(value) > RESULT_LIMIT:
            msg = (
                f"the serialized result has {len(value)} characters, the service takes "
                f"{RESULT_LIMIT}; return less, or write it to a file and return its path"
            )
            raise ResultTooLargeError(msg)
        return value

    def _serialized(self, value: object, serializers: Sequence[str]) -> str:
        failures: list[Exception] = []
        for name in serializers or DEFAULT_SERIALIZERS:
            for_code, writer = self._writer(name)
            if for_code != callable(value):
                continue
            try:
                with self._written_as_results():
                    return writer.serialize(value)
            except Exception as error:  # the next may write it
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        msg = f"no result serializer of {list(serializers)} takes a {type(value).__name__}"
        raise ExceptionGroup(msg, failures) if failures else TypeError(msg)

    def _writer(self, name: str) -> tuple[bool, FuncXSerializer]:
        """Return whether the strategy of this import path is for code, and a serializer for it."""
        if name not in self._writers:
            from funcx_async import serialize

            strategy = getattr(serialize, name.rpartition(".")[2])
            for_code = strategy.for_code
            options = {"strategy_code" if for_code else "strategy_data": strategy()}
            self._writers[name] = for_code, serialize.FuncXSerializer(**options)
        return self._writers[name]


def users_traceback(error: BaseException) -> str:
    """Return the traceback as text, without this module's own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    if len(text) > TRACEBACK_LIMIT:
        text = f"[{len(text) - TRACEBACK_LIMIT} characters left out]\n{text[-TRACEBACK_LIMIT:]}"
    return text


def _next_frame(pipes: Pipes) -> tuple[int, bytes] | None:
    try:
        return pipes.receive()
    except (OSError, ValueError):  # a task closed the pipe, or read from it
        return None


def read_ahead(pipes: Pipes, waiting: SimpleQueue[bytes]) -> None:
    """Keep the next tasks at hand; end the process when the service is gone."""
    while (received := _next_frame(pipes)) is not None:
        kind, body = received
        if kind == frames.RUN:
            waiting.put(body)
            continue
        returned = []
        while True:
            try:
                head = waiting.get_nowait().partition(b"\n")[0]
            except Empty:
                break
            returned.append(json.loads(head)[0].encode("ascii"))
        pipes.send(frames.RETURNED, b"".join(returned))
    if sys.platform != "win32" and hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        # The process group was made for this process; what its tasks started goes with it.
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def work(pipes: Pipes, runner: Runner, waiting: SimpleQueue[bytes]) -> None:
    """Run tasks until the process ends."""
    process = os.getpid()
    while True:
        head, _, buffer = waiting.get().partition(b"\n")
        task_id, serializers = json.loads(head)
        os.environ["GC_TASK_UUID"] = task_id
        began = time.perf_counter()
        text = buffer.decode("utf-8", frames.ENCODING_ERRORS)
        failed, message = runner.run(task_id, text, serializers)
        if os.getpid() != process:
            os._exit(0)  # the task forked and came back twice; this is not the one to answer
        seconds = time.perf_counter() - began
        pipes.send(frames.DONE, frames.OUTCOME.pack(seconds, failed) + message)


def main() -> None:
    """Serve until the service is gone."""
    pipes = Pipes()
    faulthandler.enable()  # a crash says on standard error where it was
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    # Functions of the user's __main__ come to life in ours, where they must find nothing.
    sys.modules["__main__"] = types.ModuleType("__main__")
    runner = Runner(*sys.argv[1:2])
    gc.freeze()  # what a task leaves behind is soon found
    waiting: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=read_ahead, args=(pipes, waiting), daemon=True).start()
    versions = {name: runner.details[name] for name in ("python_version", "dill_version")}
    pipes.send(frames.READY, json.dumps(versions).encode("ascii"))
    work(pipes, runner, waiting)


if __name__ == "__main__":
    # Under its own name this module survives __main__ being emptied.
    from funcx_async.local.workers import worker

    worker.main()
