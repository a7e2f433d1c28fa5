"""Finish a night: run it, search what is new, draft, and write it down; or judge a run that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from harness.envs.places import Places
from harness.errors import HarnessError
from harness.matrix.model import Matrix
from harness.matrix.plan import plan_cells
from harness.nightly.asking import Ground
from harness.nightly.budget import Budget
from harness.nightly.cause import suspects
from harness.nightly.claim import Claim
from harness.nightly.close import Closing, claims_of, close
from harness.nightly.drafts import write_drafts
from harness.nightly.drive import Nightly, Say
from harness.nightly.judged import judge_run
from harness.nightly.opening import read_ledger
from harness.nightly.record import Ended, Searched, last_night
from harness.nightly.search import Searcher, not_searched
from harness.session.context import Options
from harness.session.machine import describe_host
from harness.session.resume import plan_again
from harness.store.folder import RunFolder
from harness.store.journal import Listener
from harness.store.records import RunRecord


@dataclass(frozen=True)
class Finish:
    """How nights are finished; ``budget`` is the seconds for searches."""

    reports: Path
    places: Places
    say: Say
    budget: float
    strict: bool = False

    def night(self, night: Nightly, how: Options, listener: Listener) -> Ended:
        """Run a night and finish it.

        Raises:
            Interrupted: the user stopped it.
            OSError: the disk does not take it; the night then counts as torn.
        """
        now = night.run()
        claimed, fresh = claims_of(now)
        ground = Ground(
            plan=night.plan,
            places=self.places,
            reports=self.reports,
            night=night.folder.path.name,
            options=how,
            say=self.say,
            begun=lambda key, run: night.keep(searches={**night.begun.searches, key: run}),
            earlier=night.begun.searches,
        )
        found = suspects(fresh, night.plan.matrix.packages)
        searches = Searcher(ground, listener).all(found, Budget(self.budget))
        drafts, undrafted = write_drafts(night.folder, fresh, searches, self.places, self.reports)
        about = Closing(
            reports=self.reports,
            previous=night.begun.previous,
            strict=self.strict,
            why=dict(night.choice.why),
            searches=searches,
            drafts=drafts,
            notes=(*([night.stages.trouble] if night.stages.trouble else []), *undrafted),
        )
        return close(night.folder, now, claimed, about)

    def judged(self, folder: RunFolder, today: date, how: Options, listener: Listener) -> Ended:
        """Judge a run as one night of its matrix; nothing is run but, within the budget, its searches.

        Raises:
            ConfigError: it is no run, or the last night cannot be read.
            Interrupted: the user stopped a search.
        """
        record = folder.read_record()
        previous = last_night(self.reports, record.name, [gpu.name for gpu in record.host.gpus], but=folder)
        name = previous.night if previous else ""
        lines, notes = self._lines(record)
        judged = judge_run(folder, self.reports, read_ledger(self.reports, name), today, lines)
        claimed, fresh = claims_of(judged.situation)
        searches = self._search_here(folder, fresh, how, listener)
        drafts, undrafted = write_drafts(folder, fresh, searches, self.places, self.reports)
        about = Closing(
            reports=self.reports,
            previous=name,
            strict=self.strict,
            searches=searches,
            drafts=drafts,
            notes=(*notes, *judged.notes, *undrafted),
        )
        return close(folder, judged.situation, claimed, about)

    def _search_here(
        self, folder: RunFolder, fresh: Sequence[Claim], how: Options, listener: Listener
    ) -> tuple[Searched, ...]:
        """Search what a judged run claims, on this machine; nothing where it lacks the run's cards or scenarios."""
        if not fresh or not self.budget:
            return ()
        record = folder.read_record()
        found = suspects(fresh, _matrix_of(record).packages)
        lacking = {gpu.name for gpu in record.host.gpus} - {gpu.name for gpu in describe_host().gpus}
        if lacking:
            why_not = f"this machine has no {' and no '.join(sorted(lacking))}"
            return tuple(not_searched(one, why_not) for one in found)
        try:
            plan = plan_again(folder, self.places)
        except HarnessError as error:  # the parts may come from a machine that has what this one lacks
            return tuple(not_searched(one, str(error)) for one in found)
        ground = Ground(plan, self.places, self.reports, folder.path.name, how, self.say)
        return Searcher(ground, listener).all(found, Budget(self.budget))

    def _lines(self, record: RunRecord) -> tuple[list[str], tuple[str, ...]]:
        """Return the cell-lines that a run's matrix has, as of its day: a release that came since was not expected."""
        try:
            cells = plan_cells(_matrix_of(record), cache=self.places.releases).cells
        except HarnessError as error:
            return [], (f"the matrix could not be expanded, so only what the last night had is expected: {error}",)
        return [cell.line() or record.name for cell in cells], ()


def _matrix_of(record: RunRecord) -> Matrix:
    """Return the matrix of a run, as of the run's day where it names no other."""
    raw = {"as_of": record.started.date(), **record.matrix}
    return Matrix.model_validate({**raw, "raw": raw, "path": Path(record.matrix_file)})
