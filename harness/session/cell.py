"""Run the scenarios of one cell: environment, launcher, collection, attempts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.envs.build import Environment, link_bytecode
from harness.envs.lock import Unsolvable
from harness.errors import HarnessError
from harness.runner.gpus import Gpu, read_gpus, read_processes
from harness.runner.isolation import Isolation, open_launcher
from harness.runner.process import Launcher, Request, environment
from harness.session.attempt_record import (
    INSTALL_NETWORK,
    NOT_BUILT,
    NOT_INSTALLED,
    UNRESOLVED,
    UNSOLVABLE,
    Attempt,
    assemble,
    not_started,
)
from harness.session.collect import Collection, journal_unimported
from harness.session.context import CellJob, Options, RunContext
from harness.session.plan import PlannedCell
from harness.store.records import AttemptRecord, GpuBefore, Reason, ScenarioInfo, Status


@dataclass(frozen=True)
class PendingAttempt:
    """One attempt to make; attempts are numbered from 1."""

    scenario: ScenarioInfo
    number: int


def plan_attempts(
    cell: str,
    collected: Iterable[ScenarioInfo],
    options: Options,
    done: Sequence[AttemptRecord],
    isolation: Isolation,
) -> list[PendingAttempt]:
    """Return the attempts to make, in the order of collection.

    Each scenario needs ``options.repeat`` attempts in each isolation that is run. What is done counts, unless it was
    interrupted; with ``retry_failed`` a scenario whose last attempt was red gets ``retries`` more.
    """
    planned = []
    for info in collected:
        mine = [row for row in done if (row.cell, row.scenario) == (cell, info.id) and row.attempt > 0]
        finished = [row for row in mine if row.outcome.reason is not Reason.INTERRUPTED]
        counted = [row for row in finished if not options.check_isolation or row.isolation == isolation]
        wanted = options.repeat - len(counted)
        if (
            options.retry_failed
            and finished
            and finished[-1].outcome.status in {Status.FAIL, Status.ERROR, Status.MISS}
        ):
            wanted = options.retries
        first = max([row.attempt for row in mine], default=0) + 1
        planned += [PendingAttempt(info, first + extra) for extra in range(wanted)]
    return planned


def visible_gpus(gpus: Sequence[Gpu], variables: Mapping[str, str]) -> list[Gpu]:
    """Return the GPUs that attempts with these variables may use, by index or beginning of their UUID."""
    chosen = variables.get("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES"))
    if chosen is None:
        return list(gpus)
    names = [name for name in chosen.split(",") if name]
    return [gpu for gpu in gpus if any(name == str(gpu.index) or gpu.uuid.startswith(name) for name in names)]


def gpus_before(gpus: Sequence[Gpu]) -> tuple[GpuBefore, ...]:
    """Write down what is in use on the cards, and by whom as far as the driver tells."""
    processes = read_processes() if any(gpu.used for gpu in gpus) else ()
    return tuple(
        GpuBefore(
            uuid=gpu.uuid,
            total=gpu.total,
            used=gpu.used,
            processes=tuple(
                {"pid": one.pid, "name": one.name, "used": one.used} for one in processes if one.uuid == gpu.uuid
            ),
        )
        for gpu in gpus
    )


def device_used_before(gpus: Sequence[GpuBefore]) -> dict[str, int]:
    """Return the figure of the cards as they were: bytes in use, over all of them; none where there is no card."""
    return {"cuda_device_used.before": sum(gpu.used for gpu in gpus)} if gpus else {}


def run_cell(context: RunContext, job: CellJob, slot: dict[str, str]) -> None:
    """Run one cell to its end and journal every step; what goes wrong becomes a row, never an exception."""
    cell = job.planned.cell.id
    folder = context.folder.cell(cell)
    folder.mkdir(parents=True, exist_ok=True)
    lock = job.planned.lock
    if isinstance(lock, Unsolvable) or job.environment is None:
        outcome = UNRESOLVED if getattr(lock, "network", False) else UNSOLVABLE
        context.journal.attempt(not_started(cell, "*", outcome, getattr(lock, "sentence", "")))
        return
    try:
        built = job.environment.result()
    except HarnessError as failed:
        outcome = INSTALL_NETWORK if getattr(failed, "network", False) else NOT_INSTALLED
        context.journal.attempt(not_started(cell, "*", outcome, str(failed), folder=f"cells/{cell}"))
        return
    except (OSError, subprocess.SubprocessError) as broken:  # a full disk, an interpreter that is gone
        context.journal.attempt(not_started(cell, "*", NOT_BUILT, str(broken), folder=f"cells/{cell}"))
        return
    if not built.reused:
        link_bytecode(built.folder)  # what neighbours have compiled since it was built
    for isolation in _isolations(context):
        if not context.cancel.is_set():
            _CellRun(context, job.planned, built, slot, isolation).run()
    context.journal.write("cell_finished", cell=cell)


def _isolations(context: RunContext) -> tuple[Isolation, ...]:
    return tuple(Isolation) if context.options.check_isolation else (context.options.isolation,)


@dataclass
class _CellRun:
    """One cell in one isolation."""

    context: RunContext
    planned: PlannedCell
    built: Environment
    slot: dict[str, str]
    isolation: Isolation
    launcher: Launcher | None = None

    def run(self) -> None:
        """Collect, then run what is to be done; the launcher is opened again when its server was lost."""
        try:
            collection = Collection(self.context, self.planned, self.built, self.isolation, self.under_test)
            collected = collection.scenarios(lambda request: self.ready().run(request, self.context.cancel))
            done = self.context.folder.attempts()
            planned = plan_attempts(self.cell, collected, self.context.options, done, self.isolation)
            facts = {"scenarios": len(collected), "attempts": len(planned)}
            self.context.journal.write("planned", cell=self.cell, isolation=self.isolation, **facts)
            for todo in planned:
                if self.context.cancel.is_set():
                    break
                self.attempt(todo)
        finally:
            if self.launcher is not None:
                self.launcher.close()

    @property
    def cell(self) -> str:
        """The cell's id."""
        return self.planned.cell.id

    @property
    def folder(self) -> Path:
        """The cell's folder."""
        return self.context.folder.cell(self.cell)

    @property
    def under_test(self) -> frozenset[str]:
        """Import names of the pinned packages."""
        return frozenset(pin.package.replace("-", "_") for pin in self.planned.cell.pins if not pin.transitive)

    def ready(self) -> Launcher:
        """Return a launcher that works, and journal how it was opened."""
        if self.launcher is not None and getattr(self.launcher, "alive", True):
            return self.launcher
        if self.launcher is not None:
            self.launcher.close()
        variables = self.context.variables(self.planned, self.slot)
        opened = open_launcher(
            self.built.python,
            environment(self.context.probe, variables),
            self.folder / "server",
            wanted=self.isolation,
            preload=self.context.preload,
            never=self.context.never,
            cancel=self.context.cancel,
        )
        self.launcher = opened.launcher
        facts: dict[str, Any] = {"isolation": opened.launcher.isolation, "fallback": opened.fallback}
        if opened.ready is not None:
            facts |= {"import_seconds": dict(opened.ready.seconds), "import_failures": dict(opened.ready.failures)}
        self.context.journal.write("launcher", cell=self.cell, **facts)
        if opened.ready is not None:
            failures = {name: f"{why['type']}: {why['message']}" for name, why in opened.ready.failures.items()}
            journal_unimported(self.context, self.cell, failures)
        return opened.launcher

    def attempt(self, todo: PendingAttempt) -> None:
        """Run one attempt and journal its record."""
        info = todo.scenario
        folder = self.context.folder.attempt(self.cell, info.id, todo.number)
        checkpoints = self.context.checkpoints.result() if info.checkpoints else {}
        launcher = self.ready()
        before = gpus_before(visible_gpus(read_gpus(), self.slot | dict(self.planned.cell.variables)))
        request = Request(
            "run",
            folder,
            str(Path(info.nodeid.split("::", 1)[0]).parent),
            info.timeout or self.context.timeout,
            nodeid=info.nodeid,
            checkpoints={name: checkpoints[name] for name in info.checkpoints},
            used_before={gpu.uuid: gpu.used for gpu in before},
        )
        self.context.journal.write("attempt_started", cell=self.cell, scenario=info.id, attempt=todo.number)
        finished = launcher.run(request, self.context.cancel)
        attempt = Attempt(self.cell, info, todo.number, self.under_test)
        busy = any(gpu.used > self.context.options.busy_bytes for gpu in before)
        record = assemble(attempt, finished, folder, self.context.folder.path, gpu_busy=busy)
        figures = {**record.figures, **device_used_before(before)}
        self.context.journal.attempt(record.model_copy(update={"figures": figures, "gpus_before": before}))
