"""``harness probe``: one scenario in one cell, answered as ``git bisect run`` understands it."""

from __future__ import annotations

import argparse
import json
import sys
import traceback

from harness.cli.arguments import (
    add_criterion,
    add_gpu_busy,
    add_json,
    add_reports,
    add_timeout,
    default_matrix,
    positive,
    read_criterion,
)
from harness.cli.progress import RunProgress, open_screen
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode, HarnessError, InfrastructureError
from harness.matrix.cell import Cell
from harness.matrix.schema import Matrix, load_matrix
from harness.report.write import write_views
from harness.search.criterion import Evaluation, evaluate, whole_file
from harness.search.driver import reference_cell
from harness.search.pins import override_pins, require_releases
from harness.search.prober import Prober, lock_cells
from harness.session.begin import begin
from harness.session.context import Options
from harness.session.plan import Plan, make_plan, read_scenarios
from harness.store.records import RunKind, Stage, Status
from harness.verdict.result import ScenarioResult

SKIP, ABORT = 125, 128
CODE = {True: 1, False: 0, None: SKIP}
EPILOG = """\
exit codes, as git bisect run understands them: 0 good · 1 bad · 125 undecided, git skips it · 128 and more: git stops
(129 an internal error · 130 usage, configuration or interrupted · 131 no such cell or test · 132 infrastructure)

in a working copy of the package:
  git bisect start BAD GOOD
  git bisect run harness probe --matrix FILE --scenario FILE::TEST --with PACKAGE=path:. --reports DIR"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument(
        "--scenario",
        required=True,
        metavar="FILE::TEST",
        help="the test that is good or bad",
    )
    verb.add_argument("--matrix", default=default_matrix(), help="the versions of all packages (default: quickstart)")
    verb.add_argument(
        "--cell", metavar="ID", help="a cell of the matrix (default: its reference cell, else its first cell)"
    )
    verb.add_argument(
        "--with",
        dest="instead",
        action="append",
        default=[],
        metavar="PACKAGE=VERSION",
        help="override a package of the cell by a version, path:FOLDER, git:REF or another expression (repeatable)",
    )
    add_criterion(verb, factor=False)
    verb.add_argument(
        "--repeat", type=positive, default=1, metavar="N", help="number of attempts; 125 if they disagree (default: 1)"
    )
    add_timeout(verb)
    add_gpu_busy(verb)
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=probe, usage_code=ABORT + ExitCode.USAGE)  # 2 would mean "bad" to git bisect run


def probe(options: argparse.Namespace) -> int:
    """Return 0, 1 or 125; 128 and more without an answer."""
    try:
        return _probe(options)
    except KeyboardInterrupt:
        sys.stderr.write("harness: interrupted\n")
        return int(ExitCode.INTERRUPTED)
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        return ABORT + error.exit_code
    except Exception:  # noqa: BLE001 - Python's own exit status of a traceback is 1, which would mean "bad"
        traceback.print_exc()
        return ABORT + 1


def _probe(options: argparse.Namespace) -> int:
    console, report = open_screen(errors=options.json)
    cache_dir = CacheDir.of_user()
    matrix, criterion = load_matrix(options.matrix), read_criterion(options, ends=False)
    files, infos = read_scenarios(matrix, (options.scenario,))
    cell, notes = override_pins(_cell(options, matrix, cache_dir), options.instead, matrix, cache_dir)
    for note in (*notes, *whole_file(options.scenario, infos, criterion)):
        report(f"note: {note}")

    planned = lock_cells((cell,), cache_dir)
    require_releases(cell, planned[0].lock, matrix, cache_dir, options.instead)
    plan = Plan(matrix, planned, files, infos)
    folder = begin(plan, options.reports, kind=RunKind.PROBE, selection=(options.scenario,))
    run_options = Options(timeout=options.timeout, busy_bytes=options.gpu_busy)
    prober = Prober(plan, folder, cache_dir, run_options, reuse=False)

    with RunProgress(console, len(infos) * options.repeat) as progress:
        if not prober.probe((cell,), progress, repeat=options.repeat):
            raise KeyboardInterrupt

    views = write_views(folder)
    results = prober.results(cell)
    found = evaluate(criterion, results, criterion.limit)
    if found.bad is None and _is_infrastructure(results):
        raise InfrastructureError(f"{cell.id}: {found.reason}")
    code = CODE[found.bad]

    if options.json:
        paths = {"run": str(folder.path), "html": str(views.html)}
        answer = {"exit_code": code, "cell": cell.id, "bad": found.bad, "reason": found.reason}
        print(json.dumps({**paths, **answer}, indent=1))
        return code

    for line in (*views.lines, _describe(cell, found)):
        report(line)
    return code


def _cell(options: argparse.Namespace, matrix: Matrix, cache_dir: CacheDir) -> Cell:
    if options.cell is None:
        return reference_cell(matrix, cache_dir)
    planned = make_plan(matrix, cache_dir, scenarios=(options.scenario,), cells=(options.cell,)).cells
    if len(planned) > 1:
        raise ConfigError(f"--cell {options.cell} matches {len(planned)} cells; name one")
    return planned[0].cell


def _is_infrastructure(results: list[ScenarioResult]) -> bool:
    """Return whether the network, a busy GPU or the disk failed: no commit is to blame, and git must stop."""
    outcomes = [outcome for one in results for outcome in one.distinct]
    unbuilt = any(one.status is Status.ERROR and one.stage is Stage.INSTALL for one in outcomes)
    return unbuilt or any(one.is_spoilt for one in results)


def _describe(cell: Cell, found: Evaluation) -> str:
    names = ", ".join(f"{axis} {cell.label(axis)}" for axis in cell.axes) or cell.id
    return f"{found.word}: {names} ({found.reason})"
