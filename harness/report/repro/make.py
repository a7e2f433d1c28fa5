"""Make one file that shows a failure without the harness: from a run folder to the text of a script."""

from __future__ import annotations

import ast
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import packages_of
from harness.errors import ConfigError
from harness.matrix.paths import install_root, short_path
from harness.redact.text import redact
from harness.report.repro.call import FIXTURES, call_of
from harness.report.repro.check import MOST_LINES, check
from harness.report.repro.header import header
from harness.report.repro.matching import Wanted, wanted
from harness.report.repro.modules import Reading, read_module
from harness.report.repro.pins import needed_by, pins
from harness.report.repro.script import STYLES, Parts, Style, compose
from harness.report.repro.slicing import Slice
from harness.report.repro.standin import standin
from harness.report.repro.target import Target, choose
from harness.report.repro.weights import IMPORTS, PACKED_IMPORTS, checkpoints, program
from harness.session.checkpoint_builder import builder_python
from harness.session.checkpoints import open_store
from harness.session.private import private_of
from harness.session.source_digest import source_digest
from harness.store.records import RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder

TIMEOUT = 900.0  # seconds, where the scenario declares none


@dataclass(frozen=True)
class Repro:
    """The text of a script, what a reader should know, and what was chosen where the question left it open."""

    text: str
    notes: tuple[str, ...]
    cell: str = ""
    scenario: str = ""


def make_repro(folder: RunFolder, cell: str, scenario: str, cache_dir: CacheDir) -> Repro:
    """Return a script for one scenario in one cell of a run.

    Args:
        folder: the run.
        cell: an id or a pattern that fits one.
        scenario: an id; without parameters its first red set of them, else its first.
        cache_dir: where environments and checkpoints are kept.

    Raises:
        ConfigError: nothing was seen there, or it cannot be shown by a script of fewer than 200 lines.
        InfrastructureError: the builder of checkpoints cannot be had.
    """
    run = folder.read_record()
    target = choose(run, folder.attempts(), cell, scenario)
    looked_for = wanted(target.red)
    path = scenario_file(target.info, run, cache_dir)
    make = _Maker(folder, run, target, looked_for, path, cache_dir)
    texts = (make.text(style) for style in STYLES)
    plain = next((text for text in texts if text.count("\n") < MOST_LINES), "") or make.text(STYLES[-1])
    found = redact(plain, private_of(run, folder.path))
    check(found, target.scenario)
    notes = make.notes()
    if ast.dump(ast.parse(plain)) != ast.dump(ast.parse(found)):
        notes.append("something in the code was private and is concealed: read the script before you trust its answer")
    return Repro(found, tuple(notes), target.cell.id, target.scenario)


def scenario_file(info: ScenarioInfo, run: RunRecord, cache_dir: CacheDir) -> Path:
    """Return the file of a scenario; for a run of another machine the harness's own one, if it is the same text.

    Raises:
        ConfigError: the file is gone, and ours is another.
    """
    path = Path(info.nodeid.split("::", 1)[0])
    if path.is_file():
        return path
    own = install_root() / "scenarios" / path.name
    size = run.matrix.get("checkpoints", {}).get("size", "tiny")
    if own.is_file() and info.source == source_digest(
        own, info.checkpoints, open_store(cache_dir.checkpoints, [own.parent], size)
    ):
        return own
    raise ConfigError(f"the scenario file {short_path(path)} is no longer there, and a script is made from its text")


