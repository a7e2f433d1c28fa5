"""What holds over the whole project: rooms, dependencies, shipped matrices."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from harness.matrix.schema import load_matrix
from harness.session.plan import read_scenarios
from harness.verdict.known_issues import parse
from harness.verdict.signature import rules

ROOT = Path(__file__).parents[1]
ROOMS = [
    "redact",
    "matrix",
    "envs",
    "probe",
    "runner",
    "store",
    "verdict",
    "session",
    "search",
    "history",
    "report",
    "nightly",
    "cli",
]
MODULES = sorted((ROOT / "harness").rglob("*.py"))
UNIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "tty"}


def imports(path, *, top_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def room_of(path):
    parts = path.relative_to(ROOT / "harness").parts
    return parts[0] if len(parts) > 1 else None


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path)], ids=str)
def test_a_room_imports_only_from_rooms_above_it(path):
    own = room_of(path)
    used = {
        name.split(".")[1]
        for name in imports(path)
        if name.startswith("harness.") and name not in {"harness.errors", "harness.reporter", "harness.version"}
    }
    allowed = {"probe"} if own == "probe" else set(ROOMS[: ROOMS.index(own) + 1]) - {"probe"}
    assert used <= allowed


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) == "probe"], ids=str)
def test_the_probe_needs_nothing_but_pytest_and_what_is_under_test(path):
    used = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
    assert used <= {"pytest", "packaging", "torch", "harness"}


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) == "redact"], ids=str)
def test_redaction_needs_only_the_standard_library(path):
    others = {name for name in imports(path) if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in others if not name.startswith("harness.redact.")} <= {"harness.errors"}


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) != "probe"], ids=str)
def test_host_rooms_import_neither_torch_nor_what_only_unix_has(path):
    assert "torch" not in {name.split(".")[0] for name in imports(path)}
    assert not UNIX_ONLY & set(imports(path, top_only=True))


def test_the_noxfile_asks_for_what_the_project_asks_for():
    block = re.search(r"# /// script\n(.*?)# ///", (ROOT / "noxfile.py").read_text(), re.DOTALL)[1]
    script = tomllib.loads("".join(f"{line[2:]}\n" for line in block.splitlines()))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert script["dependencies"] == project["dependencies"]
    assert script["requires-python"] == project["requires-python"]


@pytest.mark.parametrize("path", sorted((ROOT / "matrices").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_matrices_name_scenarios_and_checkpoints_that_exist(path):
    _, infos = read_scenarios(load_matrix(path))
    known = {file.stem for file in (ROOT / "scenarios" / "checkpoints").glob("*.toml")}
    assert infos
    assert {name for info in infos for name in info.checkpoints} <= known


def test_every_row_of_the_field_reports_is_in_the_catalogue():
    _, infos = read_scenarios(load_matrix(ROOT / "matrices" / "catalogue.toml"))
    counts = {"A": 10, "B": 4, "C": 4, "D": 6, "E": 3, "F": 3, "G": 18}
    wanted = {f"{family}{number}" for family, count in counts.items() for number in range(1, count + 1)}
    assert wanted - {info.row for info in infos} == set()


def test_known_issues_name_scenarios_and_rules_that_exist():
    issues = parse((ROOT / "scenarios" / "known_issues.toml").read_text(), "known_issues.toml")
    _, infos = read_scenarios(load_matrix(ROOT / "matrices" / "catalogue.toml"))
    ids = {info.id for info in infos}
    assert [issue.scenario for issue in issues if issue.scenario.split("[", 1)[0] not in ids] == []
    assert {issue.signature for issue in issues} <= {rule.name for rule in rules()}


def test_the_manual_names_every_scenario_in_its_row():
    page = (ROOT / "docs" / "scenarios.md").read_text().splitlines()
    _, infos = read_scenarios(load_matrix(ROOT / "matrices" / "catalogue.toml"))
    missing = []
    for info in infos:
        name = info.id.partition("::")[2]
        if not any(line.startswith(f"| {info.row} |") and name in line for line in page):
            missing.append(info.id)
    assert missing == []
