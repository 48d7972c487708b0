"""The results of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["OK", "WARN", "FAIL", "SKIP"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        status: ``OK``; ``WARN``: it works, but not as well as it could; ``FAIL``: it does not
            work; ``SKIP``: it was not checked.
        found: what was observed, as a sentence.
        remedy: what to do about it; empty if there is nothing to do.
        blocks: whether to skip the checks that require this one. A failed check always blocks.
        blocked_by: the name of the failed check that this one requires; empty if there is none.
    """

    status: Status
    found: str
    remedy: str = ""
    blocks: bool = False
    blocked_by: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check and its result.

    Attributes:
        name: what was checked, such as ``certificate``.
        status: ``OK``, ``WARN``, ``FAIL`` or ``SKIP``, as in :class:`Finding`.
        found: what was observed.
        remedy: what to do about it.
        blocked_by: the failed check because of which this one was skipped.
        seconds: how long the check took.
    """

    name: str
    status: Status
    found: str
    remedy: str
    blocked_by: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all checks.

    Attributes:
        service: the root URL of the service; empty if it is not known.
        checks: the checks, in the order in which they were made.

    Example:
        >>> Report("", [Check("port", "FAIL", "It is closed.", "Open it.", "", 0.1)]).works
        False
    """

    service: str
    checks: Sequence[Check]

    @property
    def works(self) -> bool:
        """Whether no check failed."""
        return all(check.status != "FAIL" for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return the report as a dictionary for JSON."""
        return {
            "service": self.service,
            "works": self.works,
            "checks": [asdict(check) for check in self.checks],
        }
