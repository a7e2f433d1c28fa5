"""``harness baseline``: the run that later ones are compared with, and what was accepted since."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from harness.cli.arguments import RUN, add_actions, add_json, add_reports
from harness.errors import ConfigError, ExitCode
from harness.matrix.paths import near_hint
from harness.report.write import known_issues
from harness.session.comparison_input import open_sides
from harness.session.plan import matches
from harness.store.baseline import Baseline, accept, kept, matrices, none_of, set_baseline
from harness.store.records import Status, function_of
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run
from harness.verdict.acceptance import acceptable, acceptance
from harness.verdict.comparison import Difference, differences
from harness.verdict.results import read_results

ACTIONS = {
    "set": "make a run the baseline of its matrix",
    "show": "show the baselines, their reasons and the accepted differences",
    "accept": "accept how a scenario differs from the baseline",
}


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions of the verb and their arguments."""
    setting, showing, accepting = add_actions(verb, ACTIONS)
    for each in (setting, accepting):
        each.add_argument("run", metavar="RUN", help=RUN)
    accepting.add_argument(
        "scenario", metavar="SCENARIO", help="scenario id, pattern, or test function with all its parameters"
    )
    accepting.add_argument(
        "--line", metavar="SERIES", help="accept only in this cell series (default: in all that differ)"
    )
    for each in (setting, accepting):
        each.add_argument("--reason", required=True, metavar="TEXT", help="reason, which is kept with the baseline")
    for each, does in ((setting, set_run), (showing, show), (accepting, accept_entries)):
        default = "all" if each is showing else "that of RUN"
        each.add_argument("--matrix", metavar="NAME", help=f"matrix of the baseline (default: {default})")
        add_reports(each)
        add_json(each)
        each.set_defaults(verb=does)


def set_run(options: argparse.Namespace) -> ExitCode:
    """Make a run the baseline, and say what it lacks."""
    folder = find_run(options.run, options.reports)
    matrix = _matrix(folder, options)
    holes = sum(one.status is Status.MISS for one in read_results(folder).values())
    made = set_baseline(options.reports, matrix, _below(folder, options), options.reason)
    said = [f"{made.run} is the baseline of {matrix}: {made.reason}"]
    if holes:
        said.append(f"note: {holes} of its results are missing; a red in their place cannot be called new")
    _say(options, {**made.model_dump(mode="json"), "missing": holes}, said)
    return ExitCode.COMPLETE


def show(options: argparse.Namespace) -> ExitCode:
    """Show the baseline of one matrix or of all.

    Raises:
        ConfigError: the named matrix has none, or no matrix has one.
    """
    names = (options.matrix,) if options.matrix else matrices(options.reports)
    found = {name: kept(options.reports, name) for name in names}
    for name, baselines in found.items():
        if not baselines:
            raise ConfigError(none_of(name))
    if not found:
        raise ConfigError(f"no matrix has a baseline below {options.reports}")
    value = [
        {**own[-1].model_dump(mode="json"), "before": [one.model_dump(mode="json") for one in own[:-1]]}
        for own in found.values()
    ]
    _say(options, value, [line for own in found.values() for line in _lines(own)])
    return ExitCode.COMPLETE


def accept_entries(options: argparse.Namespace) -> ExitCode:
    """Accept every difference of the scenario between baseline and run.

    Raises:
        ConfigError: there is no baseline, or nothing that could be accepted.
    """
    folder = find_run(options.run, options.reports)
    matrix = _matrix(folder, options)
    old, new, _ = open_sides("baseline", str(folder.path), options.reports)
    found = differences(old.results, new.results, known_issues(folder))
    pattern = options.scenario  # a function means every parameter of it
    meant = [one for one in found if matches(one.key.scenario, pattern) or function_of(one.key.scenario) == pattern]
    if options.line is not None:
        meant = [one for one in meant if one.key.series == options.line]
    chosen = [one for one in meant if acceptable(one)]
    if not chosen:
        raise ConfigError(_nothing(options, folder, meant, found))
    made = [acceptance(one, reason=options.reason, run=folder.path.name, date=datetime.now(UTC)) for one in chosen]
    accept(options.reports, matrix, made)
    said = [f"accepted: {one.change}  {one.key.scenario}  {one.key.series}  {one.detail}" for one in chosen]
    _say(options, [one.model_dump(mode="json") for one in made], said)
    return ExitCode.COMPLETE


def _nothing(
    options: argparse.Namespace, folder: RunFolder, meant: list[Difference], found: tuple[Difference, ...]
) -> str:
    where = f" in {options.line}" if options.line else ""
    if meant:
        kinds = ", ".join(sorted({one.change.value for one in meant}))
        return f"{options.scenario}{where} is {kinds} in {folder.path.name}, which cannot be accepted"
    hint = near_hint(options.scenario, {one.key.scenario for one in found if acceptable(one)})
    return f"{options.scenario}{where} does not differ from the baseline in {folder.path.name}{hint}"


def _matrix(folder: RunFolder, options: argparse.Namespace) -> str:
    own = folder.read_record().name
    if options.matrix not in {None, own}:
        raise ConfigError(f"{folder.path.name} is a run of {own}, not of {options.matrix}")
    return own


def _below(folder: RunFolder, options: argparse.Namespace) -> str:
    if folder.path.parent.resolve() != options.reports.resolve():
        raise ConfigError(
            f"{folder.path.name} does not lie below {options.reports}: a baseline is kept by its name there"
        )
    return folder.path.name


def _lines(baselines: tuple[Baseline, ...]) -> list[str]:
    *before, now = baselines
    lines = [f"{now.matrix}: {now.run}  set {now.date:%Y-%m-%d}: {now.reason}"]
    for one in now.accepted:
        seen = f"{', '.join(one.outcomes)}" or "gone"
        lines.append(f"  accepted {one.date:%Y-%m-%d}: {one.kind}  {one.scenario}  {one.line}  {seen}: {one.reason}")
    return [*lines, *(f"  before: {one.run}  set {one.date:%Y-%m-%d}: {one.reason}" for one in reversed(before))]


def _say(options: argparse.Namespace, value: object, lines: list[str]) -> None:
    print(json.dumps(value, indent=1) if options.json else "\n".join(lines))
