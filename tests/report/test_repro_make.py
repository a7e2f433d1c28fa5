"""Scripts from a run folder: of every scenario of the catalogue, and of a user's own that is run here."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.paths import ScenarioFile, install_root
from harness.report.repro import make_repro
from harness.report.repro.check import check, unknown_names
from harness.session.checkpoints import open_store
from harness.session.plan import read_catalogue
from harness.store.records import (
    AttemptRecord,
    CellRecord,
    Expectation,
    Failure,
    Frame,
    GpuRecord,
    HostRecord,
    Outcome,
    RunRecord,
)
from harness.store.run_folder import RunFolder

START = datetime(2026, 3, 1, tzinfo=UTC)
PINS = {"transformers": "5.2.0", "torch": "2.13.0"}
LOCK = "transformers==5.2.0 \\\n    --hash=sha256:00\ntorch==2.13.0+cpu\npytest==9.0.0\npluggy==1.6.0\nnumpy==2.0\n"
GPU = GpuRecord(uuid="GPU-1", name="NVIDIA H200", memory_bytes=1, driver="1")
FRAME = Frame(path="transformers/modeling_utils.py", function="from_pretrained", line=1, package="transformers")
FAILURE = Failure(when="call", type="KeyError", message="22", frames=(FRAME,))
SIGNATURE = "KeyError: N @ transformers/modeling_utils.py:from_pretrained"
CATALOGUE = [
    info
    for file in sorted((install_root() / "scenarios").glob("*.py"))
    if "@scenario" in file.read_text(encoding="utf-8")
    for info in read_catalogue([ScenarioFile(file)])
]


def attempt(cell, scenario, outcome="pass:check", **rest):
    fields = {"outcome": Outcome.parse(outcome), "started": START, "seconds": 1.0, "ran_on": "cpu", **rest}
    return AttemptRecord(cell=cell, scenario=scenario, attempt=1, **fields)


def run_folder(path, infos, attempts, *, gpus=(), size="tiny", cells=("red", "green"), **rest):
    folder = RunFolder(path)
    records = tuple(CellRecord(id=cell, labels={}, pins=PINS, python="3.11.7", **rest) for cell in cells)
    for cell in cells:
        folder.cell(cell).mkdir(parents=True)
        (folder.cell(cell) / "lock.txt").write_text(LOCK)
    host = HostRecord(platform="Linux", cpus=2, memory_bytes=1, gpus=gpus)
    folder.write_record(
        RunRecord(
            name="case",
            started=START,
            matrix={"checkpoints": {"size": size}},
            matrix_file="case.toml",
            scenarios=tuple(infos),
            cells=records,
            axes=(),
            host=host,
            harness_version="1",
        )
    )
    lines = [json.dumps({"event": "attempt", "record": each.model_dump(mode="json")}) for each in attempts]
    folder.journal_file.write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    """A cache in which the layout of every checkpoint is known already: made up, but as large as a small model's."""
    root = CacheDir(tmp_path_factory.mktemp("cache"))
    shelf = open_store(root.checkpoints, [], "tiny")
    root.checkpoints.mkdir(parents=True)
    for name, definition in shelf.definitions.items():
        raw = tomllib.loads(definition.file.read_text(encoding="utf-8"))
        adapter = definition.base is not None
        ends = ("lora_A.weight", "lora_B.weight") if adapter else ("weight",)
        tensors = {
            f"model.layers.{layer}.{part}_proj.{end}": [[8, 8], 0.08, None]
            for layer in range(4)
            for part in ("q", "k", "v", "o", "gate", "up", "down")
            for end in ends
        }
        configs = {"adapter_config.json": {"r": 8}} if adapter else {"config.json": raw["tiny"]["config"]}
        file = shelf.folder(name).with_name(f"{shelf.folder(name).name}.layout.json")
        file.write_text(json.dumps({"configs": configs, "tensors": tensors}))
    return root


