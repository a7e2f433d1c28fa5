"""Draft an issue from a run folder: read, choose, build, hide what is private, render."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.envs.places import Places
from harness.errors import ConfigError
from harness.report.context import build as build_report
from harness.report.issue.build import Material, build
from harness.report.issue.choose import choose
from harness.report.issue.context import IssueContext
from harness.report.issue.evidence import failures
from harness.report.issue.render import render
from harness.report.issue.repository import repositories
from harness.report.issue.script import script
from harness.report.issue.searched import is_finished, read_search
from harness.report.private import private_of
from harness.report.redact import value_for_outside
from harness.report.write import known_issues
from harness.search.blamed import QUESTION as BLAME
from harness.store.folder import RunFolder, folder_name
from harness.store.records import ScenarioInfo


@dataclass(frozen=True)
class Draft:
    """A draft, and the name of its file in the run folder."""

    name: str
    text: str
    issue: IssueContext
    left_out: tuple[str, ...]


def draft(
    folder: RunFolder, signature: str | None, places: Places, *, search: RunFolder | None = None, redact: bool = True
) -> Draft:
    """Return the draft about one failure of a run; a run that is itself a finished bisect brings its answer.

    Raises:
        NothingSelectedError: the run has no such failure.
        ConfigError: several are meant, or the folder or the bisect cannot be read.
    """
    if (folder.path / BLAME).exists():
        raise ConfigError(
            f"{folder.path.name} is a blame, whose cells are mixtures that nobody installs: go on with "
            f"`harness blame --resume {folder.path.name} --bisect` and draft from the bisect's run"
        )
    run, attempts = folder.read_record(), folder.attempts()
    report = build_report(run, attempts, known_issues(folder))
    group = choose(failures(report.groups, report.rows), signature)
    search = search or (folder if is_finished(folder) else None)
    found = read_search(search, group, repositories(run.matrix.get("repositories", {}))) if search else None
    issue = build(Material(run, attempts, report, scenarios(folder)), group, found)
    issue = replace(issue, script=script(folder, issue.cell, issue.scenario, places), redacted=redact)
    if redact:
        issue = value_for_outside(issue, private_of(run, folder.path))
    done = render(issue)
    return Draft(f"issue-{folder_name(group.key)}.md", done.text, issue, done.left_out)


def scenarios(folder: RunFolder) -> dict[str, ScenarioInfo]:
    """Return what is known of every scenario: as the plan read it, else as a cell collected it."""
    collected = [info for event in folder.events("collected") for info in event["scenarios"]]
    found = {info["id"]: ScenarioInfo.model_validate(info) for info in collected}
    return found | {info.id: info for info in folder.read_record().scenarios}
