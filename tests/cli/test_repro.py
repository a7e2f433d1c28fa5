"""``harness repro`` as a user meets it: the file it writes, what it prints, its mistakes in one sentence."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from inline_snapshot import external_file

from harness.cli.main import main
from harness.matrix.paths import ScenarioFile
from harness.session.plan import read_catalogue
from harness.store.records import AttemptRecord, CellRecord, Expectation, HostRecord, Outcome, RunRecord
from harness.store.run_folder import RunFolder

START = datetime(2026, 3, 1, tzinfo=UTC)
SCENARIO = '''
from harness.probe import scenario


@scenario()
def test_numbers(probe):
    """Two and two are five."""
    probe.expect("two and two are five", 2 + 2 == 5)
'''
SIGNATURE = "expectation: two and two are five"


@pytest.fixture
def reports(tmp_path):
    """A folder of runs with one run in it, whose only scenario is red."""
    file = tmp_path / "mine.py"
    file.write_text(SCENARIO)
    folder = RunFolder(tmp_path / "reports" / "20260301T000000Z-mine-abcdef")
    folder.path.mkdir(parents=True)
    cell = CellRecord(id="numpy-2.0-abcdef", labels={}, pins={"numpy": "2.0"}, python="3.11", versions={"numpy": "2.0"})
    host = HostRecord(platform="Linux", cpus=2, memory_bytes=1)
    infos = read_catalogue([ScenarioFile(file)])
    run = {"name": "mine", "started": START, "matrix": {}, "matrix_file": "mine.toml", "harness_version": "1"}
    folder.write_record(RunRecord(**run, scenarios=infos, cells=(cell,), axes=(), host=host))
    seen = AttemptRecord(
        cell=cell.id,
        scenario="mine::test_numbers",
        attempt=1,
        outcome=Outcome.parse("fail:check:assertion"),
        signature=SIGNATURE,
        expectations=(Expectation(text="two and two are five", held=False),),
        started=START,
        seconds=1.0,
    )
    line = json.dumps({"event": "attempt", "record": seen.model_dump(mode="json")})
    folder.journal_file.write_text(f"{line}\n")
    return folder.path.parent


def test_the_script_lies_in_the_run_folder_and_shows_the_failure(reports, capsys):
    assert main(["repro", "latest", "numpy-*", "mine::test_numbers", "--reports", str(reports)]) == 0
    script = next(reports.glob("*/repro-*.py"))
    assert script.name == "repro-numpy-2.0-abcdef-mine.test_numbers.py"
    said = capsys.readouterr().out
    assert f"uv run {script}" in said
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, f"signature: {SIGNATURE}")


def test_the_script_goes_where_it_is_wanted(reports, tmp_path, capsys):
    asked = ["repro", "latest", "numpy-2.0-abcdef", "mine::test_numbers", "--reports", str(reports)]
    assert main([*asked, "-o", str(tmp_path / "mine-repro.py"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["script"] == str(tmp_path / "mine-repro.py")
    assert main([*asked, "-o", "-"]) == 0
    assert capsys.readouterr().out == (tmp_path / "mine-repro.py").read_text()


MISTAKES = """\
repro latest 'numpy-3*' mine::test_numbers
repro latest 'numpy*' mine::test_number
repro nothing 'numpy*' mine::test_numbers
repro latest 'numpy*' mine::test_numbers -o nowhere/x.py
"""


def test_each_mistake_is_one_sentence_and_an_exit_code(reports, transcript):
    assert transcript(MISTAKES, "--reports", str(reports)).replace(str(reports), "REPORTS") == external_file(
        "golden/mistakes-repro.txt"
    )