@pytest.mark.parametrize("on_gpu", [False, True], ids=["cpu", "gpu"])
@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.id)
def test_every_scenario_becomes_a_script_that_stands_alone(info, on_gpu, cache_dir, tmp_path):
    red = attempt("red", info.id, "fail:run:exception", failure=FAILURE, signature=SIGNATURE)
    red = red.model_copy(update={"ran_on": "cuda" if on_gpu else "cpu"})
    folder = run_folder(tmp_path / "run", [info], [red], gpus=(GPU,) if on_gpu else ())
    if on_gpu and info.id == "load_options::test_what_a_load_costs":
        with pytest.raises(ConfigError, match=r"uses probe\.cuda\.devices, which a script has no stand-in for"):
            make_repro(folder, "red", info.id, cache_dir)
        return
    text = make_repro(folder, "red", info.id, cache_dir).text
    tree = ast.parse(text)
    assert text.count("\n") < 200
    assert max(map(len, text.splitlines())) <= 120
    assert unknown_names(tree) == []
    assert "harness" not in {name.partition(".")[0] for name in imported(tree)}
    assert f"SIGNATURE = {SIGNATURE!r}" in text


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


# --- a user's own scenario, run here -------------------------------------------------------------------------------

OWN = '''
"""Nothing but the standard library."""
import json
import pytest
from harness.probe import scenario

LIMITS = {"low": 1, "high": 10}


class TestSomething:
    @scenario()
    def test_method(self, probe):
        self.check(probe)

    def check(self, probe):
        probe.expect("it holds", True)


@scenario(tracker="someone/something#12")
@pytest.mark.parametrize("limit", list(LIMITS))
def test_limit(probe, tmp_path, limit):
    """What is written is below the limit."""
    (tmp_path / "x").write_text("5")
    with probe.phase("read"):
        found = json.loads((tmp_path / "x").read_text())
    probe.record("found", found)
    probe.expect("it is below 3 times the limit", found < 3 * LIMITS[limit], found)


@scenario()
@pytest.mark.parametrize("text", ["{", "[1]"])
def test_reading(probe, text):
    json.loads(text)


@scenario()
def test_crash(probe):
    import os
    import signal
    os.kill(os.getpid(), signal.SIGKILL)


@scenario()
def test_strange(probe, capsys):
    pass
'''
BELOW = "expectation: it is below N times the limit"
JSON_ERROR = "JSONDecodeError: Expecting property name enclosed in double quotes: line N column N (char N)"
READING = f"{JSON_ERROR} @ own.py:test_reading"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    file = tmp_path_factory.mktemp("own") / "own.py"
    file.write_text(OWN)
    infos = read_catalogue([ScenarioFile(file)])
    broken = (Expectation(text="it is below 3 times the limit", held=False),)
    frames = (
        Frame(path="own.py", function="test_reading", line=38),
        Frame(path="json/decoder.py", function="raw_decode", line=1),
    )
    reading = Failure(when="call", type="json.decoder.JSONDecodeError", message="x", frames=frames)
    attempts = [
        attempt("red", "own::test_limit[high]"),
        attempt("red", "own::test_limit[low]", "fail:check:assertion", expectations=broken, signature=BELOW),
        attempt("green", "own::test_limit[low]"),
        attempt("red", "own::test_reading[{]", "fail:run:exception", failure=reading, signature=READING),
        attempt("green", "own::test_reading[{]"),
        attempt("green", "own::test_reading[[1]]"),
        attempt("red", "own::test_crash", "fail:run:crash", signature="crash:SIGKILL"),
        attempt("green", "own::TestSomething::test_method"),
        attempt("red", "own::test_strange"),
        attempt("red", "own::TestSomething::test_method", "skip:run:not_applicable", detail="not here"),
        attempt("green", "own::test_crash", "fail:install:install_failed", detail="no wheel"),
    ]  # fmt: skip
    return run_folder(tmp_path_factory.mktemp("run") / "run", infos, attempts, variables={"MY_SETTING": "a=b"})


