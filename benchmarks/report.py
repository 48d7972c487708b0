"""The tables inside the documentation, made from results so that none is mistyped."""

from __future__ import annotations

import re

from benchmarks.series import Results
from benchmarks.tables import TABLES
from benchmarks.targets import targets

_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rewrite(page: str, results: Results) -> str:
    """Put the tables that a page names between its marks."""

    def filled(place: re.Match[str]) -> str:
        start, name, end = place.groups()
        make = targets if name == "targets" else TABLES[name]
        return f"{start}{make(results)}\n{end}"

    return _PLACE.sub(filled, page)
