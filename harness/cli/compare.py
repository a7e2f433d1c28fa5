"""``harness compare``: what became of every scenario between two runs, or two cells."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from rich.console import Console

from harness.cli.arguments import RUN, add_reports
from harness.errors import ExitCode
from harness.redact.text import redact_value
from harness.report.comparison import (
    comparison_json,
    comparison_markdown,
    comparison_view,
    exit_sentence,
    print_comparison,
)
from harness.report.write import known_issues
from harness.session.comparison_input import open_sides
from harness.session.private import private_of
from harness.verdict.acceptance import FAIL_ON, exit_code, with_accepted
from harness.verdict.comparison import comparison, differences

SIDE = f"run ({RUN}, or baseline), or one cell of it (RUN:CELL)"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.add_argument("old", metavar="OLD", help=SIDE)
    verb.add_argument("new", metavar="NEW", nargs="?", default="latest", help="as OLD (default: latest)")
    verb.add_argument(
        "--cells",
        action="append",
        default=[],
        metavar="CELL",
        help="compare only these cells: ids, series or patterns (repeatable)",
    )
    verb.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=tuple(FAIL_ON),
        help="exit with 1 if there is such a difference; red: any failure, also an old or known one (repeatable)",
    )
    form = verb.add_mutually_exclusive_group()
    form.add_argument(
        "--format", choices=("text", "markdown", "json"), default="text", help="output format (default: text)"
    )
    form.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")
    add_reports(verb)
    verb.set_defaults(verb=compare)


def compare(options: argparse.Namespace) -> ExitCode:
    """Compare two sides: 4 if results are missing, 1 if ``--fail-on`` finds something."""
    old, new, accepted = open_sides(options.old, options.new, options.reports, options.cells)
    differing = with_accepted(differences(old.results, new.results, known_issues(new.folder)), accepted)
    found = comparison((old.name, new.name), old.results, new.results, differing)
    found = replace(found, notes=(*old.notes, *new.notes, *found.notes))
    code = exit_code(found.differences, found.compared, options.fail_on)
    match options.format:
        case "json":
            print(json.dumps(comparison_json(found, code, options.fail_on), indent=1))
        case "markdown":
            private = private_of(old.record, old.folder.path).joined(private_of(new.record, new.folder.path))
            print(comparison_markdown(redact_value(comparison_view(found), private)), end="")
        case _:
            print_comparison(comparison_view(found), Console())
            if sentence := exit_sentence(found, code, options.fail_on):
                print(sentence)
    return code