def run(text, tmp_path):
    """Run a script as its reader would, but for the packages: what it needs here is Python alone."""
    file = tmp_path / "repro.py"
    file.write_text(text)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("cell", "scenario", "code", "said"),
    [
        ("red", "own::test_limit", 1, "signature: expectation: it is below N times the limit"),
        ("g*", "own::test_limit[low]", 1, "signature: expectation: it is below N times the limit"),
        ("red", "own::test_limit[high]", 0, "the failure is not here"),
        ("red", "own::test_reading", 1, f"signature: {JSON_ERROR} @ own.py:test_reading"),
        ("green", "own::test_reading[[1]]", 0, "the failure is not here"),
        ("red", "own::test_crash", 1, "signature: crash:SIGKILL"),
        ("green", "own::TestSomething::test_method", 0, "the failure is not here"),
    ],
)
def test_a_script_says_whether_the_failure_is_here(own, cache_dir, tmp_path, cell, scenario, code, said):
    text = make_repro(own, cell, scenario, cache_dir).text
    ended, printed = run(text, tmp_path)
    assert (ended, printed.splitlines()[-1]) == (code, said)
    assert "os.environ['MY_SETTING'] = 'a=b'" in text


def test_another_failure_is_neither(own, cache_dir, tmp_path):
    text = make_repro(own, "red", "own::test_reading", cache_dir).text
    code, said = run(text.replace("text='{'", "text='}'"), tmp_path)
    assert (code, said.strip()) == (
        2,
        "something else happened: JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    )
    code, said = run(text.replace("import json", "import json, a_module_that_nobody_has", 1), tmp_path)
    assert code != 0


def test_the_header_says_how_and_what(own, cache_dir):
    text = make_repro(own, "red", "own::test_limit", cache_dir).text
    head = text.split("import ", 1)[0]
    assert '# requires-python = "==3.11.*"' in head
    assert '#   "numpy==2.0", "torch==2.13.0", "transformers==5.2.0",' in head
    assert "# Run it by: uv run repro.py" in head
    assert "# Expected: What is written is below the limit." in head
    assert "https://github.com/someone/something/issues/12" in head
    assert not re.search(r"pytest|pluggy", text)


@pytest.mark.parametrize(
    ("cell", "scenario", "sentence"),
    [
        ("rad", "own::test_limit", "no cell is called rad; the nearest is red"),
        ("*", "own::test_limit", r"\* fits 2 cells: red, green"),
        ("red", "own::test_limits", "the run has no scenario own::test_limits; the nearest is own::test_limit"),
        ("red", "own::test_limit[no]", r"no attempt of own::test_limit\[no\]; there are own::test_limit\[high\], own"),
        ("green", "own::test_strange", "green has no attempt of own::test_strange; there are some in red"),
        ("red", "own::test_strange", "asks for the fixture capsys, which a script has no stand-in for"),
        ("red", "own::TestSomething::test_method", "says skip:run:not_applicable in red .not here.: there is nothing"),
        ("green", "own::test_crash", "green was never installed .no wheel.: there is nothing a script could run"),
    ],
)
def test_what_cannot_be_is_one_sentence(own, cache_dir, cell, scenario, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make_repro(own, cell, scenario, cache_dir)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n" * 200, "would have 200 lines"),
        ("from harness.probe import scenario\n", "would import the harness"),
        ("print(unknown)\n", "would use unknown, which it does not define"),
        ("print(\n", "would not be Python"),
    ],
)
def test_a_script_that_does_not_stand_alone_is_not_written(text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check(text, "case::test_it")


def test_a_scenario_that_is_gone_is_said(own, cache_dir, tmp_path):
    record = own.read_record()
    moved = [each.model_copy(update={"nodeid": f"/nowhere/own.py::{each.id}"}) for each in record.scenarios]
    folder = run_folder(tmp_path / "run", moved, own.attempts())
    with pytest.raises(ConfigError, match=r"/nowhere/own\.py is no longer there"):
        make_repro(folder, "red", "own::test_limit", cache_dir)
    assert Path(own.path).is_dir()
