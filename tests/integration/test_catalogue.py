"""Every scenario runs on real releases on the CPU, in tiny form, and each was seen red and seen green.

Red: in a release that has the bug, or by a planted failure where none can show it on a CPU. Green: in a release, or by
a planted cure where none does right yet. What only a GPU can run is planted with a mocked GPU, and says so in its name.
"""

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from harness import load_table as load

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PLANTED = sorted((ROOT / "tests" / "scenarios" / "planted").glob("*.py"))
WITNESSES = tomllib.loads((Path(__file__).parent / "witnesses.toml").read_text())["run"]
CATALOGUE = tomllib.loads((ROOT / "matrices" / "catalogue.toml").read_text())
KV_CACHE = tomllib.loads((ROOT / "matrices" / "kv-cache.toml").read_text())
PINS = {**KV_CACHE["pins"], **CATALOGUE["pins"], "torchao": "0.17.0"}  # on a CPU nothing is lost by having them all
NEWEST = "5.23.0"  # where planted files run
FAULTS = "_faults"  # end of the names of planted files that must be red; the others must be green
GPU_ONLY = {"kv_cache_faults::test_layers_are_never_offloaded"}  # planted in a stream of CUDA's: needs a real one
NOT_IN_4BIT = ("[bf16]", "[fp32]", "[8bit]", "::test_all_but_the_ends_on_disk")  # controls that load without 4-bit
SECONDS = 2400


def run(folder: Path, name: str, scenarios: list[str], transformers: list[str], **pins: str) -> dict[str, set[str]]:
    """Run scenarios in cells of the catalogue's pins, and return scenario id → statuses seen."""
    held = {**PINS, **pins}
    lines = [f"name = {json.dumps(name)}", f"scenarios = {json.dumps(scenarios)}", "[axes]"]
    lines += [f"transformers = {json.dumps(transformers)}", "[pins]"]
    lines += [f"{package} = {json.dumps(version)}" for package, version in held.items()]
    matrix = folder / f"{name}.toml"
    matrix.write_text("\n".join(lines))
    command = [sys.executable, "-m", "harness.cli.main", "run", str(matrix), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    frame = load(folder / json.loads(done.stdout)["run"])
    broken = frame[frame["status"].isin(["error", "miss"])]
    assert broken.empty, broken[["cell", "scenario", "outcome", "detail"]].to_string()
    seen = defaultdict(set)
    for scenario, status in zip(frame["scenario"], frame["status"], strict=True):
        seen[scenario].add(status)
    return dict(seen)


def functions(file: Path) -> list[str]:
    """List the scenarios of a file as ``stem::test``."""
    tree = ast.parse(file.read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return [f"{file.stem}::{name}" for name in names]


def called(file: Path) -> dict[str, set[str]]:
    """Return, per test of a planted file, the catalogue's scenarios that it calls (``towers.test_x(…)``)."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found[f"{file.stem}::{node.name}"] = {
                f"{each.value.id}::{each.attr}"
                for each in ast.walk(node)
                if isinstance(each, ast.Attribute)
                and isinstance(each.value, ast.Name)
                and each.attr.startswith("test_")
            }
    return found


def by_function(seen: dict[str, set[str]]) -> dict[str, set[str]]:
    """Join the parameters of one function."""
    found = defaultdict(set)
    for scenario, statuses in seen.items():
        found[scenario.split("[", 1)[0]] |= statuses
    return dict(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("catalogue")


@pytest.fixture(scope="module")
def whole(folder):
    """The whole catalogue over two releases."""
    wanted = next(entry for entry in WITNESSES if entry["scenarios"] == "catalogue")
    return run(folder, wanted["name"], CATALOGUE["scenarios"], wanted["transformers"])


@pytest.fixture(scope="module")
def elsewhere(folder):
    """The few cells beside it."""
    found = defaultdict(set)
    for entry in WITNESSES:
        if entry["scenarios"] != "catalogue":
            pins = {key: value for key, value in entry.items() if key not in {"name", "scenarios", "transformers"}}
            scenarios = [f"scenarios/{each}" for each in entry["scenarios"]]
            for scenario, statuses in run(folder, entry["name"], scenarios, entry["transformers"], **pins).items():
                found[scenario] |= statuses
    return dict(found)


@pytest.fixture(scope="module")
def planted(folder):
    """Every planted file, in one cell."""
    return run(folder, "planted", [str(file) for file in PLANTED], [NEWEST])


def test_the_catalogue_names_every_scenario_file():
    files = {file.stem for file in (ROOT / "scenarios").glob("*.py") if functions(file)}
    assert {Path(entry).name for entry in CATALOGUE["scenarios"]} == files


def test_every_planted_failure_is_red_and_every_cure_green(planted):
    expected = {name: {"fail"} if name.partition("::")[0].endswith(FAULTS) else {"pass"} for name in planted}
    expected |= {name: {"skip"} for name in GPU_ONLY}
    wrong = {name: statuses for name, statuses in planted.items() if statuses != expected[name]}
    assert wrong == {}


def test_each_scenario_has_been_seen_red_and_seen_green(whole, elsewhere, planted):
    seen = defaultdict(set)
    for statuses in (by_function(whole), by_function(elsewhere)):
        for scenario, found in statuses.items():
            seen[scenario] |= found
    statuses = by_function(planted)
    for file in PLANTED:
        for test, scenarios in called(file).items():
            for scenario in scenarios:
                seen[scenario] |= statuses[test]
    catalogue = {name for file in (ROOT / "scenarios").glob("*.py") for name in functions(file)}
    unseen = {
        name: sorted({"fail", "pass"} - seen[name]) for name in sorted(catalogue) if {"fail", "pass"} - seen[name]
    }
    assert unseen == {}


def test_four_bit_scenarios_count_their_layers(folder, whole):
    """A green 4-bit scenario that found no Linear4bit layer is a false green; controls without 4-bit are named."""
    frame = load(next((folder / "reports").glob("*-whole-*")))
    counted = [name for name in frame.columns if name.startswith("x.linear4bit") and "towers" not in name]
    green = frame[(frame["status"] == "pass") & frame[counted].notna().any(axis=1)]
    assert len(green) > 50
    none = green[(green[counted].fillna(0) == 0).all(axis=1)]
    assert [name for name in none["scenario"] if not name.endswith(NOT_IN_4BIT)] == []
