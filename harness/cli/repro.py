"""``harness repro``: write a standalone script for one scenario in one cell."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from harness.cli.arguments import RUN, add_json, add_reports
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode
from harness.matrix.paths import short_path
from harness.report.repro import make_repro
from harness.store.files import write_text
from harness.store.run_folder import folder_name
from harness.store.runs import find_run

DESCRIPTION = """\
Write a script that shows a failure without the harness: one Python file with exact pins. It builds its checkpoint, and
exits with 1 if the failure shows, with 0 if it does not, and with 2 for any other error."""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.description = DESCRIPTION
    verb.add_argument("run", metavar="RUN", help=RUN)
    verb.add_argument("cell", metavar="CELL", help="cell id, or a pattern that matches one cell")
    verb.add_argument("scenario", metavar="SCENARIO", help="scenario id; without parameters, the first that failed")
    verb.add_argument(
        "-o", "--output", metavar="FILE", help="script to write (default: in the run folder; - for standard output)"
    )
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=write)


def write(options: argparse.Namespace) -> ExitCode:
    """Write the script, and print how to run it."""
    folder = find_run(options.run, options.reports)
    made = make_repro(folder, options.cell, options.scenario, CacheDir.of_user())
    if options.output == "-":
        sys.stdout.write(made.text)
        return ExitCode.COMPLETE
    name = f"repro-{folder_name(made.cell)}-{folder_name(made.scenario)}.py"
    file = Path(options.output) if options.output else folder.path / name
    try:
        write_text(file, made.text)
    except OSError as error:
        raise ConfigError(f"-o {file} cannot be written: {error.strerror}") from error

    if options.json:
        print(json.dumps({"script": str(file), "cell": made.cell, "scenario": made.scenario, "notes": made.notes}))
        return ExitCode.COMPLETE
    lines = made.text.count("\n")
    print(f"{made.scenario} in {made.cell}: {lines} lines\nuv run {short_path(file)}")
    for note in made.notes:
        print(f"note: {note}")
    return ExitCode.COMPLETE
