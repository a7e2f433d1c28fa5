"""``harness env``: a shell, or one command, in a cell's environment."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from harness.cli.arguments import add_reports, default_matrix
from harness.envs.build import Environment, build
from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.envs.usage_locks import UsageLocks
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.plan import plan_cells
from harness.matrix.schema import load_matrix
from harness.runner.probe_path import probe_path
from harness.runner.process import environment
from harness.search.prober import lock_cells
from harness.session.plan import PlannedCell, select_cells
from harness.session.resume import load_plan
from harness.store.runs import find_run


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.add_argument("cell", metavar="CELL", help="cell id, or a pattern that matches one cell")
    verb.add_argument(
        "--matrix", default=default_matrix(), metavar="MATRIX", help="matrix of the cell (default: as for run)"
    )
    verb.add_argument("--run", metavar="RUN", help="use the cell of this run, with the lock it had there")
    add_reports(verb)
    verb.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="command to run (default: a shell)"
    )
    verb.set_defaults(verb=enter)


def enter(options: argparse.Namespace) -> int:
    """Build or reuse the environment, run the command in it and return its exit code."""
    cache_dir = CacheDir.of_user()
    planned = _planned(options, cache_dir)
    cell, lock = planned.cell, planned.lock
    if not isinstance(lock, Lock):
        raise ConfigError(f"{cell.id} cannot be resolved: {lock.sentence}")
    with UsageLocks() as usage_locks:
        usage_locks.acquire(cache_dir.envs / lock.hash)
        return _enter(options, build(lock, cache_dir.envs, cache_dir.root / "env.log"), cell, cache_dir)


def _enter(options: argparse.Namespace, built: Environment, cell: Cell, cache_dir: CacheDir) -> int:
    binaries = built.python.parent
    variables = environment(probe_path(cache_dir.probe), dict(cell.variables))
    variables |= {"VIRTUAL_ENV": str(binaries.parent), "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        command = [os.environ.get("COMSPEC" if os.name == "nt" else "SHELL") or "sh"]
        sys.stderr.write(f"{cell.id}: leave with exit\n")
    try:
        return subprocess.run(command, env=variables, check=False).returncode
    except OSError as error:
        hint = "; options of harness env precede the cell" if command[0].startswith("-") else ""
        raise ConfigError(f"{command[0]} cannot be run: {error.strerror}{hint}") from error


def _planned(options: argparse.Namespace, cache_dir: CacheDir) -> PlannedCell:
    if options.run:
        known = load_plan(find_run(options.run, options.reports), cache_dir).cells
        ids = [cell.id for cell in select_cells([one.cell for one in known], [options.cell])]
    else:
        bundle = opened_bundle()
        matrix = load_matrix(options.matrix)
        cells = plan_cells(matrix, cache=cache_dir.releases).cells if bundle is None else bundle.cells()
        chosen = select_cells(cells, [options.cell])
        ids = [cell.id for cell in chosen]
        known = lock_cells(chosen, cache_dir) if len(ids) == 1 else ()

    if len(ids) > 1:
        raise ConfigError(f"{options.cell} matches {len(ids)} cells: {', '.join(ids)}")
    return next(one for one in known if one.cell.id == ids[0])
