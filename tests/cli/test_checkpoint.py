"""``harness checkpoint`` lists and builds; bad input is one sentence and a code."""

import json
import sys

import pytest
from inline_snapshot import external_file

from harness.cli.main import main
from harness.errors import ExitCode


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "cache"


def test_the_list_shows_every_definition_in_both_sizes(capsys):
    assert main(["checkpoint", "list"]) == ExitCode.COMPLETE
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "14.19 GiB" in lines["qwen2.5-7b"]
    assert "Qwen/Qwen2.5-7B-Instruct" in lines["qwen2.5-7b"]
    assert "on gemma-4-e2b" in lines["gemma-4-e2b-lora"]


def test_the_list_as_json_names_folders_and_bytes(capsys, cache):
    assert main(["checkpoint", "list", "--json"]) == ExitCode.COMPLETE
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    full = rows["gemma-4-e2b"]["sizes"]["full"]
    assert (full["built"], full["bytes"]) == (False, 10246357958)
    assert full["folder"].startswith(str(cache))


def test_definitions_beside_a_scenario_are_listed_too(capsys, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.toml").write_text('kind = "model"\n[tiny]\nbytes = 5_000_000\n')
    assert main(["checkpoint", "list", "--json", "--scenarios", str(tmp_path / "case.py")]) == ExitCode.COMPLETE
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mine"]["sizes"]["tiny"]["bytes"] == 5_000_000


MISTAKES = """\
checkpoint build
checkpoint build qwen2.5-7b --all
checkpoint build qwen2.5-7
checkpoint build qwen2.5-7b --python /no/python
"""


def test_each_mistake_is_one_sentence_and_an_exit_code(transcript):
    assert transcript(MISTAKES) == external_file("golden/mistakes-checkpoint.txt")


def test_an_interpreter_without_torch_is_refused_by_name(capsys):
    assert main(["checkpoint", "build", "qwen2.5-7b", "--python", sys.executable]) == ExitCode.USAGE
    assert "has no transformers and no torch" in capsys.readouterr().err


def test_too_little_room_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr("harness.session.checkpoints.free_bytes", lambda folder: 10**9)
    assert main(["checkpoint", "build", "qwen2.5-7b", "--size", "full"]) == ExitCode.INCOMPLETE
    assert "14.19 GiB are needed and" in capsys.readouterr().err
