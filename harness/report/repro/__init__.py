"""``harness repro``: one file that shows a failure without the harness."""

from harness.report.repro.make import Repro, make_repro

__all__ = ["Repro", "make_repro"]
