"""Hundreds of functions and values of all kinds, as people write them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Block:
    """A piece of a program, with calls of its functions or values made of its classes.

    Attributes:
        name: unique among all blocks.
        text: what stands in the file, or is typed.
        prompts: the expressions: each a call whose function and arguments are sent, or a value.
        notes: for each what is behind it as a comment: "refused" must be refused at submit, "may
            be refused" may be, of "one way" the official worker cannot send the result.
        calls: whether they are calls.
        python: the oldest minor version that can compile it.
        needs: a package that it imports, or "".
    """

    name: str
    text: str
    prompts: tuple[str, ...]
    notes: tuple[str, ...]
    calls: bool
    python: int
    needs: str


def blocks() -> list[Block]:
    """Read both files."""
    return [*_read("functions.txt", calls=True), *_read("values.txt", calls=False)]


def parts_of(call: str) -> tuple[str, str]:
    """Take a call apart.

    Returns:
        The expression of its function, and one that is a pair of its arguments, by position and
        by keyword.
    """
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call), call
    collect = ast.parse("(lambda *args, **kwargs: (args, kwargs))()", mode="eval").body
    assert isinstance(collect, ast.Call)
    collect.args, collect.keywords = node.args, node.keywords
    return ast.unparse(node.func), ast.unparse(collect)


def _read(file: str, *, calls: bool) -> list[Block]:
    pieces = re.split(r"^#: (.+)\n", (HERE / file).read_text(), flags=re.MULTILINE)[1:]
    return [_block(pieces[at], pieces[at + 1], calls) for at in range(0, len(pieces), 2)]


def _block(head: str, body: str, calls: bool) -> Block:
    name, *options = head.split()
    chosen = dict(option.split("=") for option in options)
    prompts = re.findall(r"^>>> (.+?)(?:  # ([a-z ,]+?)(?:: .+)?)?$", body, re.MULTILINE)
    text = re.sub(r"^>>> .+\n?", "", body, flags=re.MULTILINE).strip() + "\n"
    return Block(
        f"{'call' if calls else 'value'}_{name}",
        text,
        tuple(prompt for prompt, _ in prompts),
        tuple(note for _, note in prompts),
        calls,
        int(chosen.get("py", "3.11").partition(".")[2]),
        chosen.get("needs", ""),
    )
