"""Tonight and what stands after it, held against the baseline: what is worse there, and what was accepted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.nightly.claim import Claim, Kind, alike, changed_packages
from harness.nightly.ledger import Ledger, Seen
from harness.nightly.look import Look, Place, Word
from harness.nightly.looks import look_of_box
from harness.nightly.memory import beyond
from harness.nightly.record import LEDGER, read
from harness.session.comparison_input import BASELINE, open_sides
from harness.store.baseline import Acceptance, current
from harness.store.run_folder import RunFolder
from harness.verdict.acceptance import acceptable, with_accepted
from harness.verdict.box import Box, Entry
from harness.verdict.box import Kind as Difference
from harness.verdict.comparison import compare_sides
from harness.verdict.figures import human_bytes
from harness.verdict.known_issues import KnownIssue
from harness.verdict.shifts import Shift


@dataclass(frozen=True)
class BaselineComparison:
    """The baseline's looks (None: none is set), what was accepted, and the differences of a run in words.

    ``note`` says why there are no looks though a baseline is set.

    ``epoch`` is since when the machine measured as it did in the baseline; empty where nobody knows, as of a run that
    was no night.
    """

    run: str = ""
    looks: Mapping[Place, Look] | None = None
    epoch: str = ""
    accepted: Sequence[Acceptance] = ()
    said: tuple[str, ...] = ()
    note: str = ""

    def measured(self, epoch: str) -> Mapping[Place, Look]:
        """Return the baseline's looks, without their figures where the machine moved since."""
        looks = self.looks or {}
        if self.epoch in {"", epoch}:
            return looks
        return {place: replace(look, figures={}) for place, look in looks.items()}


def accepted_answers(held: BaselineComparison, looks: Mapping[Place, Look]) -> dict[Place, str]:
    """Return place → why its answer was accepted, of every place of which somebody accepted all that differs."""
    told = {place: [one for one in mine if acceptable(one)] for place, mine in _differences(held, looks).items()}
    return {place: mine[0].accepted for place, mine in told.items() if mine and all(one.accepted for one in mine)}


def accepted_memory(held: BaselineComparison, base: Look, now: Look) -> str:
    """Return why the memory that a place takes more than in the baseline was accepted; empty where it was not."""
    shifts = beyond(base, now)
    grown = tuple(one for one in shifts if one.up)
    entry = Entry(Difference.MEMORY_UP, *now.place, _box(base), _box(now), "", shifts=grown)
    return with_accepted([entry], held.accepted)[0].accepted if grown else ""


def worse(
    held: BaselineComparison, standing: Mapping[Place, Seen], epoch: str, said: Mapping[Place, str]
) -> list[Claim]:
    """Return what stands and is worse than the baseline, unless it was accepted: quiet claims, one a place.

    ================================= ============================================
    in the baseline      what stands  claim
    ================================= ============================================
    green or flaky       red          still differs from the baseline
    red in another way   red          fails otherwise than the baseline
    green                green, more  still differs from the baseline
                         memory
    anything else                     –
    ================================= ============================================

    What stands is what the nights have confirmed, carried answers too; ``said`` is what its failures said tonight.
    Memory is compared where the machine did not move since the baseline.
    """
    bases, found = held.measured(epoch), dict[Place, Claim]()
    differences = _differences(held, {place: one.look for place, one in standing.items()})
    for place, seen in standing.items():
        if seen.word is Word.RED:
            open_ = [one for one in differences.get(place, ()) if not one.accepted and one.before is not None]
            told = [(kind, base) for one in open_ if (base := _base(bases, one)) and (kind := _kind(base, seen.look))]
            if told:
                kind, base = min(told, key=lambda one: one[0] is not Kind.DIFFERS)
                found[place] = _claim(held, seen, base, kind, said.get(place, ""))
        elif seen.word is Word.GREEN and place in bases and not accepted_memory(held, bases[place], seen.look):
            grown = [one for one in beyond(bases[place], seen.look) if one.up]
            if grown:
                most = max(grown, key=lambda one: one.after.median - one.before.median)
                found[place] = _claim(held, seen, bases[place], Kind.DIFFERS, shift=most)
    return list(found.values())


