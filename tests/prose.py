"""Find wording in the project that is not plain English: ``python -m tests.prose``.

It reads pages, docstrings, comments and strings, line by line, and prints each finding with what
to write instead. ``make check`` runs it. Tests are not read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

PATTERNS = {
    # Literal translations, and what the field says.
    r"(?:is|are|was|were|be|been|being) told\b(?! apart)": "is given, is shown, receives",
    r"\btells? of\b|\btold of\b": "describes, reports",
    r"\bha(?:s|ve) it that\b": "says that",
    r"\blikewise\b": "also, the same way",
    r"\band the like\b|\bor the like\b": "and similar",
    r"\bbe had\b": "be obtained",
    r"\bcome about\b|\bcomes about\b": "succeed, happen",
    r"\bfor want of\b": "for lack of",
    r"\banew\b": "again, new",
    r"\bof one's own\b": "of your own",
    r"\bby and by\b": "gradually",
    r"\bwhoever\b": "a noun: users, callers, the service",
    r"\bas it were\b": "(drop it)",
    r"\bso long as\b": "while",
    r"\bever after\b": "afterwards",
    r"\bin vain\b": "without success",
    r"\bhence\b|\bthereof\b|\btherein\b|\bthereby\b": "so, of it, in it",
    # Standard terms.
    r"\bfurther tr(?:y|ies)\b": "retries",
    r"\btried again\b": "retried",
    r"\bpatience\b|\bpatiently\b": "timeout",
    r"\bstorm\b": "stress test, fault-injection test",
    r"\bon purpose\b": "deliberately; faults are injected",
    r"\blast words\b": "(name what it is)",
    r"\blook-ups?\b|\blookups? over REST\b": "polling",
    # Personification and moralizing.
    r"\binnocent\b": "unrelated",
    r"\bnobody can know\b|\bnobody knows\b": "it is unknown",
    r"\bsays? no\b|\bsaid no\b": "refuses",
    r"\bhurts? (?:nothing|nobody|no)\b": "does not affect",
    r"\bgood-bye\b": "close",
    # Docstrings.
    r"See the module\b": "(say it, or drop it)",
    r'"""(?:Give(?! up)|Have|Tell|Take note|Look(?! up)|Say)\b': "Return, Wait, Send, Parse, …",
}
WORDS = re.compile("|".join(f"({pattern})" for pattern in PATTERNS), re.IGNORECASE)
INSTEAD = list(PATTERNS.values())

READ = {".py", ".md", ".rst", ".html", ".js", ".toml", ".yml"}
FOLDERS = ["funcx_async", "docs", "examples", "benchmarks", ".ci", ".github"]
NOT_OURS = {"prose.py"}


def files() -> Iterator[Path]:
    """Return the files that are read."""
    yield from (path for path in ROOT.glob("*") if path.is_file() and path.suffix in READ)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            generated = {"transcripts", "names", "results", "__pycache__"} & set(path.parts)
            if path.suffix in READ and path.name not in NOT_OURS and not generated:
                yield path


def findings(path: Path) -> Iterator[str]:
    """Return a line for each finding in a file."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for found in WORDS.finditer(line):
            instead = INSTEAD[(found.lastindex or 1) - 1]
            yield f"{path.relative_to(ROOT)}:{number}: {found[0]!r}; write: {instead}"


def main() -> int:
    """Print all findings."""
    found = [finding for path in files() for finding in findings(path)]
    print(*found, sep="\n")
    print(f"{len(found)} findings")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
