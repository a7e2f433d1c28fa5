"""``harness env``: a shell, or one command, in a cell's environment."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from harness.cli.arguments import Verbs, default_matrix
from harness.envs.build import build
from harness.envs.lock import Lock, resolve_cells
from harness.envs.places import Places
from harness.errors import ConfigError
from harness.matrix.model import load_matrix
from harness.matrix.plan import plan_cells
from harness.runner.launch import environment
from harness.runner.probe_path import probe_path
from harness.session.plan import select_cells


def register(verbs: Verbs) -> None:
    """Add the verb."""
    verb = verbs.add_parser("env", help="a shell or a command in a cell's environment")
    verb.add_argument("cell", metavar="CELL", help="a cell's id, or a pattern that matches one")
    verb.add_argument("--matrix", default=default_matrix(), help="the matrix it belongs to (default: as for run)")
    verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run (default: a shell)")
    verb.set_defaults(verb=enter)


def enter(options: argparse.Namespace) -> int:
    """Build or reuse the environment and run the command in it; its exit code is ours."""
    places = Places.of_user()
    cells = select_cells(plan_cells(load_matrix(options.matrix), cache=places.releases).cells, [options.cell])
    if len(cells) > 1:
        raise ConfigError(f"{options.cell} matches {len(cells)} cells: {', '.join(cell.id for cell in cells)}")
    lock = resolve_cells(cells, cache=places.locks, jobs=1)[cells[0].id]
    if not isinstance(lock, Lock):
        raise ConfigError(f"{cells[0].id} cannot be resolved: {lock.sentence}")
    built = build(lock, places.envs, places.root / "env.log")
    binaries = built.python.parent
    variables = environment(probe_path(places.probe), dict(cells[0].variables))
    variables |= {"VIRTUAL_ENV": str(binaries.parent), "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        command = [os.environ.get("COMSPEC" if os.name == "nt" else "SHELL") or "sh"]
        sys.stderr.write(f"{cells[0].id}: leave with exit\n")
    try:
        return subprocess.run(command, env=variables, check=False).returncode
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run: {error.strerror}") from error
