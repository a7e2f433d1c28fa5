"""Parts of one matrix become one run: cells united, attempts counted on, machines kept."""

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from harness import load_table as load
from harness.cli.main import main
from harness.errors import ConfigError
from harness.report.write import known_issues, write_views
from harness.store.journal import Journal
from harness.store.merge import merge, part_names, united_issues
from harness.store.records import AttemptRecord, CellRecord, GpuRecord, HostRecord, RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder, folder_name

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TEST = "a::test_x"


def gpu(name: str) -> HostRecord:
    cards = (GpuRecord(uuid=f"GPU-{name}", name=name, memory_bytes=10, driver="1"),) if name else ()
    return HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=100, gpus=cards)


def make_part(root: Path, name: str, cells: dict[str, list[str]], *, card="", hour=0, matrix=None, versions=None):
    """Write a run folder: cell → outcomes of its attempts."""
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True)
    records = tuple(
        CellRecord(
            id=cell,
            labels={"six": cell},
            pins={"six": cell},
            python="3.11",
            versions={"six": cell, **(versions or {})},
            reference=cell == "c1",
        )
        for cell in cells
    )
    folder.write_record(
        RunRecord(
            name="m",
            started=NOW + timedelta(hours=hour),
            matrix=matrix or {"name": "m"},
            matrix_file="m.toml",
            scenarios=(ScenarioInfo(id=TEST, nodeid="/x/a.py::test_x"),),
            cells=records,
            axes=("six",),
            host=gpu(card),
            harness_version="1",
        )
    )
    journal = Journal(folder.journal_file)
    journal.write("run_started", jobs=1)
    for cell, outcomes in cells.items():
        journal.write("collected", cell=cell, scenarios=[{"id": TEST}])
        (folder.cell(cell)).mkdir(parents=True)
        (folder.cell(cell) / "env.json").write_text(json.dumps({"of": name}))
        for number, outcome in enumerate(outcomes, 1):
            place = folder.attempt(cell, TEST, number)
            place.mkdir(parents=True)
            (place / "output.log").write_text(f"{name} {number}")
            journal.write("attempt_started", cell=cell, scenario=TEST, attempt=number)
            journal.attempt(
                AttemptRecord(
                    cell=cell,
                    scenario=TEST,
                    attempt=number,
                    outcome=outcome,
                    started=NOW,
                    seconds=1,
                    folder=str(place.relative_to(folder.path)),
                )
            )
    journal.write("run_finished")
    journal.close()
    return folder


def test_cells_of_two_machines_become_one_run_with_each_row_s_own_gpu(tmp_path):
    one = make_part(tmp_path, "one", {"c1": ["pass:check"]}, card="H200")
    two = make_part(tmp_path, "two", {"c2": ["fail:run:oom"]}, card="T4", hour=1)
    merged, notes = merge([two, one], tmp_path / "all")
    record = merged.read_record()
    assert [cell.id for cell in record.cells] == ["c1", "c2"]
    assert [(part.run, part.cells) for part in record.parts] == [("one", ("c1",)), ("two", ("c2",))]
    assert {card.name for card in record.host.gpus} == {"H200", "T4"}
    assert notes == ("the parts ran on different GPUs, so compare their figures with care (one: H200; two: T4)",)
    write_views(merged)
    frame = load(merged.path)
    assert dict(zip(frame["cell"], frame["gpu"], strict=True)) == {"c1": "H200", "c2": "T4"}


def test_attempts_of_one_cell_are_counted_on_and_keep_their_files(tmp_path):
    one = make_part(tmp_path, "one", {"c1": ["pass:check", "fail:run:oom"]})
    two = make_part(tmp_path, "two", {"c1": ["pass:check"]}, hour=1)
    merged, notes = merge([one, two], tmp_path / "all")
    found = {attempt.attempt: attempt for attempt in merged.attempts()}
    assert sorted(found) == [1, 2, 3]
    assert [found[number].part for number in (1, 2, 3)] == ["one", "one", "two"]
    for number, text in ((1, "one 1"), (2, "one 2"), (3, "two 1")):
        assert found[number].folder == f"cells/c1/{folder_name(TEST)}/{number}"
        assert (merged.path / found[number].folder / "output.log").read_text() == text
    assert json.loads((merged.cell("c1") / "env.json").read_text()) == {"of": "one"}
    assert json.loads((merged.cell("c1") / "parts" / "two" / "env.json").read_text()) == {"of": "two"}
    assert notes == ()


