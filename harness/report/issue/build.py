"""From the records of a run to everything that a draft says about one of its failures. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.report.cell_details import frame_text
from harness.report.issue import environment, wording
from harness.report.issue.environment import Newest, untried
from harness.report.issue.evidence import Picked, evidence, installed, pick, shows, telling
from harness.report.issue.model import Evidence, IssueContext, Script, Searched, Target, Tracker
from harness.report.issue.repository import frame_of, repositories, target
from harness.report.model import Group, ReportContext, Row
from harness.store.records import AttemptRecord, Frame, RunRecord, ScenarioInfo
from harness.verdict.known_issues import State

FRAMES = 10
NO_BUG = "not a bug"  # how a rule's summary says that upstream meant it so
MEANT = (
    "A change of interface that was made on purpose, and not a bug: change the call, and post only where the migration"
    " guide or the error message does not say how"
)


@dataclass(frozen=True)
class Material:
    """What a draft is made from: one run as recorded, and as its report shows it.

    ``infos`` are the scenarios as collected: the plan knows only what it read from the files. ``newest`` is what is
    known of the package index.
    """

    run: RunRecord
    attempts: Sequence[AttemptRecord]
    report: ReportContext
    infos: Mapping[str, ScenarioInfo]
    newest: Mapping[str, Newest] = field(default_factory=dict)


def build(material: Material, group: Group, searched: Searched | None = None) -> IssueContext:
    """Return the draft about one failure; ``group`` is one of :func:`failures`."""
    run, report, infos = material.run, material.report, material.infos
    picked = pick(run, report, group.key, searched.pair if searched else ("", ""))
    picked = replace(picked, row=_described(picked.row, infos))
    row, cell = picked.row, picked.cell
    attempt = telling(material.attempts, row.scenario, cell.id)
    signature = picked.red.signature.id if picked.red.signature else group.ids[0]
    names = {column.id: column.name for column in report.columns}
    failing = [_described(each, infos) for each in report.rows if any(shows(box, group.key) for box in each.boxes)]
    rows = sorted(failing, key=lambda each: each.scenario != row.scenario)
    counts = evidence(rows, group.key, names)
    frames = attempt.failure.frames if attempt and attempt.failure else ()
    trackers = known_trackers(rows, group)
    first = [cell.id, *([picked.green.cell] if picked.green else [])]
    columns, lines = environment.small_matrix(report, rows, first)
    return IssueContext(
        gone=wording.gone(picked.contrast) or (searched.gone if searched else ""),
        meant=MEANT if _is_meant(group) else "",
        title=wording.title(
            headline(group, signature), picked.contrast, searched, names[cell.id], meant=_is_meant(group)
        ),
        key=group.key,
        signature=signature,
        target=_target(material, signature, picked, frames, trackers, searched),
        labels=_labels(group, picked, searched, flaky=any(each.flaky for each in counts)),
        trackers=trackers,
        scenario=row.scenario,
        scenario_title=row.title,
        cell=cell.id,
        cell_name=names[cell.id],
        summary=summary(signature, counts, picked, searched),
        system=environment.system(run, cell, picked.red),
        contrast=picked.contrast,
        evidence=counts,
        searched=searched,
        frames=last_frames(frames),
        expected=row.title,
        actual=wording.without_name(picked.red.detail or picked.red.outcome)[1],
        checks=tuple(each for each in picked.red.checks if not each.held),
        memory=environment.memory(picked, attempt),
        axes=report.axes,
        columns=columns,
        matrix=lines,
        green_here=environment.green_here(report, row.scenario, cell.id, infos),
        not_tried=(
            *untried(environment.tried(run, picked, searched), material.newest),
            *environment.not_tried(run, picked, infos),
        ),
        lock=tuple(sorted(installed(cell).items())),
        script=Script(),
        command=report.command,
        harness_version=report.harness_version,
    )


def _target(  # what is known of the failure, and what a search adds
    material: Material,
    signature: str,
    picked: Picked,
    frames: Sequence[Frame],
    trackers: Sequence[Tracker],
    searched: Searched | None,
) -> Target:
    changed = picked.contrast.packages if picked.contrast else ()
    return target(
        signature,
        repositories(material.run.matrix.get("repositories", {})),
        trackers=[(each.tracker, "signature" if each.same else "scenario") for each in trackers],
        frames=[each.package for each in reversed(frames) if each.package],
        changed=[each.name for each in changed],
        pinned=[each.name for each in changed if each.pinned],
        searched=searched.package if searched and searched.culprit else "",
    )


def headline(group: Group, signature: str) -> str:
    """Say what happens in one line: in the words of the rule where one knows it, else the failure and its place."""
    if group.rule:
        return group.summary
    place, what = frame_of(signature), wording.failure_words(signature)
    expected, what = wording.without_name(what)
    what = f"Does not hold: {what}" if expected else what
    return f"{what} in {place}" if "/" in place else what


def summary(signature: str, counts: Sequence[Evidence], picked: Picked, searched: Searched | None) -> tuple[str, ...]:
    """Return three to six sentences: what fails, where, the contrast, the bisect, on what it ran."""
    row, place = picked.row, frame_of(signature)
    expected, what = wording.without_name(picked.red.detail or wording.failure_words(signature))
    fails = "fails; this does not hold:" if expected else "fails with"
    where = f", raised in {place}" if "/" in place else ""
    about = f" ({row.title.rstrip('.')})" if row.title else ""
    said = [f"The test {row.scenario}{about} {fails} {what.rstrip('.')}{where}."]
    said.append(wording.seen(counts[0]))
    if len(counts) > 1:
        said[-1] += f" The same failure shows in {wording.counted(len(counts) - 1, 'other test')} of this run."
    settled = bool(searched and searched.settled)
    said.append(wording.contrasted(picked.contrast, counts[0], settled=settled, searched=searched is not None))
    if searched:
        said.append(searched.sentence)
    said.append(wording.ran(picked.red.ran_on, picked.red.simulated))
    return tuple(each for each in said if each)


def last_frames(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Return the last frames inside packages, outermost first, and before them the line of the test that led there."""
    inside = [each for each in frames if each.package is not None]
    tests = [each for each in frames if each.package is None and each.function.startswith("test")]
    return (*map(frame_text, tests[:1]), *_repeated(map(frame_text, inside))[-FRAMES:])


