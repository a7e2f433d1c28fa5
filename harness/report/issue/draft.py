"""Draft an issue from a run folder: read, choose, build, hide what is private, render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.envs.places import Places
from harness.matrix.repositories import DEFAULT_REPOSITORIES
from harness.report.context import build as build_report
from harness.report.issue.blamed import is_blame, read_blame, renamed
from harness.report.issue.build import Material, build
from harness.report.issue.choose import choose
from harness.report.issue.context import IssueContext, Searched
from harness.report.issue.evidence import failures
from harness.report.issue.newer import known_newest
from harness.report.issue.render import render
from harness.report.issue.repository import COMPANIONS, repositories
from harness.report.issue.script import script
from harness.report.issue.searched import is_finished, read_search
from harness.report.private import private_of
from harness.report.redact import value_for_outside
from harness.report.views import Group
from harness.report.write import known_issues
from harness.search.blamed import read_question
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
    """Return the draft about one failure of a run; a run that is itself a bisect or a blame brings its answer.

    Raises:
        NothingSelectedError: the run has no such failure.
        ConfigError: several are meant, the folder or the search cannot be read, or a blame has not come to an end.
    """
    run, attempts = folder.read_record(), folder.attempts()
    report = build_report(run, attempts, known_issues(folder))
    report = renamed(report, read_question(folder)) if is_blame(folder) else report
    group = choose(failures(report.groups, report.rows), signature)
    search = search or (folder if is_finished(folder) or is_blame(folder) else None)
    found = _answer(search, folder, group, repositories(run.matrix.get("repositories", {}))) if search else None
    names = {*DEFAULT_REPOSITORIES, *COMPANIONS, *(name for cell in run.cells for name in cell.pins)}
    newest = known_newest(sorted(names), places.releases)
    issue = build(Material(run, attempts, report, scenarios(folder), newest), group, found)
    issue = replace(issue, script=script(folder, issue.cell, issue.scenario, places), redacted=redact)
    if redact:
        issue = value_for_outside(issue, private_of(run, folder.path))
    done = render(issue)
    return Draft(f"issue-{folder_name(group.key)}.md", done.text, issue, done.left_out)


def _answer(search: RunFolder, folder: RunFolder, group: Group, known: Mapping[str, str]) -> Searched:
    """Read what a search says: a bisect, or a blame."""
    if is_blame(search):
        return read_blame(search, group, known, own=search.path.resolve() == folder.path.resolve())
    return read_search(search, group, known)


def scenarios(folder: RunFolder) -> dict[str, ScenarioInfo]:
    """Return what is known of every scenario: as the plan read it, else as a cell collected it."""
    collected = [info for event in folder.events("collected") for info in event["scenarios"]]
    found = {info["id"]: ScenarioInfo.model_validate(info) for info in collected}
    return found | {info.id: info for info in folder.read_record().scenarios}
