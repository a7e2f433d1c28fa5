"""A comparison as Markdown stays within its limit."""

from harness.report.comparison import ComparisonView, EntryView, comparison_markdown
from harness.report.markdown import LIMIT
from harness.verdict.comparison import Change


def test_markdown_stays_under_its_limit_and_counts_what_it_leaves_out():
    entries = tuple(EntryView(Change.NEW_FAILURE, f"f::t{n}", "a=latest", "x" * 250) for n in range(5000))
    versions = tuple((f"series-{n}", "torch 1 → 2") for n in range(2000))
    view = ComparisonView("old", "new", entries, versions, (), "much.")
    text = comparison_markdown(view)
    assert len(text) < LIMIT
    assert "### new failure (5000)" in text
    assert len(comparison_markdown(view, limit=300)) < 300
