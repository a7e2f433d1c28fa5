"""Build the draft of one failure from the records of a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.report.cell_details import decisive, frame_text
from harness.report.context import Lookup
from harness.report.issue import environment, wording
from harness.report.issue.comparison import Example, select_example
from harness.report.issue.evidence import count_cells, passing_nearby, row_shows, shows, small_matrix
from harness.report.issue.model import (
    Environment,
    Evidence,
    IssueContext,
    Posting,
    ScenarioCounts,
    SearchEvidence,
    Symptom,
    Target,
    Tracker,
)
from harness.report.issue.repository import frame_of, target
from harness.report.issue.untested import Newest, newer_releases, other_conditions, versions_tried
from harness.report.model import Group, ReportContext, Row
from harness.reporter import counted
from harness.search.links import repositories
from harness.store.records import Frame, RunRecord, ScenarioInfo, function_of
from harness.verdict.known_issues import State

FRAMES = 10
NO_BUG = "not a bug"  # part of the summary of a rule for an intended change
INTENDED = (
    "An intended change of the interface, not a bug: change the call, and post only if neither the migration guide nor"
    " the error message says how"
)


@dataclass(frozen=True)
class Material:
    """What a draft is built from: a run as recorded, and as its report shows it.

    ``infos`` are the scenarios as collected: the plan knows only what it read from the files. ``newest`` is what is
    known of the package index.
    """

    run: RunRecord
    results: Lookup
    report: ReportContext
    infos: Mapping[str, ScenarioInfo]
    newest: Mapping[str, Newest] = field(default_factory=dict)


def build(material: Material, group: Group, searched: SearchEvidence | None = None) -> IssueContext:
    """Return the draft of one of the failures that :func:`harness.report.issue.evidence.failures` returns."""
    run, report, infos = material.run, material.report, material.infos
    example = select_example(run, report, group.key, searched.blame.pair if searched and searched.blame else None)
    example = replace(example, row=_described(example.row, infos))
    scenario, cell = example.row.scenario, example.cell
    attempt = decisive(material.results[scenario, cell.id])
    frames = attempt.failure.frames if attempt and attempt.failure else ()
    names = {column.id: column.name for column in report.columns}
    failing = [_described(row, infos) for row in report.rows if row_shows(row, group.key)]
    rows = sorted(failing, key=lambda row: row.scenario != scenario)
    counts = count_cells(rows, group.key, names)
    symptom = _symptom(group, example, frames)
    compared = [cell.id, *([example.passing.cell] if example.passing else [])]
    passing_figures = example.passing.figures if example.passing else ()
    trackers = known_trackers(rows, group)
    return IssueContext(
        posting=Posting(
            title=wording.title(
                headline(group, symptom.signature),
                example.comparison,
                searched,
                names[cell.id],
                intended=_is_intended(group),
            ),
            target=_target(run, symptom.signature, example, frames, trackers, searched),
            labels=_labels(group, example, searched, flaky=any(each.flaky for each in counts)),
            trackers=trackers,
            fixed=wording.fixed_note(example.comparison)
            or (searched.blame.fixed if searched and searched.blame else ""),
            intended=INTENDED if _is_intended(group) else "",
        ),
        summary=summary(symptom, counts, example, searched),
        symptom=symptom,
        environment=Environment(
            cell=cell.id,
            system=environment.system(run, cell, example.failing),
            memory=environment.memory(example.failing.figures, passing_figures, attempt) if attempt else (),
            lock=tuple(sorted(environment.installed(cell).items())),
        ),
        evidence=Evidence(
            comparison=example.comparison,
            counts=counts,
            matrix=small_matrix(report, rows, compared),
            passing_nearby=passing_nearby(report, scenario, cell.id, infos),
            not_tried=(
                *newer_releases(versions_tried(run, example, searched), material.newest),
                *other_conditions(run, example, infos),
            ),
        ),
        search=searched,
        command=report.command,
        harness_version=report.harness_version,
    )


def _described(row: Row, infos: Mapping[str, ScenarioInfo]) -> Row:
    """Add the title and tracker that only the collection of a scenario knows."""
    info = infos.get(row.scenario) or infos.get(function_of(row.scenario))
    return replace(row, title=row.title or info.title, tracker=row.tracker or info.tracker) if info else row


def _symptom(group: Group, example: Example, frames: Sequence[Frame]) -> Symptom:
    failing = example.failing
    return Symptom(
        scenario=example.row.scenario,
        title=example.row.title,
        key=group.key,
        signature=failing.signature.id if failing.signature else group.ids[0],
        actual=wording.split_expectation(failing.detail or failing.outcome)[1],
        checks=tuple(each for each in failing.checks if not each.held),
        frames=last_frames(frames),
    )


def last_frames(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Return the last frames inside packages, outermost first, after the line of the test that led there."""
    inside = [frame_text(each) for each in frames if each.package is not None]
    tests = [frame_text(each) for each in frames if each.package is None and each.function.startswith("test")]
    return (*tests[:1], *_without_repeats(inside)[-FRAMES:])