def test_a_merged_run_can_be_merged_again_and_keeps_its_parts(tmp_path):
    parts = [make_part(tmp_path, name, {"c1": ["pass:check"]}, hour=hour) for hour, name in enumerate("abc")]
    first, _ = merge(parts[:2], tmp_path / "ab")
    again = merge([first, parts[2]], tmp_path / "abc")[0]
    assert [part.run for part in again.read_record().parts] == ["a", "b", "c"]
    assert [(attempt.attempt, attempt.part) for attempt in again.attempts()] == [(1, "a"), (2, "b"), (3, "c")]


def test_the_parts_are_left_as_they_were(tmp_path):
    parts = [make_part(tmp_path, name, {"c1": ["pass:check"]}) for name in ("one", "two")]
    before = {path: path.read_bytes() for part in parts for path in part.path.rglob("*") if path.is_file()}
    merge(parts, tmp_path / "all")
    assert {path: path.read_bytes() for part in parts for path in part.path.rglob("*") if path.is_file()} == before


def test_packages_that_no_pin_holds_and_that_differ_are_named(tmp_path):
    one = make_part(tmp_path, "one", {"c1": ["pass:check"]}, versions={"numpy": "1", "tqdm": "1"})
    two = make_part(tmp_path, "two", {"c1": ["pass:check"]}, versions={"numpy": "2", "tqdm": "1"})
    assert merge([one, two], tmp_path / "all")[1] == ("c1 had other releases of numpy in one part than in another",)


def test_an_attempt_that_never_started_keeps_its_nought(tmp_path):
    one = make_part(tmp_path, "one", {"c1": ["pass:check"]})
    two = make_part(tmp_path, "two", {"c1": []}, hour=1)
    journal = Journal(two.journal_file)
    journal.attempt(
        AttemptRecord(
            cell="c1", scenario=TEST, attempt=0, outcome="fail:install:install_failed", started=NOW, seconds=0
        )
    )
    journal.close()
    assert [attempt.attempt for attempt in merge([one, two], tmp_path / "all")[0].attempts()] == [1, 0]


@pytest.mark.parametrize(
    ("matrix", "sentence"), [({"name": "m", "axes": {"six": ["2"]}}, "differ in axes: only runs of one matrix")]
)
def test_runs_of_different_matrices_are_refused(tmp_path, matrix, sentence):
    one = make_part(tmp_path, "one", {"c1": ["pass:check"]})
    two = make_part(tmp_path, "two", {"c1": ["pass:check"]}, matrix=matrix)
    with pytest.raises(ConfigError, match=sentence):
        merge([one, two], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_runs_of_matrices_with_other_names_are_refused(tmp_path):
    one, two = (make_part(tmp_path, name, {"c1": []}) for name in ("one", "two"))
    two.write_record(two.read_record().model_copy(update={"name": "n"}))
    with pytest.raises(ConfigError, match="one is a run of m and two one of n"):
        merge([one, two], tmp_path / "all")


def test_one_run_or_the_same_twice_is_refused(tmp_path):
    one = make_part(tmp_path, "one", {"c1": []})
    for parts in ([one], [one, one]):
        with pytest.raises(ConfigError, match="two or more different runs"):
            merge(parts, tmp_path / "all")


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path):
    parts = [make_part(tmp_path, name, {"c1": []}) for name in ("one", "two")]
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "mine").touch()
    with pytest.raises(ConfigError, match="exists; name a new folder"):
        merge(parts, tmp_path / "all")


ISSUE = '[[issue]]\nscenario = "{}"\nsignature = "s"\nversions = {{ six = ">=1" }}\ntracker = "a/b#1"\n'


