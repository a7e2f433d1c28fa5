"""The script that shows a failure alone, as the part of a draft: asked for in one place."""

from __future__ import annotations

from harness.envs.places import Places
from harness.errors import HarnessError
from harness.report.issue.context import Script
from harness.report.repro.make import make_repro
from harness.store.folder import RunFolder


def script(folder: RunFolder, cell: str, scenario: str, places: Places) -> Script:
    """Return the script for one scenario in one cell; where none can be written, the reason."""
    try:
        made = make_repro(folder, cell, scenario, places)
    except HarnessError as refused:  # a draft without a script is a draft all the same
        return Script(why_not=str(refused).rstrip("."))
    return Script(made.text, made.notes)
