"""Diagnosis of connection problems: what ``funcx-async doctor`` runs.

:mod:`checks` makes the checks, :mod:`network` has the probes that they use, and :mod:`findings`
decides, in plain functions, what an observation means and what to do about it.
"""

from __future__ import annotations

from funcx_async.doctor.checks import Diagnosis, Target
from funcx_async.doctor.report import Check, Finding, Report

__all__ = ["Check", "Diagnosis", "Finding", "Report", "Target"]
