"""``harness merge``: join runs of parts of a matrix into one run folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from harness.cli.arguments import RUN, add_json, add_reports
from harness.errors import ExitCode
from harness.report.terminal import print_summary
from harness.report.write import write_views
from harness.store.merge import merge
from harness.store.runs import find_run


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.add_argument("runs", metavar="RUN", nargs="+", help=f"runs to join: {RUN}")
    verb.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="run folder to create")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=merge_runs)


def merge_runs(options: argparse.Namespace) -> ExitCode:
    """Merge the runs, write the views, and print in what the parts differ."""
    folder, notes = merge([find_run(run, options.reports) for run in options.runs], options.output)
    views = write_views(folder)
    if options.json:
        paths = {"run": str(folder.path), "html": str(views.html), "markdown": str(views.markdown)}
        print(json.dumps({**paths, "notes": notes}, indent=1))
        return ExitCode.COMPLETE

    print_summary(views.context, Console())
    print("\n".join((*(f"note: {note}" for note in notes), *views.lines)))
    return ExitCode.COMPLETE
