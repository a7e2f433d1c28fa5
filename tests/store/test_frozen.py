"""A run folder as the first schema wrote it is still read, tabled, rendered and merged.

``frozen/first-schema`` was written by the harness as it was then. Never write it anew: it stands for what users keep.
"""

import shutil
from pathlib import Path

import pytest

import harness
from harness.report.write import write_views
from harness.store.merge import merge
from harness.store.run_folder import RunFolder

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
    merged = merge([old, other], tmp_path / "both")
    assert sorted(each.attempt for each in merged.folder.attempts()) == [1, 1, 1, 1, 2, 2, 2, 2]