@dataclass(frozen=True)
class _Maker:
    folder: RunFolder
    run: RunRecord
    target: Target
    wanted: Wanted
    path: Path
    cache_dir: CacheDir

    def text(self, style: Style) -> str:
        """Return the script, not yet redacted."""
        target = self.target
        failure = target.red.failure if style.cut and target.red is not None else None
        reached = tuple((each.path, each.function, each.line) for each in failure.frames) if failure else ()
        module = read_module(self.path, Reading(target.device, not style.dense, not style.bare, reached))
        sliced, fixtures = call_of(module, target)
        layouts = self._layouts(sliced)
        probe, needs = standin(sliced.attributes, sliced.of_probe, target.device)
        held, writes = checkpoints(layouts, packed=style.packed) if layouts else ([], [])
        imports = [*sliced.imports, *needs, *(IMPORTS if layouts else ()), *(PACKED_IMPORTS if style.packed else ())]
        cuda = max([int(need.partition(":")[2] or 1) for need in target.info.needs if need.startswith("cuda")] or [0])
        if target.device == "cuda:0":
            cuda = max(cuda, 1)
        if cuda or target.device != "cpu":
            imports += ["import torch"]
        main = [*writes, *(FIXTURES[name] for name in fixtures if name in FIXTURES)]
        if "checkpoint" in fixtures:
            probe += ["def checkpoint(name):", "    return str(WORK / name)"]
        if "monkeypatch" in fixtures:
            imports += ["import pytest"]
        uses_pytest = any(line.split()[1].partition(".")[0] == "pytest" for line in imports)
        parts = Parts(
            dependencies=self._pins(uses_pytest=uses_pytest),
            python=".".join(target.cell.python.split(".")[:2]),
            header=header(self.run, target, self.wanted, bare=style.bare),
            variables=self._variables(),
            wanted=self.wanted,
            crash_code=exit_code(self.wanted.crash),
            checkpoint=held,
            program=program(layouts, packed=style.packed) if layouts else (),
            probe=probe,
            imports=list(dict.fromkeys(imports)),
            slice=sliced,
            main=main,
            cuda=cuda,
            timeout=target.info.timeout or TIMEOUT,
        )
        return compose(parts, style)

    def notes(self) -> list[str]:
        """Return what a reader should know beside the text."""
        notes = []
        if self.target.red is None:
            notes.append("the run has no red cell of this scenario, so any failure counts: exit code 1")
        elif not self.target.is_red:
            notes.append(f"a control: it looks for the failure of {self.target.red.cell} and should exit with 0")
        if self.target.device == "cpu":
            notes.append("the run saw no GPU, so the script hides any that is there")
        return notes

    def _layouts(self, sliced: Slice) -> dict[str, Any]:
        """Return the layouts of the checkpoints that the scenario names, of those it declares."""
        declared = self.target.info.checkpoints
        names = [name for name in declared if name in sliced.texts] or list(declared)
        if not names:
            return {}
        settings: Mapping[str, Any] = self.run.matrix.get("checkpoints", {})
        if settings.get("weights", "synthetic") != "synthetic":
            raise ConfigError(
                f"the run took its weights from {settings['weights']}: a script makes synthetic ones only, "
                'so run it once with [checkpoints] weights = "synthetic"'
            )
        shelf = open_store(self.cache_dir.checkpoints, [self.path.parent], settings.get("size", "tiny"))
        logs = self.cache_dir.checkpoints
        found = shelf.layouts(
            names,
            lambda: builder_python(shelf.builder, self.cache_dir, logs / "layout-install.log"),
            logs / "layout.log",
        )
        return {name: found[name] for name in names}

    def _pins(self, *, uses_pytest: bool) -> list[str]:
        cell, lock = self.target.cell, self.folder.cell(self.target.cell.id) / "lock.txt"
        packages = packages_of(lock.read_text(encoding="utf-8")) if lock.is_file() else cell.versions
        env = self.cache_dir.envs / (cell.lock or "none")
        site_packages = next(iter(env.glob("*/[lL]ib/**/site-packages")), None)
        roots = [*cell.pins, *(["pytest"] if uses_pytest else [])]
        return pins(packages, needed_by(roots, packages, site_packages))

    def _variables(self) -> list[tuple[str, str]]:
        found = {"HF_HUB_OFFLINE": "1"} if self.target.info.checkpoints else {}
        if self.target.device == "cpu":
            found |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        return list((found | self.target.cell.variables).items())


def exit_code(crash: str) -> str:
    """Return, as source, the exit code of a process that dies this way."""
    if crash.startswith("exit-"):
        return crash.removeprefix("exit-")
    if crash.startswith("signal-"):
        return f"-{crash.removeprefix('signal-')}"
    return str(-getattr(signal, crash)) if crash.startswith("SIG") else repr(crash)
