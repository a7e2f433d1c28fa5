"""Draft an issue from a run folder: read, choose, build, hide what is private, render."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, HarnessError, NothingSelectedError
from harness.matrix.git import DEFAULT_REPOSITORIES
from harness.redact.values import redact_value
from harness.report.context import build as build_report
from harness.report.issue.build import Material, build
from harness.report.issue.environment import known_newest
from harness.report.issue.evidence import failures
from harness.report.issue.model import IssueContext, Script, Searched
from harness.report.issue.render import render
from harness.report.issue.repository import COMPANIONS, repositories
from harness.report.issue.search_evidence import is_blame, is_finished, read_blame, read_search, renamed
from harness.report.model import Group
from harness.report.repro.make import make_repro
from harness.report.write import known_issues
from harness.search.blamed import read_question
from harness.session.private import private_of
from harness.store.records import ScenarioInfo
from harness.store.run_folder import RunFolder, folder_name

SHOWN = 12  # failures that a sentence lists


def choose(found: Sequence[Group], wanted: str | None) -> Group:
    """Return the failure that ``wanted`` names: a rule, a whole signature, or a part that only one has.

    Without ``wanted`` the only one there is.

    Raises:
        NothingSelectedError: the run has no failure, or none of that name.
        ConfigError: several are meant.
    """
    if not found:
        raise NothingSelectedError(
            "no scenario of this run failed by the software under test: there is nothing to draft"
        )
    if wanted is None:
        if len(found) > 1:
            raise ConfigError(f"the run has {len(found)} failures; name one with --signature: {_names(found)}")
        return found[0]
    exact = [each for each in found if wanted == each.key or wanted in each.ids]
    part = wanted.casefold()
    matching = exact or [each for each in found if any(part in name.casefold() for name in (each.key, *each.ids))]
    if not matching:
        raise NothingSelectedError(f"no failure of this run is named {wanted!r}; there are: {_names(found)}")
    if len(matching) > 1:
        raise ConfigError(f"--signature {wanted!r} is part of {len(matching)} failures: {_names(matching)}")
    return matching[0]


def _names(found: Sequence[Group]) -> str:
    names = [" ".join(each.key.split()) for each in found[:SHOWN]]
    return "; ".join([*names, *([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])])


# a requirement of the script whose address was redacted: ``"gadget @ <private url>@1a2b…"``
HIDDEN = re.compile(r'"([\w.-]+)[^"\n]*<private url>')


def script(folder: RunFolder, cell: str, scenario: str, cache_dir: CacheDir) -> Script:
    """Return the script for one scenario in one cell; where none can be written, the reason."""
    try:
        made = make_repro(folder, cell, scenario, cache_dir)
    except HarnessError as refused:  # a draft without a script is a draft all the same
        return Script(why_not=str(refused).rstrip("."))
    return Script(made.text, made.notes, cannot_run=cannot_run(made.text))


def cannot_run(text: str) -> str:
    """Say why nobody can run a script whose requirements had a private address, hidden since; empty where they can."""
    head, _, _ = text.partition("# ]\n# ///")
    hidden = HIDDEN.findall(head)
    if not hidden:
        return ""
    where = " and ".join(f"where {name} is installed from" for name in dict.fromkeys(hidden))
    return f"{where} is private and was hidden; write an address that others can reach in its place"


@dataclass(frozen=True)
class Draft:
    """A draft, and the name of its file in the run folder."""

    name: str
    text: str
    issue: IssueContext
    left_out: tuple[str, ...]


def draft(
    folder: RunFolder,
    signature: str | None,
    cache_dir: CacheDir,
    *,
    search: RunFolder | None = None,
    redact: bool = True,
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
    newest = known_newest(sorted(names), cache_dir.releases)
    issue = build(Material(run, attempts, report, scenarios(folder), newest), group, found)
    issue = replace(issue, script=script(folder, issue.cell, issue.scenario, cache_dir), redacted=redact)
    if redact:
        issue = redact_value(issue, private_of(run, folder.path))
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
