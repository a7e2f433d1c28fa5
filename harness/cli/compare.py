"""``harness compare``: what became of every scenario between two runs, or two cells."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from harness.cli.arguments import add_reports
from harness.errors import ExitCode
from harness.redact.values import redact_value
from harness.report.markdown import render_comparison
from harness.report.terminal import comparison_page, print_comparison
from harness.report.write import known_issues
from harness.session.comparison_input import Side, open_sides
from harness.session.private import private_of
from harness.verdict.acceptance import FAIL_ON, counted, exit_code
from harness.verdict.box import Entry
from harness.verdict.compared import Comparison, compared

SIDE = "a run (path, name's begin or end, latest, latest~1, baseline) or a cell of one (RUN:CELL)"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.add_argument("old", metavar="OLD", help=SIDE)
    verb.add_argument("new", metavar="NEW", nargs="?", default="latest", help="the same (default: latest)")
    verb.add_argument(
        "--cells",
        action="append",
        default=[],
        metavar="ID",
        help="only these: ids, cell-lines or patterns (repeatable)",
    )
    verb.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=tuple(FAIL_ON),
        help="exit with 1 when there is one (repeatable)",
    )
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="what is written (text)")
    form.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    add_reports(verb)
    verb.set_defaults(verb=compare)


def compare(options: argparse.Namespace) -> ExitCode:
    """Compare and write; 4 where results are missing, 1 where --fail-on asks for it."""
    old, new, accepted = open_sides(options.old, options.new, options.reports, options.cells)
    found = compared((old.name, new.name), (old.boxes, new.boxes), known_issues(new.folder), accepted)
    found = replace(found, notes=(*old.notes, *new.notes, *found.notes))
    code = exit_code(found.entries, found.compared, options.fail_on)
    match options.format:
        case "json":
            print(json.dumps(as_json(found, code, options.fail_on), indent=1))
        case "markdown":
            print(render_comparison(_redacted_page(found, (old, new))), end="")
        case _:
            console = Console()
            print_comparison(comparison_page(found), console)
            for line in _closing(found, code, options.fail_on):
                console.print(line, highlight=False, markup=False, soft_wrap=True)
    return code


def _redacted_page(found: Comparison, sides: Sequence[Side]) -> Any:
    """Return the page, redacted for both runs."""
    shown = comparison_page(found)
    for side in sides:
        shown = redact_value(shown, private_of(side.record, side.folder.path))
    return shown


def _closing(found: Comparison, code: ExitCode, asked: Sequence[str]) -> list[str]:
    """Say why the code is not 0."""
    if code is ExitCode.INCOMPLETE and not found.compared:
        return ["Nothing could be compared: no scenario has an answer on both sides."]
    if code is ExitCode.INCOMPLETE:
        holes = sum(entry.incomplete for entry in found.entries)
        return [f"Incomplete: {holes} result{'' if holes == 1 else 's'} missing, or spoilt by the machine."]
    return [f"--fail-on {' '.join(asked)}: {len(counted(found.entries, asked))} found."] if code else []


def as_json(found: Comparison, code: ExitCode, asked: Sequence[str]) -> dict[str, Any]:
    """Return what ``--json`` writes."""
    failing = counted(found.entries, asked)
    return {
        "old": found.old,
        "new": found.new,
        "exit_code": int(code),
        "compared": found.compared,
        "same": found.same,
        "entries": [{**_entry(entry), "failing": entry in failing} for entry in found.entries],
        "versions": {
            line: {change.package: [change.before, change.after] for change in changes}
            for line, changes in found.versions.items()
        },
        "notes": found.notes,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    sides = {"before": entry.before, "after": entry.after}
    return {
        "kind": entry.kind.value,
        "line": entry.line,
        "scenario": entry.scenario,
        "detail": entry.detail,
        "incomplete": entry.incomplete,
        "known": {"state": entry.known.state.value, "tracker": entry.known.issue.tracker} if entry.known else None,
        "accepted": entry.accepted or None,
        "figures": {one.name: [one.before.median, one.after.median] for one in entry.shifts},
        **{
            name: None
            if box is None
            else {"cell": box.cell, "result": str(box.outcomes), "signatures": box.signatures, "gpu": box.gpu}
            for name, box in sides.items()
        },
    }
