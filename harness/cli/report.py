"""``harness report``: rebuild all views of a run from its journal."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from harness.cli.arguments import RUN, add_json, add_reports
from harness.errors import ExitCode
from harness.report.terminal import print_summary
from harness.report.write import write_views
from harness.store.runs import find_run


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.add_argument("run", metavar="RUN", nargs="?", default="latest", help=f"{RUN} (default: latest)")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=report)


def report(options: argparse.Namespace) -> ExitCode:
    """Write the views, and print the summary and their paths."""
    folder = find_run(options.run, options.reports)
    views = write_views(folder)
    if options.json:
        print(json.dumps({"run": str(folder.path), "html": str(views.html), "markdown": str(views.markdown)}, indent=1))
        return ExitCode.COMPLETE
    print_summary(views.context, Console())
    print("\n".join(views.lines))
    return ExitCode.COMPLETE
