"""A search among commits alone: its ends are commits, and no release is probed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.git import Commit, Repository
from harness.matrix.schema import Matrix
from harness.reporter import Reporter
from harness.search.commits import commit_pin
from harness.search.descent import CommitResult, Into, read_question, write_question
from harness.search.drive import begun, begun_before, held_cell
from harness.search.into import Descent
from harness.search.prober import Prober, cell_with
from harness.search.question import Question
from harness.search.row import Around, Row
from harness.session.context import Options
from harness.store.journal import Listener
from harness.store.run_folder import RunFolder


@dataclass(frozen=True)
class Among:
    """One search with its run folder; the question's ``releases`` are the whole names of the two commits."""

    question: Question
    base: Cell  # the pins that are held
    prober: Prober
    into: Into
    repository: Repository

    @property
    def folder(self) -> RunFolder:
        """Where it is kept."""
        return self.prober.folder

    def run(self, listener: Listener, echo: Reporter) -> CommitResult:
        """Probe both ends, then narrow along first parents; ``say`` hears one line at a time.

        Raises:
            ConfigError: no commit lies between the two, or they have no common history.
        """
        row = Row(
            question=self.question,
            base=self.base,
            prober=self.prober,
            repository=self.repository,
            around=Around(older=self.question.releases[0], newer=self.question.releases[-1]),
            bound=self.question.limit,
            listener=listener,
            echo=echo,
        )
        return Descent(row, all_parents=self.into.all_parents).run()


def start(  # what is asked, where the commits lie, and what is held
    question: Question,
    into: Into,
    repository: Repository,
    matrix: Matrix,
    cache_dir: CacheDir,
    reports: Path,
    *,
    options: Options | None = None,
    base: Cell | None = None,
) -> Among:
    """Begin a search; where no ``base`` is given its pins are those of the matrix's reference cell, else of its first.

    Raises:
        ConfigError: the matrix or the scenario is wrong, or a bound is to be measured at the good end.
    """
    if question.factor is not None:
        raise ConfigError(f"among commits a bound is a size, and {question.factor:g} is a factor: give --above 6GiB")
    ground = base or held_cell(matrix, cache_dir)
    source = repository.address, repository.subfolder
    cells = [cell_with(ground, commit_pin(question.package, source[0], sha, source[1])) for sha in question.releases]
    prober = begun(question, matrix, cells, cache_dir, reports, options)
    write_question(into, prober.folder)
    record = prober.folder.read_record()
    prober.folder.write_record(record.model_copy(update={"command": (*record.command, *into.words())}))
    return Among(question, ground, prober, into, repository)


def take_up(folder: RunFolder, repository: Repository, cache_dir: CacheDir) -> Among:
    """Return the search of a run folder, to go on with.

    Raises:
        ConfigError: the run is no search among commits, or its scenario is not what it was.
    """
    into = read_question(folder)
    if into is None or not into.commits:
        raise ConfigError(f"{folder.path} is no search among commits")
    question, prober = begun_before(folder, cache_dir)
    return Among(question, prober.plan.cells[0].cell, prober, into, repository)


def ends(repository: Repository, older: str, newer: str) -> tuple[Commit, Commit]:
    """Return the two commits that names mean; a copy of a remote repository that lacks one is brought up to date once.

    Raises:
        ConfigError: the repository has no such commit.
        InfrastructureError: it does not answer.
    """
    try:
        return repository.commit(older), repository.commit(newer)
    except ConfigError:
        if not repository.remote:
            raise
        repository.fetch()
        return repository.commit(older), repository.commit(newer)
