"""Begin the search that a new regression asks for, or take up the one that an interrupted night began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.envs.places import Places
from harness.matrix.cell import Cell
from harness.matrix.places import short
from harness.nightly.cause import Suspect
from harness.search import among, blame_start, drive
from harness.search.among import Among
from harness.search.blame import Blame
from harness.search.blamed import BlameQuestion
from harness.search.commits import Built
from harness.search.descent import Into
from harness.search.history import Repository, open_repository
from harness.search.listing import released
from harness.search.narrowing import Bisect, Say
from harness.search.question import Question
from harness.search.releases import between
from harness.search.sides import Asked
from harness.session.context import Options
from harness.session.plan import Plan
from harness.store.folder import find

Begun = Callable[[str, str], None]  # a suspect's key, the name of its search's run folder: kept, to go on with


@dataclass(frozen=True)
class Ground:
    """What the searches of one night stand on; ``earlier`` has those that an interrupted night began, by suspect."""

    plan: Plan
    places: Places
    reports: Path
    night: str
    options: Options
    say: Say
    begun: Begun = lambda _key, _run: None
    earlier: Mapping[str, str] = field(default_factory=dict)

    def bisect(self, suspect: Suspect) -> Bisect:
        """Return the search over the releases of one package, everything else as in tonight's cell.

        Raises:
            HarnessError: what stands in the way of it.
        """
        earlier = self.earlier.get(suspect.key)
        if earlier is not None:
            return drive.take_up(find(earlier, self.reports), self.places)
        listing = released(suspect.package, self.places)
        found = between(suspect.package, listing.releases[suspect.package], *suspect.versions)
        for note in (*listing.warnings, *found.notes):
            self.say(f"note: {note}")
        asked = self._question(suspect, found.releases)
        search = drive.start(asked, self.plan.matrix, self.places, self.reports, base=self._cell(suspect))
        self.begun(suspect.key, search.folder.path.name)
        return search

    def among(self, suspect: Suspect, commits: tuple[Built, Built]) -> Among:
        """Return the search over the commits of one package, everything else as in tonight's cell.

        Raises:
            HarnessError: what stands in the way of it.
        """
        into, repository = self._repository(commits[1])
        earlier = self.earlier.get(suspect.key)
        if earlier is not None:
            return among.take_up(find(earlier, self.reports), repository, self.places)
        older, newer = among.ends(repository, *(one.commit for one in commits))
        asked = self._question(suspect, (older.sha, newer.sha))
        base = self._cell(suspect)
        search = among.start(asked, into, repository, self.plan.matrix, self.places, self.reports, base=base)
        self.begun(suspect.key, search.folder.path.name)
        return search

    def blame(self, suspect: Suspect, say: Say) -> Blame:
        """Return the search for which of several changes it was, from the cell that was green to tonight's.

        Raises:
            HarnessError: what stands in the way of it.
        """
        key = f"{suspect.key} blame"
        earlier = self.earlier.get(key)
        if earlier is not None:
            return blame_start.take_up(find(earlier, self.reports), self.places, say)
        asked, claim = Asked(self.plan.matrix, self.places, self.reports), suspect.claim
        ends = (f"{claim.was}:{claim.was_cell}", f"{self.night}:{claim.cell}")
        compared = blame_start.compare(asked, *ends)
        question = BlameQuestion(
            good=ends[0],
            bad=ends[1],
            scenario=self._scenario(suspect),
            matrix=short(self.plan.matrix.path),
            shared=compared.shared,
            changes=compared.changes,
            timeout=self.options.timeout,
            busy_bytes=self.options.busy_bytes,
            **_criterion(suspect),
        )
        search = blame_start.start(question, asked, say)
        self.begun(key, search.prober.folder.path.name)
        return search

    def _question(self, suspect: Suspect, releases: tuple[str, ...]) -> Question:
        return Question(
            package=suspect.package,
            releases=releases,
            scenario=self._scenario(suspect),
            matrix=short(self.plan.matrix.path),
            timeout=self.options.timeout,
            busy_bytes=self.options.busy_bytes,
            **_criterion(suspect),
        )

    def _repository(self, built: Built) -> tuple[Into, Repository]:
        inside = f"#subdirectory={built.subfolder}" if built.subfolder else ""
        text = f"git:{built.address}{inside}"
        return Into(repository=text, commits=True), open_repository(text, self.places.repositories)

    def _cell(self, suspect: Suspect) -> Cell:
        return next(one.cell for one in self.plan.cells if one.cell.id == suspect.claim.cell)

    def _scenario(self, suspect: Suspect) -> str:
        """Return ``FILE::TEST[PARAMETER]``: what other parameters answer is no part of the question."""
        stem, _, test = suspect.claim.scenario.partition("::")
        path = next(file.path for file in self.plan.files if file.path.stem == stem)
        return f"{short(path)}::{test}" if test else short(path)


def _criterion(suspect: Suspect) -> dict[str, str | int | None]:
    """Say what is bad: tonight's failure, or more memory than halfway (in factors) from before to now."""
    claim = suspect.claim
    if claim.bounds is not None:
        return {"metric": claim.figure, "limit": int((claim.bounds[0] * claim.bounds[1]) ** 0.5)}
    return {"signature": claim.signature or None}
