"""Workers of both makes that run what the clients of :mod:`tests.oracles.kinds_client` submit.

By itself it runs everything and prints what fails: `python -m tests.oracles.kinds_run [NAME ...]`
for those pairs of client and reader whose names have all of the words in them.
"""

from __future__ import annotations

import json
import os
import random
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from funcx_async._service.messages import decode_result
from funcx_async.local.workers import frames
from tests.oracles.interpreters import interpreter

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PATIENCE = 30.0
"""Seconds that a worker may take for one task."""
DEATHS = 8
"""When so many workers have been killed by a client's tasks, the rest is not run."""
MINORS = (11, 12, 13)
MODES = ("script", "module")
Task = tuple[str, str, str, str]
"""The case, the task's kind, and its two texts."""


def client_python(minor: int) -> str:
    return sys.executable if minor == sys.version_info.minor else interpreter(f"py3{minor}")


def official_python(minor: int) -> str:
    return interpreter("endpoint" if minor == 11 else f"endpoint3{minor}")


@cache
def has(python: str, package: str) -> bool:
    """Whether an interpreter can import a package."""
    question = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
    return subprocess.run([python, "-c", question], check=False).returncode == 0


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COVERAGE"))}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **more}


class Died(Exception):
    """A worker ended instead of answering."""


class Worker:
    """One worker process, which runs a task after the other."""

    def __init__(self, command: list[str], folder: Path, **environ: str) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment(**environ),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.into, self.out = self.process.stdin, self.process.stdout
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.out, selectors.EVENT_READ)
        self.received = bytearray()
        self.started()

    def started(self) -> None:
        """Wait until it takes tasks."""

    def run(self, function: str, arguments: str) -> tuple[str, str]:
        """How a task ends, as "value" or "error", and the text of either."""
        raise NotImplementedError

    def more(self) -> None:
        """Receive something."""
        if not self.selector.select(PATIENCE):
            self.process.kill()
            raise Died(f"no answer in {PATIENCE:.0f} s")
        if not (data := os.read(self.out.fileno(), 1 << 20)):
            code = self.process.wait()
            raise Died(signal.Signals(-code).name if code < 0 else f"exit code {code}")
        self.received += data

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.into.close()
        self.out.close()
        self.selector.close()


def outcome(message: bytes) -> tuple[str, str]:
    result = decode_result(message)
    return "value" if result.error_code is None else "error", str(result.data)


class OwnWorker(Worker):
    """The local service's worker."""

    def started(self) -> None:
        assert self.frame()[0] == frames.READY

    def frame(self) -> tuple[int, bytes]:
        while True:
            complete, sound = frames.cut(self.received)
            assert sound
            if complete:
                return complete[0]
            self.more()

    def run(self, function: str, arguments: str) -> tuple[str, str]:
        head = json.dumps([str(uuid.uuid4()), []])
        body = f"{head}\n{len(function)}\n{function}{arguments}"
        try:
            data = frames.frame(frames.RUN, body.encode("utf-8", frames.ENCODING_ERRORS))
            self.into.write(data)
            self.into.flush()
        except BrokenPipeError:
            pass  # reading says how it ended
        kind, answer = self.frame()
        assert kind == frames.DONE
        return outcome(answer[frames.OUTCOME.size :])


class OfficialWorker(Worker):
    """The worker of globus-compute-endpoint."""

    def run(self, function: str, arguments: str) -> tuple[str, str]:
        try:
            self.into.write(json.dumps([function, arguments]).encode() + b"\n")
            self.into.flush()
        except BrokenPipeError:
            pass
        while b"\n" not in self.received:
            self.more()
        line, _, rest = bytes(self.received).partition(b"\n")
        self.received = bytearray(rest)
        return outcome(line.decode("ascii").encode().decode("unicode_escape").encode("latin-1"))


@dataclass(frozen=True)
class Reader:
    """A make of worker on a version of Python."""

    make: str
    minor: int

    @property
    def name(self) -> str:
        return f"{self.make} 3.{self.minor}"

    @property
    def python(self) -> str:
        return client_python(self.minor) if self.make == "own" else official_python(self.minor)

    def start(self, folder: Path) -> Worker:
        if self.make == "own":
            command = [self.python, "-P", "-W", "ignore", "-m", "funcx_async.local.workers.worker"]
            return OwnWorker(command, folder, PYTHONPATH=str(ROOT))
        command = [self.python, "-I", "-W", "ignore", str(HERE / "official_worker.py"), str(folder)]
        return OfficialWorker(command, folder)

    def answers(self, tasks: list[Task], folder: Path) -> Iterator[dict[str, Any]]:
        """Run tasks on one worker, and on another one after each that kills it."""
        worker, deaths = self.start(folder), 0
        try:
            for case, kind, function, arguments in tasks:
                try:
                    end, data = worker.run(function, arguments)
                except Died as error:
                    end, data = "death", str(error)
                    deaths += str(error).startswith("SIG")
                    worker.end()
                    if deaths == DEATHS:
                        break
                    worker = self.start(folder)
                yield {
                    "case": case,
                    "task": kind,
                    "reader": self.name,
                    "minor": self.minor,
                    "end": end,
                    "data": data,
                }
        finally:
            worker.end()


READERS = [Reader(make, minor) for make in ("own", "official") for minor in MINORS]


