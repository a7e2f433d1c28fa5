"""Run a plan: build environments and checkpoints, run the cells in parallel, journal everything."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

from harness.envs.build import Environment, build
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.envs.usage_locks import UsageLocks, remove_stale_locks
from harness.matrix.paths import short_path
from harness.matrix.schema import named_modules, weights_folder
from harness.runner.gpus import read_gpus
from harness.runner.probe_path import probe_path
from harness.session.cell import run_cell
from harness.session.checkpoint_builder import builder_python
from harness.session.checkpoints import named_weights, open_store
from harness.session.context import CellJob, Options, RunContext
from harness.session.plan import Plan
from harness.store.journal import Journal, Listener
from harness.store.run_folder import RunFolder, claimed

WAIT_SECONDS = 0.5  # until an interrupt is noticed


def run_plan(
    plan: Plan, folder: RunFolder, cache_dir: CacheDir, options: Options, listener: Listener | None = None
) -> bool:
    """Run the pending attempts of a plan, and return whether the run is complete (False: it was interrupted).

    Environments are built one at a time and before the cells need them; checkpoints are built in parallel to them.
    ``listener`` is called with every event of the journal.

    Raises:
        ConfigError: another process uses the run folder.
        InfrastructureError: the checkpoints could not be built.
    """
    with claimed(folder):
        journal = Journal(folder.journal_file, listener)
        environments = ThreadPoolExecutor(1, "environments")
        checkpoints = ThreadPoolExecutor(1, "checkpoints")
        usage_locks = UsageLocks()
        try:
            sources = {info.id: info.source for info in plan.scenarios}
            journal.write(
                "run_started",
                jobs=options.jobs,
                isolation=options.isolation,
                sources=sources,
            )
            builder = _Builder(plan, folder, cache_dir, journal, usage_locks)
            context = builder.context(options, checkpoints)
            complete = _run_cells(context, builder.jobs(environments))
            journal.write("run_finished" if complete else "run_interrupted")
        finally:
            environments.shutdown(wait=True, cancel_futures=True)
            checkpoints.shutdown(wait=True, cancel_futures=True)
            usage_locks.release()
            journal.close()

    return complete


@dataclass(frozen=True)
class _Builder:
    """Build the environments and checkpoints of a run; ``usage_locks`` protect them from removal."""

    plan: Plan
    folder: RunFolder
    cache_dir: CacheDir
    journal: Journal
    usage_locks: UsageLocks

    def context(self, options: Options, pool: ThreadPoolExecutor) -> RunContext:
        """Return the shared state of the run; the build of its checkpoints is started."""
        matrix, preload = self.plan.matrix, self.plan.matrix.preload
        return RunContext(
            folder=self.folder,
            journal=self.journal,
            options=options,
            selection=tuple(f"{file.path}::{file.test}" if file.test else str(file.path) for file in self.plan.files),
            preload=(*preload.modules, *(() if read_gpus() else preload.without_gpu)),
            never=preload.never,
            named_modules=named_modules(matrix.raw, short_path(matrix.path)),
            timeout=options.timeout or matrix.timeout,
            offline=matrix.checkpoints.weights != "hub",
            probe=probe_path(self.cache_dir.probe),
            checkpoints=pool.submit(self.checkpoints),
            only=self.plan.only,
        )

    def jobs(self, pool: ThreadPoolExecutor) -> list[CellJob]:
        """Return one job per cell; cells with the same lock share an environment, the build of which is started."""
        environments: dict[str, Future[Environment]] = {}
        jobs = []
        for planned in self.plan.cells:
            lock = planned.lock
            if isinstance(lock, Lock) and lock.hash not in environments:
                environments[lock.hash] = pool.submit(self.environment, planned.cell.id, lock)
            jobs.append(CellJob(planned, environments.get(lock.hash) if isinstance(lock, Lock) else None))
        return jobs

    def environment(self, cell: str, lock: Lock) -> Environment:
        """Build or reuse one environment, and journal it."""
        self.journal.write("environment_started", cell=cell, lock=lock.hash)
        remove_stale_locks(self.cache_dir.envs / lock.hash)
        self.usage_locks.acquire(self.cache_dir.envs / lock.hash)
        built = build(lock, self.cache_dir.envs, self.folder.cell(cell) / "install.log")
        self.journal.write(
            "environment", cell=cell, lock=lock.hash, reused=built.reused, seconds=round(built.seconds, 3)
        )
        return built

    def checkpoints(self) -> dict[str, str]:
        """Return name → folder, or name on the hub, of the checkpoints of all scenarios; missing ones are built."""
        names = list(dict.fromkeys(name for info in self.plan.scenarios for name in info.checkpoints))
        matrix = self.plan.matrix
        store = open_store(
            self.cache_dir.checkpoints, {file.path.parent for file in self.plan.files}, matrix.checkpoints.size
        )
        other = named_weights(matrix.checkpoints.weights, weights_folder(matrix), names, store)
        if other is not None:
            return other
        self.usage_locks.acquire(*map(store.folder, store.with_bases(names)))
        missing = store.missing(names)
        if missing:
            self.journal.write("checkpoints_started", names=missing)
        install = self.folder.path / "checkpoints-install.log"
        found = store.provide(
            names,
            lambda: builder_python(store.builder, self.cache_dir, install, usage_locks=self.usage_locks),
            self.folder.path / "checkpoints.log",
            lambda text: self.journal.write("checkpoint", text=text),
        )
        self.journal.write("checkpoints", names=names, built=missing)
        return found


def _run_cells(context: RunContext, jobs: list[CellJob]) -> bool:
    """Run the cells, each with the GPUs of a free slot; return False if the user interrupted."""
    slots: SimpleQueue[dict[str, str]] = SimpleQueue()
    for slot in gpu_slots(context.options.jobs):
        slots.put(slot)

    def in_slot(job: CellJob) -> None:
        slot = slots.get()
        try:
            if not context.cancel.is_set():
                run_cell(context, job, slot)
        finally:
            slots.put(slot)

    with ThreadPoolExecutor(context.options.jobs, "cell") as pool:
        waiting = {pool.submit(in_slot, job) for job in jobs}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=WAIT_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException as error:
            context.cancel.set()  # no attempt runs on after any error
            for future in waiting:
                future.cancel()
            if not isinstance(error, KeyboardInterrupt):
                raise
            return False

    return True


def gpu_slots(jobs: int) -> list[dict[str, str]]:
    """Return the variables of ``jobs`` slots, which share the GPUs among them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(gpu.index) for gpu in read_gpus()]
    if jobs == 1 or not gpus:
        return [{} for _ in range(jobs)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[slot::jobs]) or gpus[slot % len(gpus)]} for slot in range(jobs)]
