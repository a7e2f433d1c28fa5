"""Begin a bisect, or take one up again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.cell import Cell
from harness.matrix.plan import plan_cells
from harness.matrix.schema import Matrix
from harness.search import question as questions
from harness.search.bisection import Search, Strides
from harness.search.narrowing import Bisect
from harness.search.prober import Prober, cell_at, locked
from harness.search.question import Question
from harness.session.begin import begin
from harness.session.context import Options
from harness.session.plan import Plan, read_scenarios
from harness.session.resume import plan_again
from harness.store.records import RunKind
from harness.store.run_folder import RunFolder


def start(
    question: Question,
    matrix: Matrix,
    cache_dir: CacheDir,
    reports: Path,
    options: Options | None = None,
    base: Cell | None = None,
) -> Bisect:
    """Begin a bisect; where no ``base`` is given its pins are those of the matrix's reference cell, else of its first.

    Raises:
        ConfigError: the matrix or the scenario is wrong, or there is nothing to probe.
    """
    ground = base or held_cell(matrix, cache_dir)
    cells = [cell_at(ground, question.package, release) for release in first_probes(question)]
    return Bisect(question, ground, begun(question, matrix, cells, cache_dir, reports, options))


def begun(
    question: Question,
    matrix: Matrix,
    cells: Sequence[Cell],
    cache_dir: CacheDir,
    reports: Path,
    options: Options | None,
) -> Prober:
    """Make the run folder of a search with its question and the cells that are probed first.

    Raises:
        ConfigError: the matrix or the scenario is wrong.
    """
    files, infos = read_scenarios(matrix, (question.scenario,))
    plan = Plan(matrix, locked(cells, cache_dir), files, infos)
    folder = begin(plan, reports, kind=RunKind.BISECT, selection=(question.scenario,))
    older, newer = None if question.open_end else question.releases[0], question.releases[-1]
    command = question.command(*((newer, older) if question.find_fix else (older, newer)))
    folder.write_record(folder.read_record().model_copy(update={"command": command}))
    questions.write(question, folder)
    return Prober(plan, folder, cache_dir, options or question.options(), question.reuse)


def first_probes(question: Question) -> tuple[str, ...]:
    """Return what a bisect probes first: the ends, or where they are assumed what cuts the releases between.

    Raises:
        ConfigError: there is nothing to probe.
    """
    releases, count = question.releases, len(question.releases)
    if question.open_end:
        back = Strides(count).next(question.jobs) if question.assume_ends else (count - 1,)
        return tuple(releases[item] for item in back)
    if not question.assume_ends or question.scan:
        return (releases[0], releases[-1])
    if count <= 2:  # noqa: PLR2004 - the two ends
        raise ConfigError("no release lies between the two ends, and --assume-ends leaves the ends out")
    return tuple(releases[item] for item in Search(count).next(question.jobs))


def held_cell(matrix: Matrix, cache_dir: CacheDir) -> Cell:
    """Return the cell whose pins are held: the matrix's reference cell, else its first."""
    bundle = opened_bundle()
    cells = plan_cells(matrix, cache=cache_dir.releases).cells if bundle is None else bundle.cells()
    return next((cell for cell in cells if cell.reference), cells[0])


def take_up(folder: RunFolder, cache_dir: CacheDir) -> Bisect:
    """Return the bisect of a run folder, to go on with.

    Raises:
        ConfigError: the run is no bisect, or its scenario is not what it was.
    """
    question, prober = begun_before(folder, cache_dir)
    return Bisect(question, prober.plan.cells[0].cell, prober)


def begun_before(folder: RunFolder, cache_dir: CacheDir) -> tuple[Question, Prober]:
    """Return the question of a search and its run folder, to go on with.

    Raises:
        ConfigError: the run is no search, or its scenario is not what it was.
    """
    question = questions.read(folder)
    plan = plan_again(folder, cache_dir)
    before = {info.id: info.source for info in folder.read_record().scenarios}
    if any(before.get(info.id, "") not in {"", info.source} for info in plan.scenarios):
        raise ConfigError(
            f"{question.scenario}, what it imports, its checkpoints or the probe changed since {folder.path.name} "
            f"began: search anew by {shlex.join(folder.read_record().command)}"
        )
    return question, Prober(plan, folder, cache_dir, question.options(), question.reuse)
