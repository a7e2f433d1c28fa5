"""The script that shows a failure alone, as the part of a draft: asked for in one place."""

from __future__ import annotations

import re

from harness.envs.places import Places
from harness.errors import HarnessError
from harness.report.issue.context import Script
from harness.report.repro.make import make_repro
from harness.store.folder import RunFolder

# a requirement of the script whose address was concealed: ``"gadget @ <private url>@1a2b…"``
HIDDEN = re.compile(r'"([\w.-]+)[^"\n]*<private url>')


def script(folder: RunFolder, cell: str, scenario: str, places: Places) -> Script:
    """Return the script for one scenario in one cell; where none can be written, the reason."""
    try:
        made = make_repro(folder, cell, scenario, places)
    except HarnessError as refused:  # a draft without a script is a draft all the same
        return Script(why_not=str(refused).rstrip("."))
    return Script(made.text, made.notes, cannot_run=cannot_run(made.text))


def cannot_run(text: str) -> str:
    """Say why nobody can run a script whose requirements had a private address, hidden since; empty where they can."""
    head, _, _ = text.partition("# ]\n# ///")
    hidden = HIDDEN.findall(head)
    if not hidden:
        return ""
    where = " and ".join(f"where {name} is installed from" for name in dict.fromkeys(hidden))
    return f"{where} is private and was hidden; write an address that others can reach in its place"
