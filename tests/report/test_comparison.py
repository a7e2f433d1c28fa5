"""A comparison on a terminal and as Markdown, as snapshots."""

from dataclasses import replace
from io import StringIO

import pytest
from inline_snapshot import external_file
from rich.console import Console

from harness.errors import ExitCode
from harness.report.comparison import (
    ComparisonView,
    EntryView,
    comparison_markdown,
    comparison_view,
    exit_sentence,
    print_comparison,
)
from harness.report.markdown import LIMIT
from harness.verdict.comparison import Change, Comparison, Difference
from harness.verdict.known_issues import Standing, State, parse
from harness.verdict.package_diff import PackageChange
from harness.verdict.result import ResultKey

ISSUE = parse(
    '[[issue]]\nscenario = "load_4bit::test_counts"\nsignature = "oom"\nversions = { transformers = ">=5" }\n'
    'tracker = "owner/repo#1"\n',
    "known_issues.toml",
)[0]


def difference(change, scenario, detail, **rest):
    return Difference(change, ResultKey("transformers=latest", scenario), None, None, detail, **rest)


@pytest.fixture
def comparison():
    return Comparison(
        old="20260301T000000Z-nightly-aaaaaa",
        new="20260302T000000Z-nightly-bbbbbb",
        differences=(
            difference(
                Change.STILL_FAILING, "load_4bit::test_counts", "fail:run:oom", known=Standing(State.KNOWN, ISSUE)
            ),
            difference(Change.FIXED, "merge::test_direct", "fail:run:timeout → pass:check"),
            difference(Change.NEW_FAILURE, "my_case::test_x <b>|", "pass:check → fail:run:exception: KeyError: 'a|b'"),
            difference(Change.NEW_FAILURE, "load_4bit::test_reserved", "pass:check → fail:check:assertion"),
            difference(Change.CHANGED, "split::test_map", "KeyError → TypeError", accepted="removed upstream"),
            difference(Change.MISSING, "*", "no result: interrupted"),
        ),
        versions={
            "transformers=latest": (PackageChange("transformers", "5.0.0", "5.1.0"), PackageChange("hub", None, "1"))
        },
        notes=("memory is not compared in 6 results: they ran on different GPU models",),
        compared=20,
        same=14,
    )


def test_the_terminal_is_as_recorded(comparison):
    stream = StringIO()
    print_comparison(comparison_view(comparison), Console(file=stream, width=100, color_system=None))
    assert stream.getvalue() == external_file("golden/comparison.txt")


def test_markdown_is_as_recorded(comparison):
    assert comparison_markdown(comparison_view(comparison)) == external_file("golden/comparison.md", format=".txt")


def test_the_exit_code_is_explained(comparison):
    assert exit_sentence(comparison, ExitCode.INCOMPLETE, ()) == "Incomplete: 1 result is missing or invalid."
    assert exit_sentence(comparison, ExitCode(1), ("new",)) == "--fail-on new: 2 found."
    nothing = replace(comparison, differences=(), compared=0)
    sentence = "Nothing was compared: no scenario has a result on both sides."
    assert exit_sentence(nothing, ExitCode.INCOMPLETE, ()) == sentence
    assert exit_sentence(comparison, ExitCode.COMPLETE, ()) == ""


def test_markdown_stays_under_its_limit_and_counts_what_it_leaves_out():
    entries = tuple(EntryView(Change.NEW_FAILURE, f"f::t{n}", "a=latest", "x" * 250) for n in range(5000))
    versions = tuple((f"series-{n}", "torch 1 → 2") for n in range(2000))
    view = ComparisonView("old", "new", entries, versions, (), "much.")
    text = comparison_markdown(view)
    assert len(text) < LIMIT
    assert "### new failure (5000)" in text
    assert len(comparison_markdown(view, limit=300)) < 300