def test_every_known_issue_of_every_part_holds_and_who_did_not_know_it_is_said(tmp_path):
    outcomes = {"c1": ["fail:check:assertion"]}
    one, two, three = (
        make_part(tmp_path, name, outcomes, hour=hour) for hour, name in enumerate(["one", "two", "old"])
    )
    one.known_issues_file.write_text("# why\n" + ISSUE.format("a::test_x"))
    two.known_issues_file.write_text(ISSUE.format("a::test_x") + "review_by = 2027-01-31\n" + ISSUE.format("b::*"))
    three.known_issues_file.unlink(missing_ok=True)  # as runs of before did
    merged, notes = merge([one, two, three], tmp_path / "all")
    issues = known_issues(merged)
    assert [(issue.scenario, str(issue.review_by)) for issue in issues] == [
        ("a::test_x", "None"),
        ("a::test_x", "2027-01-31"),
        ("b::*", "None"),
    ]
    (note,) = notes
    assert "a::test_x s a/b#1 only in one; a::test_x s a/b#1 only in two; b::* s a/b#1 only in two" in note


def test_known_issues_that_are_the_same_in_all_parts_stay_as_they_are_written(tmp_path):
    parts = [make_part(tmp_path, name, {"c1": []}) for name in ("one", "two")]
    parts[0].known_issues_file.write_text("# why\n" + ISSUE.format("a::test_x"))
    parts[1].known_issues_file.write_text(ISSUE.format("a::test_x"))
    merged, notes = merge(parts, tmp_path / "all")
    assert merged.known_issues_file.read_text() == "# why\n" + ISSUE.format("a::test_x")
    assert notes == ()


def test_known_issues_that_cannot_be_read_end_it_before_anything_is_written(tmp_path):
    parts = [make_part(tmp_path, name, {"c1": []}) for name in ("one", "two")]
    parts[1].known_issues_file.write_text("[[issue]\n")
    with pytest.raises(ConfigError, match=r"the known_issues\.toml of two is not valid TOML"):
        merge(parts, tmp_path / "all")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ENTRIES = st.fixed_dictionaries(
    {"scenario": TEXTS, "versions": st.dictionaries(TEXTS, TEXTS, max_size=2)},
    optional={"note": TEXTS, "review_by": st.dates()},
)


@given(st.lists(ENTRIES, max_size=4), st.lists(ENTRIES, min_size=1, max_size=4))
def test_what_is_united_is_read_back_as_it_was(first, second):
    both, _ = united_issues(
        {name: tomli_w.dumps({"issue": issues}) for name, issues in (("one", first), ("two", second))}
    )
    wanted = [*first, *second]
    expected = [entry for number, entry in enumerate(wanted) if entry not in wanted[:number]]
    found = tomllib.loads(both).get("issue", [])
    assert [entry for number, entry in enumerate(found) if entry not in found[:number]] == expected


def test_parts_of_one_name_are_told_apart():
    assert part_names([RunFolder(Path("a/r")), RunFolder(Path("b/r")), RunFolder(Path("c/s"))]) == ["r", "r.2", "s"]


def test_a_run_folder_written_before_parts_were_known_is_read(tmp_path):
    folder = make_part(tmp_path, "one", {"c1": ["pass:check"]})
    content = json.loads(folder.record_file.read_text())
    del content["parts"]
    folder.record_file.write_text(json.dumps(content))
    assert folder.read_record().parts == ()


def test_the_command_merges_and_notes_how_the_parts_differ(tmp_path, capsys):
    one = make_part(tmp_path, "one", {"c1": ["pass:check"]}, card="H200")
    two = make_part(tmp_path, "two", {"c2": ["pass:check"]}, card="T4", hour=1)
    arguments = ["merge", str(one.path), str(two.path), "-o", str(tmp_path / "all")]
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert Path(answer["markdown"]).read_text()
    assert "H200" in answer["notes"][0]
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"harness: {tmp_path / 'all'} exists; name a new folder with -o\n"
