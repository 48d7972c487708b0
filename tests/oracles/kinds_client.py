"""A program that submits every kind of function and value, and reads what comes back.

`python kinds_client.py FOLDER script|module` writes the tasks into FOLDER, waits for a line, and
judges the answers that are then there. `... fresh` only reads the answers, as a new process that
has the same modules does after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import enum
import importlib
import importlib.util
import inspect
import io
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

from funcx_async.errors import SerializationError
from funcx_async.serialize import DillCode, FuncXSerializer
from tests.oracles.kinds import Block, blocks, parts_of
from tests.oracles.observing import observe, observe_call, same

default, compiled = FuncXSerializer(), FuncXSerializer(DillCode)
MINOR = sys.version_info.minor


@dataclasses.dataclass
class Case:
    """One call or value."""

    name: str
    main: types.ModuleType
    expected: str
    value: Any
    failed: bool
    copies: list[str]
    notes: str


def applies(block: Block) -> bool:
    if block.needs == "zone":
        return bool(importlib.util.find_spec("tzdata")) or Path("/usr/share/zoneinfo").exists()
    if block.python > MINOR:
        return False
    return not block.needs or importlib.util.find_spec(block.needs) is not None


def loaded(block: Block, folder: Path, mode: str) -> types.ModuleType:
    """Run a block as a script of that name, or import it as a module of a package."""
    if mode == "script":
        path = folder / f"{block.name}.py"
        path.write_text(block.text)
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        module.__file__ = str(path)
        exec(compile(block.text, str(path), "exec", dont_inherit=True), vars(module))
        return module
    return importlib.import_module(f"mylab.{block.name}")


def serialized(tasks: dict[str, Any]) -> dict[str, list[str]]:
    """Each task as its two texts, or as one: the refusal."""
    texts: dict[str, list[str]] = {}
    for name, (serializer, function, args, kwargs) in tasks.items():
        try:
            texts[name] = [
                serializer.serialize_function(function),
                serializer.serialize_arguments(args, kwargs),
            ]
        except SerializationError as error:
            texts[name] = [str(error)]
        except Exception as error:  # to be reported: it is none of ours
            texts[name] = [f"NOT A REFUSAL: {type(error).__name__}: {error}"]
    return texts


def locally(function: Any, args: Any, kwargs: Any) -> tuple[bool, Any]:
    """Whether a call fails here, and its value or error."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            value = function(*args, **kwargs)
            return False, asyncio.run(value) if inspect.iscoroutine(value) else value
        except BaseException as error:
            return True, error


def sent(block: Block, number: int, main: types.ModuleType) -> tuple[Case, dict[str, list[str]]]:
    """Serialize one prompt of a block, and see what it is here."""
    prompt, space = block.prompts[number], vars(main)
    if block.calls:
        function_text, argument_text = parts_of(prompt)
        function, (args, kwargs) = eval(function_text, space), eval(argument_text, space)
        texts = serialized(
            {
                "direct": (default, function, args, kwargs),
                "compiled": (compiled, function, args, kwargs),
                "observed": (default, observe_call, (function, args, kwargs), {}),
            }
        )
        failed, value = locally(function, args, kwargs)
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(type(function), "__call__", None)  # noqa: B004  # it is not called
        ):
            del texts["observed"]
        made = []
    else:
        failed, value = False, eval(prompt, space)
        made = copies(value)
        texts = serialized(
            {"direct": (default, same, (value,), {}), "observed": (default, observe, (value,), {})}
        )
    expected = f"{type(value).__qualname__}: {value}" if failed else observe(value)
    name, notes = f"{block.name}[{number}]", block.notes[number]
    return Case(name, main, expected, value, failed, made, notes), texts


def foreign(ours: Any, theirs: Any) -> str | None:
    """Where a value that came back is not of our own classes, if anywhere."""
    seen: set[int] = set()
    pending = [("result", ours, theirs)]
    while pending:
        path, ours, theirs = pending.pop()
        kind = type(ours)
        if id(ours) in seen or "<locals>" in kind.__qualname__ or "<locals>" in repr(kind):
            continue
        seen.add(id(ours))
        if type(theirs) is not kind:
            return f"{path} is of {type(theirs)!r}, not of our own class {kind!r}"
        if isinstance(ours, enum.Enum) and ours.name in kind.__members__ and theirs is not ours:
            return f"{path} is not our own {ours!r}"
        if isinstance(ours, type):
            own = repr(ours).startswith(("<class '__main__", "<class 'mylab"))
            if own and theirs is not ours and "<locals>" not in repr(ours):
                return f"{path} is not our own {ours!r}"
            continue
        pending += parts(path, ours, theirs)
    return None


