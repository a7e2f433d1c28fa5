"""Drafting an issue as a user does, on a run folder."""

import json
import shutil
from pathlib import Path

import pytest
from inline_snapshot import external_file

from harness.cli.main import main
from harness.envs.requirements import exact_pin
from harness.matrix.cell import Cell
from harness.search.criterion import Evaluation
from harness.search.records import (
    SEARCH_FILE,
    BlameQuestion,
    BlameResult,
    Ending,
    PackageChange,
    ReleaseQuestion,
    ReleaseResult,
    SearchRecord,
)
from harness.store.run_folder import RunFolder

FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"
RUN = "20261001T120000Z-first-abc123"
SIGNATURE = "reserved-as-unquantized"


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """A folder of reports with one run in it, and it is the current folder's."""
    shutil.copytree(FROZEN, tmp_path / "reports" / RUN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "reports"


def test_the_only_failure_is_drafted_beside_the_run(reports, capsys):
    assert main(["issue", RUN]) == 0
    said = capsys.readouterr().out
    path = reports / RUN / f"issue-{SIGNATURE}.md"
    assert f"Draft       reports/{RUN}/issue-{SIGNATURE}.md" in said
    assert "Repository  huggingface/transformers" in said
    assert "Known as    huggingface/transformers#44387: comment there instead" in said
    assert said.endswith("Read it before you post it.\n")
    text = path.read_text()
    assert "**Looks like huggingface/transformers#44387: comment there instead**" in text
    assert "`[Regression between transformers 4.57.6 and 5.6.2]" in text


def test_it_is_written_where_it_is_wanted_and_summed_up_as_json(reports, tmp_path, capsys):
    assert main(["issue", "latest", "--signature", "reserved", "-o", "mine.md", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(tmp_path / "mine.md")
    assert told["repository"] == "huggingface/transformers"
    assert told["labels"] == ["bug", "regression"]
    assert told["known_trackers"] == ["huggingface/transformers#44387"]
    assert told["characters"] == len((tmp_path / "mine.md").read_text())
    assert told["left_out"] == []


def test_a_dash_prints_it_and_writes_nothing(reports, capsys):
    assert main(["issue", RUN, "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("# Draft of an issue\n")
    assert not list(reports.rglob("issue-*.md"))


MISTAKES = f"""\
issue nothing
issue {RUN} --signature meta-item
issue {RUN} --bisect {RUN}
issue {RUN} -o no/such/folder.md
issue {RUN} -o - --json
"""


def test_each_mistake_is_one_sentence_and_an_exit_code(reports, transcript):
    assert transcript(MISTAKES).replace(str(reports), "REPORTS") == external_file("golden/mistakes-issue.txt")


def bisected(folder: RunFolder) -> Path:
    """Make a run folder that of a bisect which came to an answer."""
    asked = ReleaseQuestion(
        package="transformers",
        releases=("4.57.6", "5.6.2"),
        scenario="load_4bit.py::test_reserved",
        matrix="first.toml",
    )
    judged = {"4.57.6": Evaluation(bad=False, reason="passes"), "5.6.2": Evaluation(bad=True, reason="fails")}
    found = ReleaseResult(
        ending=Ending.FOUND, package="transformers", before="4.57.6", suspects=("5.6.2",), releases=judged
    )
    SearchRecord(question=asked, result=found).write(folder)
    return folder.path / SEARCH_FILE


@pytest.mark.parametrize("named", ["itself", "folder", "file"])
def test_a_bisect_brings_its_answer(reports, named, capsys):
    shutil.copytree(FROZEN, reports / "the-bisect")
    file = bisected(RunFolder(reports / (RUN if named == "itself" else "the-bisect")))
    more = {"itself": [], "folder": ["--bisect", "the-bisect"], "file": ["--bisect", str(file)]}[named]
    assert main(["issue", RUN, "-o", "-", *more]) == 0
    text = capsys.readouterr().out
    assert "Title: `[Regression in transformers 5.6.2]" in text
    assert "transformers 5.6.2 is the first bad release, 4.57.6 the last good one" in text
    assert "https://github.com/huggingface/transformers/compare/v4.57.6...v5.6.2" in text
    assert "No other package differs between these two." in text


UUID = "GPU-0a1b2c3d-1111-2222-3333-0123456789ab"
SECRET = "hf_" + "AbCd1234" * 4


def toml_of(entry: dict[str, str]) -> str:
    """Write a known issue that holds for every transformers 5."""
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in entry.items())
    return f'[[issue]]\n{lines}versions = {{ transformers = ">=5" }}\n'


@pytest.fixture
def planted(reports, monkeypatch):
    """The run with private things where a run has text: journal, plan, known issues."""
    run = reports / RUN
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("HOSTNAME", "lab-gpu7")
    told = (
        f"{SECRET} in /home/bob/models by https://me:pw@wheels.acme.example/simple at 192.168.7.8"
        f" for alice on lab-gpu7, {UUID}"
    )
    journal = run / "journal.jsonl"
    lines = []
    for line in journal.read_text().splitlines():
        event = json.loads(line)
        record = event.get("record")
        if record and record["failure"]:
            record["detail"] += f" {told}"
            record["failure"]["message"] += f" {told}"
            record["failure"]["text"] += told
            record |= {"simulated": told, "notes": {"said": told}}
            record["expectations"] = [each | {"detail": told} for each in record["expectations"]]
            record["failure"]["frames"].append(
                {"path": f"/home/bob/{SECRET}.py", "function": "f", "line": 1, "package": "x"}
            )
        lines.append(json.dumps(event))
    journal.write_text("\n".join(lines) + "\n")
    plan = json.loads((run / "run.json").read_text())
    plan["command"] = ["harness", "run", "/home/bob/first.toml", "--token", SECRET]
    plan["matrix_file"] = "/home/bob/first.toml"
    plan["title"] = told
    plan["host"]["gpus"][0]["uuid"] = UUID
    for cell in plan["cells"]:
        cell["variables"] = {"MY_PASSWORD": "hunter-two"}
    plan["scenarios"][0]["title"] = f"Reserved is near allocated ({told})."
    (run / "run.json").write_text(json.dumps(plan))
    entry = {"scenario": "*::test_reserved", "signature": SIGNATURE, "tracker": "a/b#1", "note": told}
    (run / "known_issues.toml").write_text(toml_of(entry))
    return [SECRET, "bob", "wheels.acme", "me:pw", "192.168.7.8", "alice", "lab-gpu7", UUID, "hunter-two"]


def test_nothing_private_stands_in_a_draft(reports, planted, capsys):
    assert main(["issue", RUN]) == 0
    assert main(["issue", RUN, "-o", "-"]) == 0
    texts = [capsys.readouterr().out, *(path.read_text() for path in (reports / RUN).glob("issue-*.md"))]
    assert [each for each in planted for text in texts if each in text] == []
    assert "Paths, users, hosts, addresses and tokens were replaced." in texts[0]


def test_nothing_private_stands_in_the_views_either(reports, planted, capsys):
    assert main(["report", RUN]) == 0
    for name in ("matrix.md", "matrix.html"):
        text = (reports / RUN / name).read_text()
        assert [each for each in planted if each in text] == [], name


def test_what_is_private_stays_only_where_that_is_asked_for_and_said(reports, planted, capsys):
    assert main(["issue", RUN, "-o", "-", "--no-redact"]) == 0
    said = capsys.readouterr()
    assert "/home/bob/first.toml" in said.out
    assert "**Nothing was replaced (`--no-redact`)" in said.out
    assert said.err.startswith("note: paths, names, addresses and tokens of this machine are not redacted")


@pytest.mark.parametrize("named", ["itself", "--blame", "--bisect"])
def test_a_blame_brings_its_answer(reports, named, capsys):
    shutil.copytree(FROZEN, reports / "the-blame")
    folder = RunFolder(reports / (RUN if named == "itself" else "the-blame"))
    pins = (exact_pin("transformers", "4.57.6"), exact_pin("transformers", "5.6.2"))
    change = PackageChange(package="transformers", old=pins[0], new=pins[1])
    asked = BlameQuestion(
        good="a.txt",
        bad="b.txt",
        scenario="load_4bit.py::test_reserved",
        matrix="first.toml",
        shared=Cell("3.11", ()),
        changes=(change,),
    )
    SearchRecord(question=asked).write(folder)
    assert main(["issue", RUN, "-o", "-", *([] if named == "itself" else [named, "the-blame"])]) == 2
    assert "the blame " in (said := capsys.readouterr().err)
    assert "harness blame --resume" in said
    members = ("transformers",)
    found = BlameResult(
        ending=Ending.FOUND, changes={"transformers": change.words()}, members=members, proven=(members,)
    )
    SearchRecord(question=asked, result=found).write(folder)
    assert main(["issue", RUN, "-o", "-", *([] if named == "itself" else [named, "the-blame"])]) == 0
    text = capsys.readouterr().out
    assert "Title: `[Regression between transformers 4.57.6 and 5.6.2]" in text
    assert "transformers 4.57.6 → 5.6.2 alone turns good into bad" in text
