"""Run folders as earlier versions wrote them are still read, tabled, rendered, merged and gone on from.

The folders in ``frozen`` were written by the harness as it was then. Never renew them: they are what users keep.
"""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from inline_snapshot import snapshot

import harness
from harness.cli.main import main
from harness.nightly.night import read_ledger
from harness.report.write import write_views
from harness.store.merge import merge
from harness.store.records import RunKind
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run, kind_of
from harness.verdict.results import read_results

FROZEN = Path(__file__).parent / "frozen" / "first-schema"


@pytest.fixture
def old(tmp_path):
    return RunFolder(shutil.copytree(FROZEN, tmp_path / "old"))


def test_its_records_are_read_with_what_they_did_not_know_left_empty(old):
    record, attempts = old.read_record(), old.attempts()
    assert [cell.id for cell in record.cells] == ["4.57.6-abc4", "5.6.2-abc5"]
    assert record.cells[0].versions["tokenizers"] == "0.22.1"
    assert record.parts == ()
    assert [str(each.outcome) for each in attempts] == [
        "pass:check",
        "fail:check:assertion",
        "pass:check",
        "skip:run:no_gpu",
    ]
    assert (attempts[0].ran_on, attempts[0].gpus_before, attempts[0].placements) == ("", (), {})
    assert attempts[1].expectations[0].about == ""


def test_its_table_has_its_figures(old):
    frame = harness.load_table(old.path)
    assert list(frame["cuda_reserved.load"].dropna()) == [7194070220, 14849849000]
    assert frame["ran_on"].isna().all()


def test_its_views_show_what_is_red_and_what_was_simulated(old):
    views = write_views(old)
    assert "reserved-as-unquantized" in views.markdown.read_text(encoding="utf-8")
    boxes = {row.scenario: row.table_cells for row in views.context.rows}
    assert [box.status for box in boxes["load_4bit::test_reserved"]] == ["pass", "fail"]
    assert boxes["split::test_layers"][0].ran_on == "simulated"
    assert views.html.stat().st_size > 0


def test_it_is_merged_with_another(old, tmp_path):
    other = RunFolder(shutil.copytree(FROZEN, tmp_path / "other"))
    merged, _ = merge([old, other], tmp_path / "both")
    assert sorted(each.attempt for each in merged.attempts()) == [1, 1, 1, 1, 2, 2, 2, 2]


# As commit 9004411 wrote them: a run with a cell that has no solution, the night after it, and two runs merged.
SCHEMA_1 = FROZEN.parent / "schema-1"
RUN, NIGHT = "20261130T231731Z-m-266630", "20261130T231737Z-m-aadb21"


@pytest.fixture
def reports(tmp_path):
    return Path(shutil.copytree(SCHEMA_1, tmp_path / "reports"))


def statuses(folder):
    return {(one.cell[:-7], key.scenario): str(one.status) for key, one in read_results(folder).items()}


def test_a_cell_that_schema_1_called_failed_is_unavailable(reports):
    found = statuses(RunFolder(reports / RUN))
    assert found == snapshot(
        {
            ("packaging-25.0", "f::test_other"): "pass",
            ("packaging-25.0", "f::test_version[a]"): "pass",
            ("packaging-25.0", "f::test_version[b]"): "fail",
            ("packaging-99", "f::test_other"): "unavailable",
            ("packaging-99", "f::test_version[a]"): "unavailable",
            ("packaging-99", "f::test_version[b]"): "unavailable",
        }
    )


def test_the_kinds_of_runs_of_schema_1_are_known(reports):
    kinds = {path.name: kind_of(RunFolder(path)) for path in sorted(reports.iterdir())}
    assert kinds == {RUN: RunKind.RUN, NIGHT: RunKind.NIGHT, "merged": RunKind.MERGED}
    assert find_run("latest", reports).path.name == NIGHT


def test_a_merged_run_of_schema_1_says_what_its_parts_say(reports):
    merged, run = statuses(RunFolder(reports / "merged")), statuses(RunFolder(reports / RUN))
    assert merged.items() >= run.items()
    assert merged["packaging-24.2", "f::test_other"] == "pass"


def test_the_night_after_one_of_schema_1_reads_its_ledger(reports):
    ledger = read_ledger(reports, NIGHT)
    found = {(key.series, key.scenario): str(one.status) for key, one in ledger.last_results().items()}
    assert found == snapshot(
        {
            ("packaging=24.2", "f::test_other"): "pass",
            ("packaging=24.2", "f::test_version[a]"): "pass",
            ("packaging=24.2", "f::test_version[b]"): "pass",
            ("packaging=25.0", "f::test_other"): "pass",
            ("packaging=25.0", "f::test_version[a]"): "pass",
            ("packaging=25.0", "f::test_version[b]"): "fail",
            ("packaging=99", "*"): "unavailable",
        }
    )
    later = RunFolder(shutil.copytree(reports / NIGHT, reports / "20261201T231737Z-m-aadb21"))
    for file in ("night.json", "nightly.json", "ledger.json.gz"):
        (later.path / file).unlink()
    record = later.read_record()
    later.write_record(record.model_copy(update={"started": record.started + timedelta(days=1)}))
    assert main(["nightly", "--judge", str(later.path), "--reports", str(reports)]) == 4  # no control cell ran
    told = json.loads((later.path / "nightly.json").read_text(encoding="utf-8"))
    assert (told["previous"], told["counts"]) == (NIGHT, {"fail": 1, "pass": 5, "unavailable": 1})
