"""The report as Markdown: a snapshot, its limit, and texts that become no markup."""

import re

import pytest
from inline_snapshot import external_file

from harness.report.markdown import LIMIT, code, escaped, render
from tests.contexts import build


def test_markdown_is_as_recorded(context):
    assert render(context) == external_file("golden/matrix.md", format=".txt")


def big(make_run, make_cell, make_red, make_info, hf_init, columns, rows):
    cells = tuple(make_cell(f"5.{number}.0", "1.0") for number in range(columns))
    infos = tuple(make_info(f"many::test_{number}_{'long' * 20}", "A1", "title") for number in range(rows))
    attempts = [
        make_red(where, info.id, "fail:run:exception", hf_init, f"{where.id}{info.id}" * 3)
        for where in cells
        for info in infos
    ]
    return build(make_run(cells=cells, scenarios=infos), attempts)


@pytest.mark.parametrize(
    ("columns", "rows", "whole_is_too_long"),
    [(1, 1, False), (60, 80, False), (400, 3, True), (3, 900, True), (250, 150, True)],
)
def test_markdown_always_fits_into_an_issue(
    make_run, make_cell, make_red, make_info, hf_init, columns, rows, whole_is_too_long
):
    context = big(make_run, make_cell, make_red, make_info, hf_init, columns, rows)
    text = render(context)
    assert len(text) < LIMIT
    assert ("Left out to stay within the size of an issue" in text) == whole_is_too_long


@pytest.mark.parametrize("limit", [100, 1_000, 4_000, 7_000, 20_000])
def test_a_smaller_limit_holds_too_and_says_so(context, limit):
    text = render(context, limit)
    assert len(text) < limit
    assert ("eft out" in text) == (limit < 20_000)


def test_the_least_useful_goes_first(context):
    full = len(render(context))
    shorter = render(context, full - 1)
    assert "Left out to stay within the size of an issue: the table of versions." in shorter
    assert "test_split_base" in shorter


def test_every_table_row_has_as_many_cells_as_its_head(context):
    width = 0
    for line in render(context).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (cells and width) or cells == width, line
        width = cells


def test_hostile_text_starts_no_markup(context):
    text = re.sub(r"`[^`]*`", "", render(context))
    assert "<script" not in text
    assert "<b>" not in text
    assert escaped("dev@1a2b3c4d (@me)") == "dev@1a2b3c4d (@\u200bme)"
    assert escaped("a|b*c_d <b> `e` @someone") == "a\\|b\\*c\\_d &lt;b&gt; \\`e\\` @\u200bsomeone"
    assert code("a|b `c`") == "`a\\|b ʼcʼ`"
