"""The facts that are taken for granted, and what was found of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import msgspec

Verdict = Literal["holds", "differs", "unknown"]

FACTS: Mapping[str, str] = {
    "source is made ready": (
        "A function that is registered as plain source is made ready for workers by the "
        "service: it runs."
    ),
    "refusals have names": "A refusal names its reason by a word such as FUNCTION_NOT_FOUND.",
    "bodies are validated": (
        "A request of the newer routes whose body is not as it should be is refused with "
        "status 422 and a list of what is wrong where."
    ),
    "tokens last two days": (
        "An access token that is issued to client credentials is good for 48 hours."
    ),
    "the service makes the queue": (
        "A submit that asks for a result queue finds it made: it can be consumed without "
        "being declared."
    ),
    "one queue for the group": (
        "The queue of a task group brings the results of all tasks of the group, also of "
        "those that were submitted before and elsewhere."
    ),
    "results may be early": "A result may come before the answer to the submit of its task.",
}
"""What is taken for granted of the service, each fact by its name."""


@dataclass(frozen=True)
class Finding:
    """What was found of one fact.

    Attributes:
        name: what the fact is called.
        fact: what is taken for granted, as a sentence.
        verdict: ``holds``, ``differs``, or ``unknown`` where the look could not decide it.
        found: what the service did, in words.
    """

    name: str
    fact: str
    verdict: Verdict
    found: str


@dataclass(frozen=True)
class Findings:
    """What was found of all facts.

    Attributes:
        service: the service's root.
        endpoint_id: the endpoint that ran the tasks.
        looked_at: when, in Unix seconds.
        findings: one for each fact.
    """

    service: str
    endpoint_id: str
    looked_at: float
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def differing(self) -> list[Finding]:
        """Those that are not as the package takes them for granted."""
        return [each for each in self.findings if each.verdict == "differs"]

    def to_json(self) -> str:
        """Give the record as JSON, to be kept."""
        return msgspec.json.format(msgspec.json.encode(asdict(self)), indent=2).decode()

    def to_markdown(self) -> str:
        """Give the record as a table for people."""
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.looked_at))
        rows = [
            f"| {each.name} | {each.fact} | **{each.verdict}** | {_in_a_cell(each.found)} |"
            for each in self.findings
        ]
        return "\n".join(
            [
                f"# What {self.service} does",
                "",
                f"Looked at on {when}, with the endpoint {self.endpoint_id}.",
                "",
                "| fact | taken for granted | verdict | found |",
                "|---|---|---|---|",
                *rows,
                "",
            ]
        )


def _in_a_cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
