"""What the checks found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["OK", "WARN", "FAIL", "SKIP"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found.

    Attributes:
        status: ``OK``; ``WARN``: it works, but not as it should; ``FAIL``: it does not work;
            ``SKIP``: it was not looked at.
        found: what was seen, as a sentence.
        remedy: what to do about it; empty if there is nothing to do.
        blocks: whether checks that need this one make no sense; those of a failed one never do.
    """

    status: Status
    found: str
    remedy: str = ""
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A check that was made.

    Attributes:
        name: what it looks at, such as ``certificate``.
        status: as :class:`Verdict` has it, like the next two.
        found: what was seen.
        remedy: what to do about it.
        seconds: how long it took.
    """

    name: str
    status: Status
    found: str
    remedy: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """All checks.

    Attributes:
        service: the service's root, as far as it is known.
        checks: in the order in which they were made.

    Example:
        >>> Report("", [Check("port", "FAIL", "It is closed.", "Open it.", 0.1)]).works
        False
    """

    service: str
    checks: Sequence[Check]

    @property
    def works(self) -> bool:
        """Whether no check failed."""
        return all(check.status != "FAIL" for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "service": self.service,
            "works": self.works,
            "checks": [asdict(check) for check in self.checks],
        }
