"""``harness run``: install, run and render a matrix, or resume a run."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace

from harness.cli.arguments import (
    add_gpu_busy,
    add_isolation,
    add_jobs,
    add_json,
    add_matrix,
    add_reports,
    add_timeout,
    default_jobs,
    positive,
    read_matrix,
)
from harness.cli.progress import ExpectedAttempts, RunProgress, open_screen
from harness.envs.cache_dir import CacheDir
from harness.errors import ExitCode
from harness.matrix.paths import is_matrix, short_path
from harness.report.terminal import print_summary
from harness.report.write import write_views
from harness.reporter import counted, listed
from harness.runner.isolation import Isolation
from harness.session.begin import add_cells, begin, save_options
from harness.session.conclude import Conclusion, conclude, isolation_differences
from harness.session.context import BUSY_BYTES, Options
from harness.session.plan import Plan, make_plan
from harness.session.resume import load_plan, merge_options, run_to_resume, select_part
from harness.session.run import run_plan
from harness.store.records import AttemptRecord, RunOptions, RunRecord
from harness.store.run_folder import RunFolder
from harness.store.runs import is_run

FEW = 3  # results in one sentence


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    add_matrix(verb)
    verb.add_argument(
        "-k", dest="keyword", default="", metavar="EXPRESSION", help="select scenarios by name, as in pytest"
    )
    verb.add_argument(
        "-m", dest="markers", default="", metavar="EXPRESSION", help="select scenarios by marker, as in pytest"
    )

    again = verb.add_mutually_exclusive_group()
    for flag, text in {
        "--resume": "resume a run: the newest of MATRIX, or MATRIX itself if it is a run folder",
        "--only-missing": "like --resume, and also run the cells that were added to MATRIX since",
        "--retry-failed": "like --resume, and re-run failed scenarios; attempts that disagree are flaky",
    }.items():
        again.add_argument(flag, action="store_true", help=text)

    add_timeout(verb)
    verb.add_argument(
        "--repeat", type=positive, metavar="N", help="number of attempts per scenario and cell (default: 1)"
    )
    verb.add_argument(
        "--control-last", action="store_true", help="re-run the reference cells at the end to detect machine drift"
    )
    add_jobs(verb)
    add_gpu_busy(verb)
    add_isolation(verb)
    verb.add_argument(
        "--check-isolation", action="store_true", help="run every scenario both ways and compare outcomes and metrics"
    )
    verb.add_argument(
        "--fail-on", choices=("regression", "failure"), help="exit with 1 if there is a regression, or any failure"
    )
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=run, gpu_busy=None)  # None: that of the resumed run, else the default


def run(options: argparse.Namespace) -> ExitCode:
    """Run a matrix, write its report and print a summary with the paths of the report."""
    cache_dir = CacheDir.of_user()
    console, report = open_screen(errors=options.json)
    plan, folder, run_options = _plan(options, cache_dir)
    record = folder.read_record()
    for warning in plan.warnings:
        report(f"note: {warning}")
    size = f"{counted(len(plan.cells), 'cell')}, {counted(len(plan.scenarios), 'scenario')}"
    report(f"{size} → {short_path(folder.path)}")
    session_options = _session_options(options, run_options, record, plan)
    with RunProgress(console, _expected_attempts(plan, session_options, run_options)) as progress:
        complete = run_plan(plan, folder, cache_dir, session_options, progress)
        if complete and run_options.control_last:
            control = replace(plan, cells=tuple(one for one in plan.cells if one.cell.reference))
            one_more = replace(
                session_options,
                repeat=session_options.repeat + 1,
                retry_failed=False,
            )
            complete = run_plan(control, folder, cache_dir, one_more, progress)

    return _finish(options, run_options, folder, complete=complete)


def _plan(options: argparse.Namespace, cache_dir: CacheDir) -> tuple[Plan, RunFolder, RunOptions]:
    given = {name: getattr(options, name) for name in RunOptions.model_fields}
    if not (options.resume or options.only_missing or options.retry_failed):
        run_options = merge_options(RunOptions(), given)
        plan = make_plan(
            read_matrix(options),
            cache_dir,
            scenarios=options.scenarios,
            cells=options.cells,
        )
        keyword, markers = options.keyword or plan.matrix.keyword, options.markers or plan.matrix.markers
        selection = {"selection": options.scenarios, "keyword": keyword, "markers": markers}
        return plan, begin(plan, options.reports, **selection, options=run_options), run_options

    plan, folder = _resumed_plan(options, cache_dir)
    run_options = merge_options(folder.read_record().asked, given)
    if not options.retry_failed:  # its --repeat applies to the failed scenarios only
        save_options(run_options, folder)
    return plan, folder, run_options


def _resumed_plan(options: argparse.Namespace, cache_dir: CacheDir) -> tuple[Plan, RunFolder]:
    named = is_run(options.matrix, options.reports, part=not is_matrix(options.matrix))
    matrix = None if named else read_matrix(options)
    folder = run_to_resume(options.matrix, options.reports, matrix.name if matrix else None)
    if matrix is None or not options.only_missing:
        plan = load_plan(folder, cache_dir)
    else:
        plan = make_plan(matrix, cache_dir, scenarios=folder.read_record().selection, cells=options.cells)
        add_cells(plan, folder)
    return select_part(plan, cells=options.cells, scenarios=options.scenarios), folder


def _expected_attempts(plan: Plan, session_options: Options, run_options: RunOptions) -> ExpectedAttempts:
    """Return the attempts to expect before the cells have collected their scenarios, with those of the control."""
    each = len(Isolation) if session_options.check_isolation else 1
    cells = {one.cell.id: each for one in plan.cells}
    control = {one.cell.id: each for one in plan.cells if one.cell.reference and run_options.control_last}
    return ExpectedAttempts(len(plan.scenarios), ((cells, session_options.repeat), (control, 1)))


def _session_options(options: argparse.Namespace, run_options: RunOptions, record: RunRecord, plan: Plan) -> Options:
    """Return the options of the session; ``-k`` and ``-m`` select from the scenarios of a resumed run."""
    resumed = options.resume or options.only_missing or options.retry_failed
    return Options(
        keyword=record.keyword or plan.matrix.keyword,
        markers=record.markers or plan.matrix.markers,
        only_keyword=options.keyword if resumed else "",
        only_markers=options.markers if resumed else "",
        timeout=run_options.timeout,
        repeat=record.asked.repeat,
        retries=run_options.repeat,
        jobs=run_options.jobs or default_jobs(),
        isolation=Isolation(run_options.isolation),
        check_isolation=run_options.check_isolation,
        retry_failed=options.retry_failed,
        busy_bytes=BUSY_BYTES if run_options.gpu_busy is None else run_options.gpu_busy,
    )


def _finish(options: argparse.Namespace, run_options: RunOptions, folder: RunFolder, *, complete: bool) -> ExitCode:
    console, report = open_screen(errors=options.json)
    views = write_views(folder)
    result = conclude(*folder.read(AttemptRecord))
    code = result.exit_code(options.fail_on, complete=complete)
    differences = isolation_differences(folder.attempts()) if run_options.check_isolation else []
    if differences and code is ExitCode.COMPLETE:
        code = ExitCode.INCOMPLETE

    if options.json:
        paths = {"run": str(folder.path), "html": str(views.html), "markdown": str(views.markdown)}
        print(json.dumps({**paths, "exit_code": code, **asdict(result), "isolation": differences}, indent=1))
        return code

    print_summary(views.context, console)
    lines = [f"isolation: {text}" for text in differences]
    if run_options.check_isolation and not differences:
        lines.append("isolation: fork and fresh interpreter agree in every outcome and metric")
    if code is ExitCode.REGRESSION:
        lines.append(_failing_text(result, options.fail_on))
    lines += [*_continuation(result, folder, complete=complete), *views.lines]

    for line in lines:
        report(line)
    return code


def _continuation(result: Conclusion, folder: RunFolder, *, complete: bool) -> list[str]:
    """Return how to continue an incomplete run, if it is one."""
    resume = f"continue with: harness run --resume {short_path(folder.path)}"
    if not complete:
        return [f"interrupted; {resume}"]
    return [f"{result.missing_text()}; {resume}"] if result.missing else []


def _failing_text(result: Conclusion, fail_on: str) -> str:
    """Return the results for which the run exits with 1."""
    found = result.failing(fail_on)
    names = listed([f"{scenario} in {cell}" for cell, scenario in found], few=FEW)
    return f"{counted(len(found), fail_on)}: {names}"
