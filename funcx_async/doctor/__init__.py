"""Whether a service can be used from here, and what is in the way: ``funcx-async doctor``.

What a check means is decided by plain functions of what was seen (:mod:`verdicts`); the looking is
in
:mod:`looks`; which check needs which other one, and how long each may take, in :mod:`examination`.
"""

from __future__ import annotations

from funcx_async.doctor.examination import Examination
from funcx_async.doctor.looks import Wanted
from funcx_async.doctor.report import Check, Report, Verdict

__all__ = ["Check", "Examination", "Report", "Verdict", "Wanted"]
