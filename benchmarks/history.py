"""Measure the history's index on a season of run folders: building it, one series, the table, the page.

``python benchmarks/history.py [--days 365] [--cells 50] [--scenarios 20] [--json FILE]`` from a checkout.
The run folders hold a real ``run.json`` and a real journal, written from the harness's own records with made-up
figures; logs are left out, for the index never reads them. Each measure runs in a fresh interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from harness.history.query import open_history
from harness.store.records import (
    AttemptRecord,
    CellRecord,
    Expectation,
    Failure,
    Frame,
    GpuBefore,
    GpuRecord,
    HostRecord,
    RunRecord,
    ScenarioInfo,
)
from harness.store.run_folder import RunFolder, create

GIB = 2**30
BEGIN = datetime(2025, 1, 1, 1, 30, tzinfo=UTC)
GPU = GpuRecord(uuid="GPU-0001", name="NVIDIA H200", memory_bytes=141 * GIB, driver="580.1")
RELEASE = 4  # days from one release to the next
PHASES = ("load", "forward")
MEASURES = ("allocated", "allocated_peak", "reserved", "reserved_peak", "device_used", "reserved_emptied")
SCENARIOS = ("load_4bit", "adapters", "split", "merging", "kv_cache", "saving", "towers", "experts")


@dataclass(frozen=True)
class Season:
    """The size of the season; ``noise`` is the share by which two equal runs differ in a figure."""

    days: int = 365
    cells: int = 50
    scenarios: int = 20
    noise: float = 0.002
    seed: int = 7


@dataclass(frozen=True)
class Planted:
    """What happens to one scenario in the series of one newest transformers, from day ``first`` to before ``last``."""

    scenario: int
    newest: int
    first: int
    last: int
    outcome: str = "pass:check"
    signature: str | None = None
    memory: float = 1.0


def planted(season: Season) -> tuple[Planted, ...]:
    """Return two regressions that are fixed, memory that grows and stays, and a scenario that fails in two ways."""
    quarter = max(season.days // 4 // RELEASE * RELEASE, 1)  # with a release, as most changes come
    oom = "OutOfMemoryError: CUDA out of memory @ transformers/modeling_utils.py:from_pretrained"
    typed = "TypeError: __new__() got an unexpected keyword argument @ accelerate/utils/modeling.py:set_module_tensor"
    return (
        Planted(0, 0, quarter, quarter * 2, "fail:run:oom", oom, 1.9),
        Planted(1 % season.scenarios, 0, quarter * 2, season.days, memory=1.3),
        Planted(2 % season.scenarios, 1, quarter, quarter * 3 // 2, "fail:run:exception", typed),
        Planted(2 % season.scenarios, 1, quarter * 3 // 2, season.days, "fail:run:oom", oom),
    )


def write_season(reports: Path, season: Season) -> None:
    """Write one run folder a day below ``reports``."""
    rng = random.Random(season.seed)  # noqa: S311  # made-up figures, no secret
    for day in range(season.days):
        write_run(reports, season, day, rng)


def write_run(reports: Path, season: Season, day: int, rng: random.Random) -> RunFolder:
    """Write one run with one attempt a result; every 97th result has none, every 211th is flaky."""
    started = BEGIN + timedelta(days=day)
    folder = create(reports, "nightly", started, f"{day:06x}")
    cells = tuple(_cell(number, day) for number in range(season.cells))
    infos = tuple(_info(number) for number in range(season.scenarios))
    host = HostRecord(platform="Linux x86_64", cpus=32, memory_bytes=512 * GIB, gpus=(GPU,))
    axes = ("transformers", "accelerate")
    folder.write_record(
        RunRecord(
            name="nightly", started=started, matrix={"name": "nightly"}, matrix_file="matrices/nightly.toml",
            scenarios=infos, cells=cells, axes=axes, host=host, harness_version="0.1.0",
        )
    )  # fmt: skip
    with folder.journal_file.open("w", encoding="utf-8") as journal:
        for event in _events(season, day, cells, infos, rng):
            journal.write(json.dumps(event) + "\n")
    return folder


def newest(back: int, day: int) -> str:
    """Return the ``back``-th newest transformers of a day: a release comes every fourth day."""
    return f"5.{max(30 + day // RELEASE - back, 0)}.0"


def _cell(number: int, day: int) -> CellRecord:
    back, accelerate = number % 10, f"1.{13 - number // 10}.0"
    expression = f"latest~{back}" if back else "latest"
    versions = {f"package-{index}": f"{index}.0.1" for index in range(60)}
    versions |= {"transformers": newest(back, day), "accelerate": accelerate, "torch": "2.13.0"}
    return CellRecord(
        id=f"transformers-{newest(back, day)}-accelerate-{accelerate}",
        labels={"transformers": newest(back, day), "accelerate": accelerate},
        pins={"transformers": newest(back, day), "accelerate": accelerate, "torch": "2.13.0"},
        python="3.11",
        lock=f"{number:016x}",
        versions=versions,
        reference=number == season_reference(),
        line=f"transformers={expression} accelerate={accelerate}",
    )


def season_reference() -> int:
    """Return the number of the cell that the others are compared with."""
    return 9


def _info(number: int) -> ScenarioInfo:
    name = f"{SCENARIOS[number % len(SCENARIOS)]}::test_case_{number}"
    return ScenarioInfo(id=name, nodeid=f"/scenarios/{name.replace('::', '.py::')}", row=f"A{number + 1}")


def _events(
    season: Season, day: int, cells: tuple[CellRecord, ...], infos: tuple[ScenarioInfo, ...], rng: random.Random
) -> Iterator[dict[str, Any]]:
    time_ = (BEGIN + timedelta(days=day)).isoformat()
    yield {"event": "run_started", "time": time_, "jobs": 1}
    draft = _draft(day).model_dump(mode="json")
    for position, cell in enumerate(cells):
        yield {"event": "versions", "time": time_, "cell": cell.id, "versions": cell.versions}
        for number, info in enumerate(infos):
            index = position * season.scenarios + number + day * 31
            if index % 97:
                planted_case = _case(season, day, position, number)
                yield {"event": "attempt_started", "time": time_, "cell": cell.id, "scenario": info.id, "attempt": 1}
                record = _record(draft, cell, info, planted_case, flaky=index % 211 == 0, season=season, rng=rng)
                yield {"event": "attempt", "time": time_, "record": record}
    yield {"event": "run_finished", "time": time_}


def _case(season: Season, day: int, cell: int, scenario: int) -> Planted:
    usual = Planted(scenario, cell % 10, 0, season.days)
    found = [each for each in planted(season) if (each.scenario, each.newest) == (scenario, cell % 10)]
    return next((each for each in found if each.first <= day < each.last), usual)


def _draft(day: int) -> AttemptRecord:
    """Make an attempt as a GPU's journal has it: expectations, placements, GPUs, the allocator's settings."""
    return AttemptRecord(
        cell="", scenario="", attempt=1, outcome="pass:check", started=BEGIN + timedelta(days=day), seconds=4.2,
        isolation="fork", ran_on="cuda", gpus_before=(GpuBefore(uuid=GPU.uuid, total=GPU.memory_bytes, used=2**20),),
        expectations=tuple(Expectation(text=f"the {each}th is close", held=True, detail="7") for each in range(9)),
        placements={"loaded": {f"cuda:{each}": {"bytes": each * GIB, "parameters": each * 31} for each in range(30)}},
        allocator={f"setting_{index}": str(index) for index in range(18)},
        sources={"cuda_device_used": "nvml"}, folder="cells/a/b/1",
    )  # fmt: skip


def _record(  # everything that decides an attempt
    draft: dict[str, Any], cell: CellRecord, info: ScenarioInfo, planted_case: Planted, *, flaky: bool, season: Season,
    rng: random.Random,
) -> dict[str, Any]:  # fmt: skip
    base = (4 + hash_of(info.id) % 11) * GIB
    figures: dict[str, float] = {"seconds.load": 2.4 * (1 + rng.random() / 10), "x.linear4bit": 196}
    for phase in PHASES:
        for step, measure in enumerate(MEASURES):
            amount = base * (1 + step / 20) * planted_case.memory * (1 + season.noise * (rng.random() - 0.5))
            figures[f"cuda_{measure}.{phase}"] = int(amount) // 512 * 512
        figures[f"host_anon_peak.{phase}"] = int(1.4 * GIB * (1 + rng.random() / 50))
        figures[f"host_anon.{phase}"] = int(1.1 * GIB * (1 + rng.random() / 50))
    changed: dict[str, Any] = {"cell": cell.id, "scenario": info.id, "row": info.row, "figures": figures}
    changed["seconds"] = round(4.2 + rng.random(), 3)
    if flaky and planted_case.outcome == "pass:check":
        planted_case = replace(planted_case, outcome="fail:run:timeout", signature="timeout")
    if planted_case.outcome != "pass:check":
        frames = tuple(Frame(path=f"transformers/file_{step}.py", function="load", line=step) for step in range(12))
        failure = Failure(when="call", type="TypeError", message=planted_case.signature or "", frames=frames)
        changed |= {"failure": failure.model_dump(mode="json"), "signature": planted_case.signature}
    return {**draft, **changed, "outcome": planted_case.outcome}


def hash_of(text: str) -> int:
    """Return a number for a text, the same in every process."""
    return sum(text.encode())


def measure(what: str, reports: Path) -> dict[str, float]:
    """Do one thing in this process and return its seconds and the bytes that it took."""
    import pandas as pd  # noqa: F401  # its own memory is no part of the table's

    if what == "build":
        (reports / "history.sqlite").unlink(missing_ok=True)
    before, began, worked = peak(), time.perf_counter(), time.process_time()
    if what == "table":
        open_history(reports)[0].table()
    elif what == "series":
        _load_a_series(reports)
    elif what == "page":
        _write_the_page(reports)
    else:
        open_history(reports)
    done = time.perf_counter() - began, time.process_time() - worked
    return {"seconds": round(done[0], 3), "cpu_seconds": round(done[1], 3), "bytes": peak() - before}


def _load_a_series(reports: Path) -> None:
    from harness.history.query import History  # of an index that is up to date

    history = History(reports)
    results = history.series("transformers=latest accelerate=1.13.0", "load_4bit::test_case_0")
    if not [figures for one in results if (figures := dict(one.figures))]:
        raise SystemExit("the series is empty")


def _write_the_page(reports: Path) -> None:
    from harness.history.trend import trend
    from harness.report.history_html import page, render

    trends = [trend(key, results) for key, results in open_history(reports)[0].all_results()]
    (reports / "history.html").write_text(render(page(trends, "season")), encoding="utf-8")


def peak() -> int:
    """Return the peak memory of this process in bytes (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Make the season, measure in fresh interpreters, and print the figures."""
    options = _parser().parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.keep)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        reports = options.keep or Path(scratch)
        season = Season(options.days, options.cells, options.scenarios)
        if not any(reports.glob("*/run.json")):
            reports.mkdir(parents=True, exist_ok=True)
            write_season(reports, season)
        found: dict[str, Any] = {"days": season.days, "results": season.days * season.cells * season.scenarios}
        found["journals_bytes"] = sum(path.stat().st_size for path in reports.glob("*/journal.jsonl"))
        found["cores"] = os.cpu_count()
        for what in ("build", "refresh", "series", "table", "page"):
            words = [sys.executable, __file__, "--measure", what, "--keep", str(reports)]
            found[what] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        for name in ("history.sqlite", "history.html"):
            found[f"{name}_bytes"] = (reports / name).stat().st_size
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--scenarios", type=int, default=20)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="make the season in DIR and keep it, or use the one in DIR"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
