"""The options and the shared state of a run."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from harness.envs.build import Environment
from harness.matrix.paths import ScenarioFile
from harness.runner.gpus import read_gpus
from harness.runner.isolation import Isolation
from harness.session.plan import PlannedCell
from harness.store.journal import Journal
from harness.store.run_folder import RunFolder

BUSY_BYTES = 1024**3  # a GPU with more in use before an attempt is busy


@dataclass(frozen=True)
class Options:
    """The options of a run. Times in seconds, memory in bytes.

    Attributes:
        keyword: ``-k`` of the run, for pytest.
        markers: ``-m`` of the run, for pytest.
        only_keyword: ``-k`` of a resumed run, which selects some of its scenarios.
        only_markers: ``-m`` of a resumed run.
        timeout: for one attempt; None is the matrix's.
        repeat: attempts per scenario and cell.
        jobs: cells that run at the same time.
        isolation: how attempts are isolated.
        check_isolation: run every scenario in both isolations.
        retry_failed: run failed scenarios again.
        retries: additional attempts with ``retry_failed``.
        busy_bytes: a GPU with more memory in use before an attempt is busy.
    """

    keyword: str = ""
    markers: str = ""
    only_keyword: str = ""
    only_markers: str = ""
    timeout: float | None = None
    repeat: int = 1
    jobs: int = 1
    isolation: Isolation = Isolation.FORK
    check_isolation: bool = False
    retry_failed: bool = False
    retries: int = 1
    busy_bytes: int = BUSY_BYTES


@dataclass(frozen=True)
class RunContext:
    """The run folder, its journal, and the state that the threads of a run share.

    Attributes:
        folder: the run folder.
        journal: the journal of the run.
        options: the options of the run.
        selection: arguments of pytest, absolute: ``file`` or ``file::test``.
        preload: modules that the fork server imports.
        never: modules that the fork server must not import.
        timeout: for an attempt whose scenario has none, and for a collection, in seconds.
        offline: no weights come from a hub.
        probe: the folder of the probe, for ``PYTHONPATH``.
        checkpoints: name → folder of the checkpoints.
        named_modules: module → its place in the matrix file, for the modules of ``[preload]``.
        only: the scenarios of a resumed run that were selected; empty for all.
        cancel: set to interrupt the run.
    """

    folder: RunFolder
    journal: Journal
    options: Options
    selection: tuple[str, ...]
    preload: tuple[str, ...]
    never: tuple[str, ...]
    timeout: float
    offline: bool
    probe: Path
    checkpoints: Future[dict[str, str]]
    named_modules: Mapping[str, str] = field(default_factory=dict)
    only: tuple[ScenarioFile, ...] = ()
    cancel: threading.Event = field(default_factory=threading.Event)

    def variables(self, planned: PlannedCell, slot: dict[str, str]) -> dict[str, str]:
        """Return the environment variables of a cell: defaults of the harness, then the slot's, then the matrix's.

        Without a GPU, ``OMP_NUM_THREADS`` defaults to 1: more threads make tiny models several times slower.
        """
        found = {} if "OMP_NUM_THREADS" in os.environ or read_gpus() else {"OMP_NUM_THREADS": "1"}
        if self.offline:
            found["HF_HUB_OFFLINE"] = "1"
        return found | slot | dict(planned.cell.variables)


@dataclass(frozen=True)
class CellJob:
    """One cell to run, and its environment, which may still be built; None if the cell has no lock."""

    planned: PlannedCell
    environment: Future[Environment] | None
