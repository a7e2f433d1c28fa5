"""What every cell of a run shares."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from harness.envs.build import Environment
from harness.matrix.paths import ScenarioFile
from harness.runner.isolation import Isolation
from harness.session.plan import PlannedCell
from harness.store.journal import Journal
from harness.store.run_folder import RunFolder

BUSY_BYTES = 1024**3  # a card with more than this in use before an attempt is not ours alone


@dataclass(frozen=True)
class Options:
    """How to run: what the command line says beyond the matrix. Times in seconds, memory in bytes.

    ``keyword`` and ``markers`` are the run's own; ``only_keyword`` and ``only_markers`` narrow what of it is run now.
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
    retries: int = 1  # attempts more of what is red, with ``retry_failed``
    busy_bytes: int = BUSY_BYTES


@dataclass(frozen=True)
class RunContext:
    """The run folder, its journal, and what the threads of a run agree on."""

    folder: RunFolder
    journal: Journal
    options: Options
    selection: tuple[str, ...]  # what pytest collects: absolute ``file`` or ``file::test``
    preload: tuple[str, ...]
    never: tuple[str, ...]
    timeout: float
    offline: bool  # no weights come from a hub
    probe: Path
    checkpoints: Future[dict[str, str]]
    named: Mapping[str, str] = field(default_factory=dict)  # modules that the matrix itself preloads -> where it does
    only: tuple[ScenarioFile, ...] = ()  # what of the selection is run now; all of it where empty
    cancel: threading.Event = field(default_factory=threading.Event)

    def variables(self, planned: PlannedCell, slot: dict[str, str]) -> dict[str, str]:
        """Return the variables of a cell's processes: the harness's defaults, the slot's, then the matrix's own.

        Without a GPU one thread computes: tiny models are several times slower on many.
        """
        found = {} if "OMP_NUM_THREADS" in os.environ or _has_gpu() else {"OMP_NUM_THREADS": "1"}
        if self.offline:
            found["HF_HUB_OFFLINE"] = "1"
        return found | slot | dict(planned.cell.variables)


@dataclass(frozen=True)
class CellJob:
    """One cell to run, and its environment once it is built; None where the cell has no lock."""

    planned: PlannedCell
    environment: Future[Environment] | None


def _has_gpu() -> bool:
    from harness.runner.gpus import read_gpus

    return bool(read_gpus())