def parts(path: str, ours: Any, theirs: Any) -> list[tuple[str, Any, Any]]:
    """What is inside two values that should be alike, side by side."""
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(ours, list | tuple):
        pairs += [(f"{path}[{n}]", *two) for n, two in enumerate(zip(ours, theirs, strict=False))]
    if isinstance(ours, dict):
        pairs += [(f"a key of {path}", *two) for two in zip(ours, theirs, strict=False)]
        values = zip(ours.values(), theirs.values(), strict=False)
        pairs += [(f"a value of {path}", *two) for two in values]
    attributes, found = getattr(ours, "__dict__", None), getattr(theirs, "__dict__", None)
    if type(ours).__module__ == "typing":  # of whose attributes each Python has its own
        return pairs
    if isinstance(attributes, dict) and isinstance(found, dict):
        pairs += [(f"{path}.{n}", attributes[n], found[n]) for n in attributes if n in found]
    return pairs


def verdict(case: Case, answer: dict[str, Any], others: str | None) -> str | None:
    """What is wrong with an answer, or None.

    Args:
        case: the case.
        answer: how the task ended, and on which minor version of Python.
        others: what the reader's Python makes of the case, where that is another version.
    """
    if answer["end"] == "death":
        official = answer["reader"].startswith("official")
        exits = official and case.expected.startswith("SystemExit")
        return None if exits else f"the worker died: {answer['data']}"
    if answer["end"] == "error":
        text = answer["data"]
        if case.failed and (case.expected in text or (others or case.expected) in text):
            return mangled(text)
        if "one way" in case.notes and "All strategies failed" in text:
            return None
        versions = {f"3.{MINOR}", f"3.{answer['minor']}"}
        if len(versions) == 2 and versions <= {*re.findall(r"\b3\.\d+", last_line(text))}:
            return None
        return f"{'ended by another error' if case.failed else 'failed'}: {last_line(text)}"
    if case.failed:
        return f"did not fail, as here by {case.expected}"
    try:
        value = default.deserialize(answer["data"])
    except Exception as error:
        return f"its result cannot be read: {last_line(str(error))}"
    found = value if answer["task"] == "observed" and isinstance(value, str) else observe(value)
    if found in (case.expected, others):
        return None if answer["task"] == "observed" else foreign(case.value, value)
    if re.sub(MANGLED, "", found) in (case.expected, others):
        return mangled(found)
    return None if found in case.copies else different(case.expected, found)


def copies(value: Any) -> list[str]:
    """What its own reduction makes of a value, here: of some it makes something else."""
    try:
        once = copy.deepcopy(value)
        return [observe(once), observe(copy.deepcopy(once))]
    except Exception:
        return []


MANGLED = r"@[0-9a-f]{12}"


def mangled(text: str) -> str | None:
    return "it shows names that are none of ours" if re.search(MANGLED, text) else None


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].strip()[-400:]


def different(ours: str, theirs: str) -> str:
    """Both, from a little before they part."""
    at = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
    start = max(0, at - 40)
    return f"is {theirs[start : at + 120]!r}, not {ours[start : at + 120]!r}"


def judged(cases: dict[str, Case], folder: Path) -> list[dict[str, Any]]:
    known: dict[tuple[str, ...], str | None] = {}
    failures = []
    for answer in json.loads((folder / "answers.json").read_text()):
        if (case := cases.get(answer["case"])) is None:
            continue
        key = (answer["case"], answer["task"], answer["end"], answer["data"], str(answer["minor"]))
        if key not in known:
            sys.modules["__main__"] = case.main
            known[key] = verdict(case, answer, answer.get("others"))
        if known[key] is not None:
            failures.append({**answer, "data": None, "verdict": known[key]})
    return failures


def main(folder: Path, mode: str) -> None:
    cases: dict[str, Case] = {}
    written: dict[str, Any] = {}
    unloadable: dict[str, str] = {}
    for block in blocks():
        if mode != "script":
            (folder / "mylab" / f"{block.name}.py").write_text(block.text)
    sys.path.insert(0, str(folder))
    for block in filter(applies, blocks()):
        main_module = loaded(block, folder, mode)
        for number in range(len(block.prompts)):
            try:
                case, texts = sent(block, number, main_module)
            except Exception as error:
                unloadable[f"{block.name}[{number}]"] = f"{type(error).__name__}: {error}"
                continue
            cases[case.name] = case
            written[case.name] = {
                "tasks": texts,
                "expected": case.expected,
                "needs": block.needs,
                "python": block.python,
                "notes": block.notes[number],
            }
    if mode != "fresh":
        (folder / "tasks.json").write_text(json.dumps([written, unloadable]))
        print("written", flush=True)
        sys.stdin.readline()
    (folder / f"verdicts_{mode}.json").write_text(json.dumps(judged(cases, folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
