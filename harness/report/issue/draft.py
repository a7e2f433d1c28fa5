"""Draft an issue from a run folder: read, select, build, redact, render."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, HarnessError, NothingSelectedError
from harness.redact.text import redact_value
from harness.report.context import build as build_report
from harness.report.context import lookup
from harness.report.issue.build import Material, build
from harness.report.issue.environment import NOTABLE
from harness.report.issue.evidence import failures
from harness.report.issue.model import IssueContext, Script, SearchEvidence
from harness.report.issue.render import render
from harness.report.issue.search_evidence import read_search_evidence, with_cell_names
from harness.report.issue.untested import known_newest
from harness.report.model import Group
from harness.report.repro.make import make_repro
from harness.report.write import known_issues
from harness.search.links import repositories
from harness.search.records import BlameQuestion, read_search
from harness.session.private import private_of
from harness.store.records import AttemptRecord, ScenarioInfo
from harness.store.run_folder import RunFolder, folder_name

SHOWN = 12  # failures in a message
# A requirement of the script whose address was redacted: ``"gadget @ <private url>@1a2b…"``.
REDACTED_ADDRESS = re.compile(r'"([\w.-]+)[^"\n]*<private url>')


def select_failure(found: Sequence[Group], wanted: str | None) -> Group:
    """Return the failure that ``wanted`` names: a rule, a whole signature, or a part that only one has.

    Without ``wanted`` the only failure is returned.

    Raises:
        NothingSelectedError: the run has no failure, or none of that name.
        ConfigError: several failures match.
    """
    if not found:
        raise NothingSelectedError("nothing to draft: no scenario of this run failed in the software under test")
    if wanted is None:
        if len(found) > 1:
            raise ConfigError(f"the run has {len(found)} failures; select one with --signature: {_names(found)}")
        return found[0]

    exact = [each for each in found if wanted == each.key or wanted in each.ids]
    part = wanted.casefold()
    matching = exact or [each for each in found if any(part in name.casefold() for name in (each.key, *each.ids))]
    if not matching:
        raise NothingSelectedError(f"no failure of this run matches {wanted!r}; it has: {_names(found)}")
    if len(matching) > 1:
        raise ConfigError(f"--signature {wanted!r} matches {len(matching)} failures: {_names(matching)}")
    return matching[0]


def _names(found: Sequence[Group]) -> str:
    names = [" ".join(each.key.split()) for each in found[:SHOWN]]
    return "; ".join([*names, *([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])])


def write_script(folder: RunFolder, cell: str, scenario: str, cache_dir: CacheDir) -> Script:
    """Return the script for one scenario in one cell, or the reason why there is none."""
    try:
        made = make_repro(folder, cell, scenario, cache_dir)
    except HarnessError as refused:  # a draft does not need a script
        return Script(why_not=str(refused).rstrip("."))
    return Script(made.text, made.notes, cannot_run=redacted_requirements(made.text))


def redacted_requirements(script: str) -> str:
    """Return why a script does not run unchanged: an address among its requirements was redacted; empty if none was."""
    head, _, _ = script.partition("# ]\n# ///")
    names = list(dict.fromkeys(REDACTED_ADDRESS.findall(head)))
    if not names:
        return ""
    removed = ("address", "is") if len(names) == 1 else ("addresses", "are")
    return f"the private {removed[0]} of {' and '.join(names)} {removed[1]} removed; insert one that others can reach"


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
    """Return the draft of one failure of a run, with the answer of ``search``.

    The run of a bisect or blame is its own search.

    Raises:
        NothingSelectedError: the run has no such failure.
        ConfigError: several failures match, the folder or the search cannot be read, or the search has not finished.
    """
    run, journal = folder.read(AttemptRecord)
    report = build_report(run, journal, known_issues(folder))
    own = read_search(folder)
    if own is not None and isinstance(own.question, BlameQuestion):
        report = with_cell_names(report, own.question)
    group = select_failure(failures(report.groups, report.rows), signature)
    if search is None and own is not None and (own.result is not None or isinstance(own.question, BlameQuestion)):
        search = folder
    found = _answer(search, folder, group, repositories(run.matrix.get("repositories", {}))) if search else None
    names = {*NOTABLE, *(name for cell in run.cells for name in cell.pins)}
    newest = known_newest(sorted(names), cache_dir.releases)
    issue = build(Material(run, lookup(run, journal), report, scenarios(folder), newest), group, found)
    script = write_script(folder, issue.environment.cell, issue.symptom.scenario, cache_dir)
    issue = replace(issue, script=script, redacted=redact)
    if redact:
        issue = redact_value(issue, private_of(run, folder.path))
    done = render(issue)
    return Draft(f"issue-{folder_name(group.key)}.md", done.text, issue, done.left_out)


def _answer(search: RunFolder, folder: RunFolder, group: Group, known: Mapping[str, str]) -> SearchEvidence:
    found = read_search(search)
    if found is None:
        raise ConfigError(f"{search.path} is neither a bisect nor a blame")
    return read_search_evidence(search, found, group, known, own=search.path.resolve() == folder.path.resolve())


def scenarios(folder: RunFolder) -> dict[str, ScenarioInfo]:
    """Return scenario id → what the plan read of it, else what a cell collected."""
    collected = [info for event in folder.events("collected") for info in event["scenarios"]]
    found = {info["id"]: ScenarioInfo.model_validate(info) for info in collected}
    return found | {info.id: info for info in folder.read_record().scenarios}
