"""Parts of one matrix become one run: cells united, attempts counted on, machines kept."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigError
from harness.report.write import write_views
from harness.store.folder import RunFolder, folder_name
from harness.store.journal import Journal
from harness.store.merge import merge, part_names
from harness.store.records import AttemptRecord, CellRecord, GpuRecord, HostRecord, RunRecord, ScenarioInfo
from harness.store.table import load

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
    merged = merge([two, one], tmp_path / "all")
    record = merged.folder.read_record()
    assert [cell.id for cell in record.cells] == ["c1", "c2"]
    assert [(part.run, part.cells) for part in record.parts] == [("one", ("c1",)), ("two", ("c2",))]
    assert {card.name for card in record.host.gpus} == {"H200", "T4"}
    assert merged.notes == ("the parts ran on different GPUs, so compare their figures with care (one: H200; two: T4)",)
    write_views(merged.folder)
    frame = load(merged.folder.path)
    assert dict(zip(frame["cell"], frame["gpu"], strict=True)) == {"c1": "H200", "c2": "T4"}


def test_attempts_of_one_cell_are_counted_on_and_keep_their_files(tmp_path):
    one = make_part(tmp_path, "one", {"c1": ["pass:check", "fail:run:oom"]})
    two = make_part(tmp_path, "two", {"c1": ["pass:check"]}, hour=1)
    merged = merge([one, two], tmp_path / "all")
    found = {attempt.attempt: attempt for attempt in merged.folder.attempts()}
    assert sorted(found) == [1, 2, 3]
    assert [found[number].part for number in (1, 2, 3)] == ["one", "one", "two"]
    for number, text in ((1, "one 1"), (2, "one 2"), (3, "two 1")):
        assert found[number].folder == f"cells/c1/{folder_name(TEST)}/{number}"
        assert (merged.folder.path / found[number].folder / "output.log").read_text() == text
    assert json.loads((merged.folder.cell("c1") / "env.json").read_text()) == {"of": "one"}
    assert json.loads((merged.folder.cell("c1") / "parts" / "two" / "env.json").read_text()) == {"of": "two"}
    assert merged.notes == ()


def test_a_merged_run_can_be_merged_again_and_keeps_its_parts(tmp_path):
    parts = [make_part(tmp_path, name, {"c1": ["pass:check"]}, hour=hour) for hour, name in enumerate("abc")]
    first = merge(parts[:2], tmp_path / "ab")
    again = merge([first.folder, parts[2]], tmp_path / "abc").folder
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
    assert merge([one, two], tmp_path / "all").notes == ("c1 had other releases of numpy in one part than in another",)


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
    assert [attempt.attempt for attempt in merge([one, two], tmp_path / "all").folder.attempts()] == [1, 0]


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
    with pytest.raises(ConfigError, match="is there already"):
        merge(parts, tmp_path / "all")


def test_parts_of_one_name_are_told_apart():
    assert part_names([RunFolder(Path("a/r")), RunFolder(Path("b/r")), RunFolder(Path("c/s"))]) == ["r", "r.2", "s"]


def test_a_run_folder_written_before_parts_were_known_is_read(tmp_path):
    folder = make_part(tmp_path, "one", {"c1": ["pass:check"]})
    content = json.loads(folder.record_file.read_text())
    del content["parts"]
    folder.record_file.write_text(json.dumps(content))
    assert folder.read_record().parts == ()


def test_the_command_merges_renders_and_says_what_sets_the_parts_apart(tmp_path, capsys):
    one = make_part(tmp_path, "one", {"c1": ["pass:check"]}, card="H200")
    two = make_part(tmp_path, "two", {"c2": ["pass:check"]}, card="T4", hour=1)
    arguments = ["merge", str(one.path), str(two.path), "-o", str(tmp_path / "all")]
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert Path(said["markdown"]).read_text()
    assert "H200" in said["notes"][0]
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"harness: {tmp_path / 'all'} is there already; name a new folder with -o\n"
