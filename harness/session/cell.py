"""Run the scenarios of one cell: environment, launcher, collection, attempts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.envs.build import Environment, link_bytecode
from harness.envs.lock import Lock, Unsolvable
from harness.errors import HarnessError
from harness.runner.gpus import Gpu, read_gpus, read_processes
from harness.runner.isolation import Isolation, open_launcher
from harness.runner.process import Finished, Launcher, Request, environment
from harness.session.attempt_record import (
    INSTALL_NETWORK,
    NOT_BUILT,
    NOT_INSTALLED,
    UNRESOLVED,
    UNSOLVABLE,
    Attempt,
    assemble,
    not_started,
    read_events,
    uncollected,
)
from harness.session.context import CellJob, Options, RunContext
from harness.session.plan import PlannedCell, is_selected
from harness.store.events import ProbeEvents
from harness.store.files import write_text
from harness.store.records import AttemptRecord, GpuBefore, Outcome, Reason, ScenarioInfo, Stage, Status

REFUSED = {3, 4}  # exit codes of pytest: an internal error; an unknown test or an invalid expression


@dataclass(frozen=True)
class PendingAttempt:
    """One attempt to run; numbers begin with 1."""

    scenario: ScenarioInfo
    number: int


def plan_attempts(
    cell: str,
    collected: Iterable[ScenarioInfo],
    options: Options,
    done: Sequence[AttemptRecord],
    isolation: Isolation,
) -> list[PendingAttempt]:
    """Return the attempts to run, in the order of collection.

    Each scenario needs ``options.repeat`` attempts in each isolation. Those in ``done`` count unless they were
    interrupted. With ``retry_failed``, a scenario whose last attempt failed gets ``options.retries`` more.
    """
    planned = []
    for info in collected:
        own = [row for row in done if (row.cell, row.scenario) == (cell, info.id) and row.attempt > 0]
        finished = [row for row in own if row.outcome.reason is not Reason.INTERRUPTED]
        counted = [row for row in finished if not options.check_isolation or row.isolation == isolation]
        wanted = options.repeat - len(counted)
        if (
            options.retry_failed
            and finished
            and finished[-1].outcome.status in {Status.FAIL, Status.ERROR, Status.MISS}
        ):
            wanted = options.retries
        first = max([row.attempt for row in own], default=0) + 1
        planned += [PendingAttempt(info, first + extra) for extra in range(wanted)]

    return planned


def visible_gpus(gpus: Sequence[Gpu], variables: Mapping[str, str]) -> list[Gpu]:
    """Return the GPUs that ``CUDA_VISIBLE_DEVICES`` selects, by index or beginning of their UUID; all without it.

    The value in ``variables`` takes precedence over that of the harness.
    """
    chosen = variables.get("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES"))
    if chosen is None:
        return list(gpus)
    names = [name for name in chosen.split(",") if name]
    return [gpu for gpu in gpus if any(name == str(gpu.index) or gpu.uuid.startswith(name) for name in names)]


def gpus_before(gpus: Sequence[Gpu]) -> tuple[GpuBefore, ...]:
    """Return memory in use (bytes) and, as far as the driver reports them, the processes on the GPUs."""
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


def run_cell(context: RunContext, job: CellJob, slot: dict[str, str]) -> None:
    """Run one cell and journal every step; a failure becomes an attempt record, never an exception.

    ``slot`` has the variables that select the GPUs of the cell.
    """
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
    except HarnessError as error:
        outcome = INSTALL_NETWORK if getattr(error, "network", False) else NOT_INSTALLED
        context.journal.attempt(not_started(cell, "*", outcome, str(error), folder=f"cells/{cell}"))
        return
    except (OSError, subprocess.SubprocessError) as error:  # a full disk, a missing interpreter
        context.journal.attempt(not_started(cell, "*", NOT_BUILT, str(error), folder=f"cells/{cell}"))
        return

    if not built.reused:
        link_bytecode(built.folder)  # from environments that were compiled in the meantime
    for isolation in tuple(Isolation) if context.options.check_isolation else (context.options.isolation,):
        if not context.cancel.is_set():
            _CellRun(context, job.planned, built, slot, isolation).run()
    context.journal.write("cell_finished", cell=cell)


@dataclass
class _CellRun:
    """The collection and the attempts of one cell in one isolation."""

    context: RunContext
    planned: PlannedCell
    built: Environment
    slot: dict[str, str]
    isolation: Isolation
    launcher: Launcher | None = None

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

    def run(self) -> None:
        """Collect the scenarios and run the pending attempts."""
        try:
            collected = self.collect()
            done = self.context.folder.attempts()
            planned = plan_attempts(self.cell, collected, self.context.options, done, self.isolation)
            facts = {"scenarios": len(collected), "attempts": len(planned)}
            self.context.journal.write("planned", cell=self.cell, isolation=self.isolation, **facts)
            for pending in planned:
                if self.context.cancel.is_set():
                    break
                self.attempt(pending)
        finally:
            if self.launcher is not None:
                self.launcher.close()

    def ready_launcher(self) -> Launcher:
        """Return the launcher, opened first if there is none or its server has ended."""
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
        fallback = "" if self.context.cancel.is_set() else opened.fallback  # an interrupted start is no fallback
        facts: dict[str, Any] = {"isolation": opened.launcher.isolation, "fallback": fallback}
        if opened.ready is not None:
            facts |= {"import_seconds": dict(opened.ready.seconds), "import_failures": dict(opened.ready.failures)}
        self.context.journal.write("launcher", cell=self.cell, **facts)
        if opened.ready is not None:
            self._journal_unimported(
                {name: f"{failure['type']}: {failure['message']}" for name, failure in opened.ready.failures.items()}
            )

        return opened.launcher

    def collect(self) -> list[ScenarioInfo]:
        """Collect the scenarios that the run selects, journal them, and return those to run now.

        A file that cannot be collected becomes an attempt record. The journal lists everything that the run selects,
        also what a resumed run was restricted to leave out: those results stay missing.
        """
        options = self.context.options
        folder = self.folder / f"collect-{self.isolation}"
        finished = self._pytest_collect(folder, options.keyword, options.markers)
        events = _collection_events(folder, finished)
        self._journal_collection(events, finished, folder)
        self._write_env(events)
        self._journal_unimported(events.unimported)
        found = [collected_info(event) for event in events.collected]
        if options.only_keyword or options.only_markers:
            kept = self._kept_nodeids()
            found = [info for info, event in zip(found, events.collected, strict=True) if event["nodeid"] in kept]
        return [info for info in found if is_selected(info, self.context.only)]

    def _kept_nodeids(self) -> set[str]:
        """Return the node ids that ``-k`` and ``-m`` of a resumed run keep; none, with an event, if pytest fails."""
        options = self.context.options
        folder = self.folder / f"narrow-{self.isolation}"
        finished = self._pytest_collect(folder, options.only_keyword, options.only_markers)
        events = _collection_events(folder, finished)
        if not events.finished and not finished.exit.interrupted:
            text = f"no scenario of {self.cell} was run: pytest could not apply -k and -m ({_ending(finished, folder)})"
            self.context.journal.write("not_narrowed", cell=self.cell, text=text)
        return {event["nodeid"] for event in events.collected}

    def _pytest_collect(self, folder: Path, keyword: str, markers: str) -> Finished:
        (folder / "events.jsonl").unlink(missing_ok=True)  # of the run before it was resumed
        selection = self.context.selection
        root = str(Path(selection[0].split("::", 1)[0]).parent)
        timeout = self.context.timeout
        request = Request("collect", folder, root, timeout, files=selection, keyword=keyword, markers=markers)
        return self.ready_launcher().run(request, self.context.cancel)

    def _journal_collection(self, events: ProbeEvents, finished: Finished, folder: Path) -> None:
        if finished.exit.interrupted and not events.finished:
            return  # the list is incomplete; a resumed run collects again
        relative = folder.relative_to(self.context.folder.path).as_posix()
        journal = self.context.journal
        for failure, file in zip(events.failures, events.failed_files, strict=True):
            journal.attempt(uncollected(self.cell, file, failure, self.under_test, relative))
        if not events.finished:
            detail = f"the collection did not end ({_ending(finished, folder)})"
            journal.attempt(not_started(self.cell, "*", _unfinished_outcome(finished), detail, folder=relative))
        expected = [collected_info(event).model_dump(mode="json") for event in events.collected]
        journal.write("collected", cell=self.cell, isolation=self.isolation, scenarios=expected)

    def _journal_unimported(self, failures: Mapping[str, str]) -> None:
        """Journal the modules of ``[preload]`` in the matrix that cannot be imported; ``failures`` is module → why.

        The attempts run nevertheless: a scenario that needs such a module fails with its own traceback.
        """
        for module, why in failures.items():
            if module in self.context.named_modules:
                text = f"{self.context.named_modules[module]} could not be imported in {self.cell}: {why}"
                self.context.journal.write(
                    "preload_failed",
                    cell=self.cell,
                    module=module,
                    text=text,
                )

    def _write_env(self, events: ProbeEvents) -> None:
        lock, cell = self.planned.lock, self.planned.cell
        facts = {
            "lock": lock.hash if isinstance(lock, Lock) else None,
            "reused": self.built.reused,
            "seconds": self.built.seconds,
            "versions": events.versions,
            "variables": dict(cell.variables),
        }
        write_text(self.folder / "env.json", json.dumps(facts, indent=1))
        if events.versions:
            self.context.journal.write("versions", cell=cell.id, versions=events.versions)

    def attempt(self, pending: PendingAttempt) -> None:
        """Run one attempt and journal its record."""
        info = pending.scenario
        folder = self.context.folder.attempt(self.cell, info.id, pending.number)
        checkpoints = self.context.checkpoints.result() if info.checkpoints else {}
        launcher = self.ready_launcher()
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

        self.context.journal.write(
            "attempt_started",
            cell=self.cell,
            scenario=info.id,
            attempt=pending.number,
        )
        finished = launcher.run(request, self.context.cancel)

        attempt = Attempt(self.cell, info, pending.number, self.under_test)
        busy = any(gpu.used > self.context.options.busy_bytes for gpu in before)
        record = assemble(attempt, finished, folder, self.context.folder.path, gpu_busy=busy)
        used = {"cuda_device_used.before": sum(gpu.used for gpu in before)} if before else {}
        figures = {**record.figures, **used}
        self.context.journal.attempt(record.model_copy(update={"figures": figures, "gpus_before": before}))


def collected_info(event: dict[str, Any]) -> ScenarioInfo:
    """Return the scenario of a ``collected`` event; only the node id has the folder of the file."""
    test = event["nodeid"].partition("::")[2]
    path = Path(event["path"])
    return ScenarioInfo(
        id=f"{path.stem}::{test}",
        nodeid=f"{path}::{test}",
        **{name: event[name] for name in ("row", "title", "tracker", "needs", "checkpoints", "timeout")},
    )


def _collection_events(folder: Path, finished: Finished) -> ProbeEvents:
    """Read the events of a collection; one that pytest refused is unfinished, and its list is dropped."""
    events = read_events(folder)
    if finished.exit.code in REFUSED:
        events.finished = False
        events.collected.clear()
    return events


def _unfinished_outcome(finished: Finished) -> Outcome:
    """Return the outcome of a collection that did not end: a failure of the software after a crash or a timeout."""
    if finished.exit.code is not None or finished.exit.note:
        return Outcome(Status.ERROR, Stage.COLLECT, Reason.EXCEPTION)
    return Outcome(Status.FAIL, Stage.COLLECT, Reason.TIMEOUT if finished.exit.timed_out else Reason.CRASH)


def _ending(finished: Finished, folder: Path) -> str:
    """Return how a collection ended; the last error message of pytest if it refused."""
    ended = finished.exit
    if ended.code in REFUSED:
        lines = (folder / "output.log").read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line.partition(" ")[2] for line in lines if line.startswith(("ERROR: ", "INTERNALERROR> "))]
        return errors[-1] if errors else f"exit status {ended.code}"
    if ended.timed_out:
        return f"killed after {finished.seconds:.0f} s"
    return ended.note or (f"signal {ended.signal}" if ended.signal else f"exit status {ended.code}")
