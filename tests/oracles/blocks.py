"""Two hundred functions of all kinds, as a person would type them, each with a call of it."""

# The kinds read best as what is typed, line by line.
# ruff: noqa: E501, ISC004
from __future__ import annotations

import asyncio
import inspect
from typing import Any

_KINDS: list[tuple[str, str]] = [
    ("def f{n}(a, b={n}, *rest, c=2, **more):\n    return a, b, rest, c, more", "(1, 2, 3)"),
    ("f{n} = lambda x: x * {n} + 1", "(3,)"),
    ("limit{n} = {n}\n\ndef f{n}(x):\n    return x + limit{n}", "(3,)"),
    (
        "def aid{n}(x):\n    return [x] * {n}\n\ndef f{n}(x):\n    return len(aid{n}(x))",
        "('a',)",
    ),
    ("import math as m{n}\n\ndef f{n}(x):\n    return m{n}.floor(x + {n})", "(2.5,)"),
    (
        "from os.path import join as join{n}\n\ndef f{n}(x):\n    return join{n}('a', x, '{n}')",
        "('b',)",
    ),
    ("def f{n}(x):\n    return x if x < 2 else x * f{n}(x - 1)", "(6,)"),
    (
        "def make{n}(y):\n    def inner(x):\n        return x + y + {n}\n    return inner\n\n"
        "f{n} = make{n}(4)",
        "(1,)",
    ),
    (
        "import functools\n\ndef deco{n}(fn):\n    @functools.wraps(fn)\n    def wrapper(x):\n"
        "        return [fn(x)]\n    return wrapper\n\n@deco{n}\ndef f{n}(x):\n    return x + {n}",
        "(1,)",
    ),
    ("async def f{n}(x):\n    return x + {n}", "(1,)"),
    ("import functools\n\nf{n} = functools.partial(pow, {n})", "(2,)"),
    (
        "class Box{n}:\n    def __init__(self, x): self.x = x\n"
        "    def twice(self): return self.x * 2 + {n}\n\n"
        "def f{n}(x):\n    return Box{n}(x).twice()",
        "(1,)",
    ),
    (
        "class Call{n}:\n    def __call__(self, x): return x + {n}\n\nf{n} = Call{n}()",
        "(1,)",
    ),
    (
        "from dataclasses import dataclass, asdict\n\n@dataclass\nclass Job{n}:\n    x: int = {n}\n\n"
        "def f{n}(x):\n    return asdict(Job{n}()), Job{n}(x) == Job{n}(x)",
        "(1,)",
    ),
    (
        "import enum\n\nclass Kind{n}(enum.Enum):\n    A = {n}\n    B = 'b'\n\n"
        "def f{n}(x):\n    return Kind{n}({n}) is Kind{n}.A, [k.name for k in Kind{n}]",
        "(1,)",
    ),
    (
        "table{n} = {{'a': [{n}]}}\n\ndef f{n}(x):\n    table{n}['a'].append(x)\n"
        "    return table{n}",
        "(1,)",
    ),
    (
        "count{n} = {n}\n\ndef f{n}(x):\n    global count{n}\n    count{n} += x\n"
        "    return count{n}",
        "(1,)",
    ),
    (
        "def f{n}(x):\n    try:\n        return x / 0\n    except ZeroDivisionError as e:\n"
        "        return str(e), {{i: i * {n} for i in range(x)}}",
        "(2,)",
    ),
    (
        "def gen{n}(x):\n    yield from range(x)\n\ndef f{n}(x):\n    return sum(gen{n}(x)) + {n}",
        "(5,)",
    ),
    (
        "class Home{n}:\n    size = {n}\n    def grown(self, x): return self.size + x\n\n"
        "f{n} = Home{n}().grown",
        "(1,)",
    ),
]

COUNT = 200

BLOCKS = [_KINDS[n % len(_KINDS)][0].format(n=n) for n in range(COUNT)]
"""What defines each function ``f0``, ``f1`` and so on; its parts are divided by empty lines."""

ARGUMENTS = [eval(_KINDS[n % len(_KINDS)][1]) for n in range(COUNT)]
"""What each is called with."""

NAMES = ", ".join(f"f{n}" for n in range(COUNT))

DUMP = (
    "from funcx_async.serialize import FuncXSerializer\n\n"
    f"functions = [{NAMES}]\n\n"
    "written = [FuncXSerializer().serialize_function(function) for function in functions]\n\n"
    "import json, pathlib\n\n"
    "pathlib.Path(path).write_text(json.dumps(written))"
)
"""Writes all functions to the file ``path``."""


def expected() -> list[str]:
    """What each call gives when the functions are called here."""
    namespace: dict[str, Any] = {"__name__": __name__}
    for block in BLOCKS:
        exec(compile(block, "<block>", "exec", dont_inherit=True), namespace)
    values = [namespace[f"f{n}"](*ARGUMENTS[n]) for n in range(COUNT)]
    return [repr(asyncio.run(v) if inspect.iscoroutine(v) else v) for v in values]