def _without_repeats(lines: Iterable[str]) -> list[str]:
    """Write equal neighbours once, with their number: a recursion has one frame to show."""
    counts = [(line, len(list(same))) for line, same in itertools.groupby(lines)]
    return [line if count == 1 else f"{line} (× {count})" for line, count in counts]


def known_trackers(rows: Sequence[Row], group: Group) -> tuple[Tracker, ...]:
    """Return the issues that may be the same: of the rule, of matching known issues, of the scenarios."""
    found: dict[str, Tracker] = {}
    results = [result for row in rows for result in row.table_cells if shows(result, group.key)]
    for result in results:
        if result.signature and result.signature.tracker:
            name = result.signature.tracker
            found.setdefault(name, Tracker(name, f"it tracks the failure {group.key}", same=True))

    for result in results:
        if result.known and result.known.state is State.KNOWN:
            entry = result.known.entry
            reason = f"a known issue with {entry.versions}{': ' if entry.note else ''}{entry.note}"
            found.setdefault(entry.tracker, Tracker(entry.tracker, reason, same=True))

    for row in rows:
        if row.tracker:
            reason = f"the test {row.scenario} was written for it"
            found.setdefault(row.tracker, Tracker(row.tracker, reason, same=False))

    return tuple(found.values())


def _target(  # what is known of the failure, and what a search adds
    run: RunRecord,
    signature: str,
    example: Example,
    frames: Sequence[Frame],
    trackers: Sequence[Tracker],
    searched: SearchEvidence | None,
) -> Target:
    changed = example.comparison.packages if example.comparison else ()
    return target(
        signature,
        repositories(run.matrix.get("repositories", {})),
        trackers=[(each.name, "signature" if each.same else "scenario") for each in trackers],
        frames=[each.package for each in reversed(frames) if each.package],
        changed=[each.name for each in changed],
        pinned=[each.name for each in changed if each.pinned],
        searched=searched.package if searched and searched.culprit else "",
    )


def _labels(group: Group, example: Example, searched: SearchEvidence | None, *, flaky: bool) -> tuple[str, ...]:
    if _is_intended(group):
        return ()
    by_search = bool(searched and (searched.culprit or (searched.blame and searched.blame.regression)))
    by_comparison = wording.regression(example.comparison) is not None and not (searched and searched.settled)
    regressed = by_search or by_comparison
    return ("bug", *(("regression",) if regressed else ()), *(("flaky",) if flaky else ()))


def _is_intended(group: Group) -> bool:
    """Tell whether the rule of the failure says that upstream changed it on purpose."""
    return bool(group.rule) and NO_BUG in group.summary


def headline(group: Group, signature: str) -> str:
    """Return what happens in one line: the rule's summary, else the failure and where it was raised."""
    if group.rule:
        return group.summary
    frame = frame_of(signature)
    is_expectation, text = wording.split_expectation(wording.without_frame(signature))
    text = f"Does not hold: {text}" if is_expectation else text
    return f"{text} in {frame}" if "/" in frame else text


def summary(
    symptom: Symptom, counts: Sequence[ScenarioCounts], example: Example, searched: SearchEvidence | None
) -> tuple[str, ...]:
    """Return up to six sentences: the failure, its cells, the closest pair, the search, on what it ran."""
    failing, frame = example.failing, frame_of(symptom.signature)
    is_expectation, text = wording.split_expectation(failing.detail or wording.without_frame(symptom.signature))
    verb = "fails; this does not hold:" if is_expectation else "fails with"
    where = f", raised in {frame}" if "/" in frame else ""
    title = f" ({symptom.title.rstrip('.')})" if symptom.title else ""
    cells = wording.counts_sentence(counts[0])
    if len(counts) > 1:
        cells += f" The same failure shows in {counted(len(counts) - 1, 'other test')} of this run."
    sentences = (
        f"The test {symptom.scenario}{title} {verb} {text.rstrip('.')}{where}.",
        cells,
        wording.comparison_sentence(
            example.comparison,
            counts[0],
            settled=bool(searched and searched.settled),
            searched=searched is not None,
        ),
        searched.sentence if searched else "",
        wording.ran_on_sentence(failing.ran_on, failing.simulated),
    )
    return tuple(each for each in sentences if each)
