"""The journal: what an executor has submitted, kept in a file until the application confirms it.

:mod:`funcx_async._core.book` decides what is written; here it is written, in a thread of its own.
"""

from funcx_async._journal.journal import Journal

__all__ = ["Journal"]
