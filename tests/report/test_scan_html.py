"""The page of a scan is self-contained and lists every release."""

import re

import pytest

from harness.report.scan_html import page, render
from harness.report.write import write_scan
from harness.store.run_folder import RunFolder


@pytest.mark.parametrize(
    ("values", "rest"),
    [
        ([5.0, 5.1, 13.0], {"bound": 8}),
        ([None, None], {"bound": 8}),
        ([5.0], {}),
        (None, {"answers": [False, None, True]}),
    ],
)
def test_the_page_stands_alone_and_every_release_has_a_text(tmp_path, make_scan, make_run, values, rest):
    scan, folder = make_scan(values, **rest), RunFolder(tmp_path)
    folder.write_record(make_run(command=("harness", "bisect", "p", "--matrix", f"{tmp_path}/m.toml")))
    text = write_scan(folder, scan).read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert str(tmp_path) not in text
    assert "<None>" not in text
    for point in scan.points:
        assert re.search(rf"<title>{re.escape(point.release)}: [^<]", text)
        assert f"<th>{point.release}</th>" in text


def test_a_scan_is_redacted(tmp_path, make_scan, make_run, private_machine):
    folder = RunFolder(tmp_path)
    folder.write_record(make_run(command=("harness", "bisect", "p", "--on", "lab-gpu7")))
    text = write_scan(folder, make_scan([5.0])).read_text()
    assert "lab-gpu7" not in text
    assert "&lt;host&gt;" in text


def test_answers_are_counted_in_the_order_good_bad_undecided(make_scan, make_run):
    shown = page(make_scan(None, answers=[None, True, False, True]), make_run())
    assert shown.counts == (("good", 1), ("bad", 2), ("undecided", 1))
    assert "2 bad" in render(shown)
