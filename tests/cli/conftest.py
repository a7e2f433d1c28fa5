"""Run folders as nights leave them, made up from what each scenario is to have answered."""

import json
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.runner.process import ProcessExit
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, GpuRecord, HostRecord, RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder

MIB = 1024**2


@dataclass
class Nights:
    """Makes run folders below ``reports``, one a day."""

    reports: Path
    made: int = 0
    scenarios: tuple[str, ...] = ("load::test_a", "load::test_b", "adapters::test_c")
    hub: dict[str, str] = field(default_factory=lambda: {"4.0.0": "0.36.2"})

    def night(self, answers=(), *, latest="5.0.0", matrix="nightly", gpu="NVIDIA H200", lost=(), raw=None, issues=""):
        """Write a run of the cells 4.0.0 and ``latest``.

        ``answers`` maps (``old`` or ``latest``, scenario) to an outcome, to (outcome, fields of the attempt), or to
        None where there was none; all else passes. ``lost`` are cells that the run does not have at all.
        """
        self.made += 1
        started = datetime(2026, 3, self.made, 2, tzinfo=UTC)
        folder = RunFolder(self.reports / f"{started:%Y%m%dT%H%M%SZ}-{matrix}-abc{self.made:03}")
        folder.path.mkdir(parents=True)
        cells = {
            name: self._cell(version, line)
            for name, version, line in (("old", "4.0.0", "a=4.0.0"), ("latest", latest, "a=latest"))
            if name not in lost
        }
        folder.write_record(
            RunRecord(
                name=matrix,
                started=started,
                matrix={"name": matrix} if raw is None else raw,
                matrix_file=f"{matrix}.toml",
                scenarios=tuple(ScenarioInfo(id=name, nodeid=name) for name in self.scenarios),
                cells=tuple(cells.values()),
                axes=("a",),
                host=HostRecord(platform="Linux", cpus=2, memory_bytes=2**33, gpus=self._gpus(gpu)),
                harness_version="1",
            )
        )
        folder.known_issues_file.write_text(issues, encoding="utf-8")
        journal = Journal(folder.journal_file)
        for name, cell in cells.items():
            journal.write("collected", cell=cell.id, scenarios=[{"id": each} for each in self.scenarios])
            for scenario in self.scenarios:
                answer = dict(answers).get((name, scenario), "pass:check")
                if answer is not None:
                    for attempt in self._attempts(cell, scenario, answer, started):
                        journal.attempt(attempt)
        journal.write("run_finished")
        journal.close()
        return folder

    def _cell(self, version, line):
        versions = {"a": version, "hub": self.hub.get(version, f"1.{version}"), "torch": "2.13.0"}
        return CellRecord(
            id=f"a-{version}-0a1b2c",
            labels={"a": version},
            pins={"a": version},
            python="3.11",
            line=line,
            versions=versions,
            lock="aa",
        )

    def _gpus(self, model):
        return (GpuRecord(uuid="GPU-1", name=model, memory_bytes=2**36, driver="575.1"),) if model else ()

    def _attempts(self, cell, scenario, answer, started):
        outcomes, fields = answer if isinstance(answer, tuple) else (answer, {})
        for number, outcome in enumerate(outcomes.split(), 1):
            rest = {"seconds": 1.0, "started": started, "exit": ProcessExit(code=0), "figures": {}, **fields}
            rest["figures"] = {"cuda_reserved.load": 1000 * MIB, **rest["figures"]}
            yield AttemptRecord(cell=cell.id, scenario=scenario, attempt=number, outcome=outcome, **rest)


@pytest.fixture
def nights(tmp_path):
    return Nights(tmp_path / "reports")


@pytest.fixture
def harness(nights, capsys, monkeypatch):
    """Run the command beside the reports and return its code, its output, and what it said on standard error."""
    monkeypatch.chdir(nights.reports.parent)
    monkeypatch.setenv("COLUMNS", "200")

    def harness(*arguments):
        code = main([*arguments, "--reports", str(nights.reports)])
        said = capsys.readouterr()
        return code, (json.loads(said.out) if "--json" in arguments and said.out else said.out), said.err

    return harness


@pytest.fixture
def transcript(capsys):
    """Return what runs command lines that are mistakes: each with its sentence and its exit code below it."""

    def transcript(lines, *options):
        text = ""
        for line in lines.splitlines():
            code = main([*shlex.split(line), *options])
            said = capsys.readouterr().err
            assert said.count("\n") == 1
            text += f"$ harness {line}\n{said}exit code {code}\n"
        return text

    return transcript