@dataclass
class Client:
    """A program that submits, on a version of Python, as a script or from modules of its own."""

    minor: int
    mode: str
    folder: Path
    failures: list[dict[str, Any]] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    cases: dict[str, Any] = field(default_factory=dict)
    answered: int = 0

    @property
    def name(self) -> str:
        return f"3.{self.minor} {self.mode}"

    def command(self, mode: str) -> list[str]:
        program = str(HERE / "kinds_client.py")
        return [client_python(self.minor), "-W", "ignore", program, str(self.folder), mode]

    def submit(self) -> None:
        """Have it write its tasks; it stays, and waits for the answers."""
        (self.folder / "mylab").mkdir(parents=True)
        (self.folder / "mylab" / "__init__.py").touch()
        self.log = (self.folder / "log.txt").open("w")
        self.process = subprocess.Popen(
            self.command(self.mode),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment(PYTHONPATH=str(ROOT)),
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == b"written\n", (self.folder / "log.txt").read_text()[-3000:]
        self.cases, unloadable = json.loads((self.folder / "tasks.json").read_text())
        for case, text in unloadable.items():
            self.failures.append({"case": case, "verdict": f"cannot be defined: {text}"})
        for case, told in self.cases.items():
            for kind, texts in told["tasks"].items():
                refused = len(texts) == 1
                if refused:
                    self.refusals[f"{case} {kind}"] = texts[0]
                wrong = refused != (told["notes"] == "refused") and "may be" not in told["notes"]
                if wrong or "NOT A REFUSAL" in texts[0]:
                    verdict = f"refused: {texts[0]}" if refused else "is not refused"
                    self.failures.append({"case": case, "task": kind, "verdict": verdict})

    def tasks_for(self, reader: Reader) -> list[Task]:
        """What a reader is to run: all of it, or what is worth a try on another version."""
        return [
            (case, kind, *texts)
            for case, told in self.cases.items()
            if told["python"] <= reader.minor
            and told["notes"] != "refused"
            and (told["needs"] in ("", "zone") or has(reader.python, told["needs"]))
            for kind, texts in told["tasks"].items()
            if len(texts) == 2 and (kind == "direct" or reader.minor == self.minor)
        ]

    def run_on(self, reader: Reader, folder: Path) -> list[dict[str, Any]]:
        """The same tasks, on one worker twice in different orders, and on another one."""
        tasks = self.tasks_for(reader)
        found = list(reader.answers(tasks, folder))
        if reader.minor == self.minor:
            again = [task for task in tasks if task[1] == "direct"]
            random.Random(5).shuffle(again)
            found += reader.answers(again[::-1] + again, folder)
        return found

    def judge(self, answers: list[dict[str, Any]], others: dict[int, dict[str, str]]) -> None:
        """Have it read the answers; then a new process that has the same modules."""
        self.answered = len(answers)
        for answer in answers:
            if answer["minor"] != self.minor:
                answer["others"] = others.get(answer["minor"], {}).get(answer["case"])
        (self.folder / "answers.json").write_text(json.dumps(answers))
        _, _ = self.process.communicate(b"\n")
        modes = [self.mode]
        if self.mode == "module":
            modes.append("fresh")
            environ = environment(PYTHONPATH=str(ROOT))
            subprocess.run(
                self.command("fresh"), env=environ, stdout=self.log, stderr=self.log, check=False
            )
        self.log.close()
        for mode in modes:
            verdicts = self.folder / f"verdicts_{mode}.json"
            assert verdicts.exists(), (self.folder / "log.txt").read_text()[-3000:]
            for failure in json.loads(verdicts.read_text()):
                self.failures.append({**failure, "mode": mode})


def run_everything(folder: Path, words: tuple[str, ...] = ()) -> list[Client]:
    """Let every client submit everything to every reader that it is to be read by."""
    clients = [Client(minor, mode, folder / f"{minor}{mode}") for minor in MINORS for mode in MODES]
    pairs = [
        (client, reader)
        for client in clients
        for reader in READERS
        if client.minor == reader.minor or client.mode == "module"
        if all(word in f"{client.name} to {reader.name}" for word in words)
    ]
    clients = [client for client in clients if client in [pair[0] for pair in pairs]]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Client.submit, clients))
        others = {
            client.minor: {case: told["expected"] for case, told in client.cases.items()}
            for client in clients
            if client.mode == "module"
        }
        places = [folder / f"run{number}" for number in range(len(pairs))]
        for place in places:
            place.mkdir()
        found = pool.map(lambda pair, place: pair[0].run_on(pair[1], place), pairs, places)
        answers: dict[int, list[dict[str, Any]]] = {id(client): [] for client in clients}
        for (client, _), some in zip(pairs, found, strict=True):
            answers[id(client)] += some
        list(pool.map(lambda client: client.judge(answers[id(client)], others), clients))
    return clients


def main(words: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clients = run_everything(Path(folder), words)
    told: dict[str, dict[str, set[str]]] = {}
    for client in clients:
        for failure in client.failures:
            where = f"{client.name} to {failure.get('reader')} {failure.get('mode', '')}"
            verdict = re.sub(r"[0-9a-f]{12}|\d+ characters", "...", failure["verdict"])
            what = told.setdefault(failure["case"], {}).setdefault(verdict, set())
            what.add(f"{failure.get('task', '')}, {where}")
    for case, verdicts in sorted(told.items()):
        for verdict, where in sorted(verdicts.items()):
            print(f"{case}: {verdict}\n        {len(where)}: {'; '.join(sorted(where)[:3])}")
    for client in clients:
        failed = {failure["case"] for failure in client.failures}
        print(
            f"{client.name}: {len(client.cases)} cases, {client.answered} answers, "
            f"{len(client.failures)} failures of {len(failed)} cases, "
            f"{len(client.refusals)} refusals"
        )
    deaths = [f for c in clients for f in c.failures if "worker died" in f["verdict"]]
    print(f"{len(deaths)} deaths of workers")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