def _base(bases: Mapping[Place, Look], entry: Entry) -> Look | None:
    return bases.get((entry.before.line, entry.before.scenario)) if entry.before else None


def _kind(base: Look, now: Look) -> Kind | None:
    if base.word in {Word.GREEN, Word.FLAKY}:
        return Kind.DIFFERS
    return Kind.OTHERWISE if base.word is Word.RED and not alike(base, now) else None


def _claim(
    held: BaselineComparison, seen: Seen, base: Look, kind: Kind, said: str = "", shift: Shift | None = None
) -> Claim:
    said = said or (seen.signatures[0] if seen.signatures else str(seen.look.result))
    detail = f"{' '.join(said.split())}; the baseline {held.run} is {base.word}"
    if shift is not None:
        detail = f"{shift.name} {human_bytes(shift.before.median)} in {held.run}, {human_bytes(shift.after.median)} now"
    return Claim(
        kind=kind,
        line=seen.line,
        scenario=seen.scenario,
        cell=seen.cell,
        detail=detail,
        fresh=False,
        since=seen.since if shift is None else seen.level,
        was=held.run,
        was_cell=base.cell,
        changed=changed_packages(base.exact, seen.look.exact) if base.exact and seen.look.exact else {},
        signature=seen.signatures[0] if seen.signatures else "",
        figure=shift.name if shift else "",
        bounds=(shift.before.median, shift.after.median) if shift else None,
    )


def _differences(held: BaselineComparison, looks: Mapping[Place, Look]) -> dict[Place, list[Entry]]:
    """Return how the answers of some places differ from the baseline's; a cell that failed has an entry a scenario."""
    before, after = (
        {place: replace(_box(look), figures={}) for place, look in side.items()} for side in (held.looks or {}, looks)
    )
    found: dict[Place, list[Entry]] = {}
    for entry in with_accepted(compare_sides(before, after), held.accepted):
        if entry.after is not None:
            found.setdefault((entry.after.line, entry.after.scenario), []).append(entry)
    return found


def _box(look: Look) -> Box:
    return Box(
        line=look.line,
        scenario=look.scenario,
        cell=look.cell,
        outcomes=look.result,
        signatures=look.signatures,
        figures=look.spreads(),
        versions=look.versions,
        gpu=look.gpu,
    )


UNSAID = {Difference.DISAPPEARED, Difference.MISSING}  # the night's own claims say what is gone or missing


def load_baseline(folder: RunFolder, reports: Path, matrix: str, issues: Sequence[KnownIssue]) -> BaselineComparison:
    """Compare a run with the baseline of its matrix, by the rules of ``harness compare``.

    What either of them carried stands as the night shows it that ran it.

    Raises:
        ConfigError: the file of the baselines cannot be read.
    """
    baseline = current(reports, matrix)
    if baseline is None:
        return BaselineComparison()
    try:
        old, new, accepted = open_sides(BASELINE, str(folder.path), reports)
        ledger = read(old.folder.path / LEDGER, Ledger)
    except HarnessError as error:
        return BaselineComparison(run=baseline.run, note=f"the baseline {baseline.run} cannot be read: {error}")
    entries = with_accepted(compare_sides(old.boxes, new.boxes, issues), accepted)
    told = [entry for entry in entries if entry.kind not in UNSAID]
    return BaselineComparison(
        run=baseline.run,
        looks={place: look_of_box(box) for place, box in old.boxes.items() if not box.outcomes.missing},
        epoch=ledger.epoch if ledger else "",
        accepted=accepted,
        said=tuple(map(_said, told)),
    )


def _said(entry: Entry) -> str:
    accepted = f" (accepted: {entry.accepted})" if entry.accepted else ""
    return f"{entry.kind}: {entry.line} · {entry.scenario}: {entry.detail}{accepted}"