def _repeated(lines: Iterable[str]) -> list[str]:
    """Write neighbours that are the same once, with their number: a recursion has one frame to show."""
    counts = [(line, len(list(same))) for line, same in itertools.groupby(lines)]
    return [line if count == 1 else f"{line} (× {count})" for line, count in counts]


def known_trackers(rows: Sequence[Row], group: Group) -> tuple[Tracker, ...]:
    """Return the issues that this may be: the rule's, those of known issues that it is, those of its tests."""
    found: dict[str, Tracker] = {}
    boxes = [box for row in rows for box in row.boxes if shows(box, group.key)]
    for box in boxes:
        if box.signature and box.signature.tracker:
            name = box.signature.tracker
            found.setdefault(name, Tracker(name, f"the failure {group.key} is known under it", same=True))
    for box in boxes:
        if box.known and box.known.state is State.KNOWN:
            entry = box.known.entry
            why = f"a known issue with {entry.versions}{': ' if entry.note else ''}{entry.note}"
            found.setdefault(entry.tracker, Tracker(entry.tracker, why, same=True))
    for row in rows:
        if row.tracker:
            why = f"the test {row.scenario} was written for it"
            found.setdefault(row.tracker, Tracker(row.tracker, why, same=False))
    return tuple(found.values())


def _described(row: Row, infos: Mapping[str, ScenarioInfo]) -> Row:
    """Fill in what the plan did not know of a scenario that a keyword selected."""
    info = infos.get(row.scenario) or infos.get(row.scenario.split("[", 1)[0])
    return replace(row, title=row.title or info.title, tracker=row.tracker or info.tracker) if info else row


def _labels(group: Group, picked: Picked, searched: Searched | None, *, flaky: bool) -> tuple[str, ...]:
    if _is_meant(group):
        return ()
    by_search = bool(searched and (searched.culprit or searched.regression))
    by_contrast = wording.regression(picked.contrast) is not None and not (searched and searched.settled)
    regressed = by_search or by_contrast
    return ("bug", *(("regression",) if regressed else ()), *(("flaky",) if flaky else ()))


def _is_meant(group: Group) -> bool:
    """Tell whether the rule that knows the failure says that upstream meant it so."""
    return bool(group.rule) and NO_BUG in group.summary
