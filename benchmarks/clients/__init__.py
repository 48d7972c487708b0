"""The programs that are measured, each run by an interpreter that has its client installed.

They share nothing with the rest of ``benchmarks`` but ``measuring``, which needs no package at all.
"""
