"""The summary on a terminal, as a snapshot."""

from inline_snapshot import external_file

from tests.contexts import build


def test_summary_is_as_recorded(context, summary_text):
    assert summary_text(context) == external_file("golden/summary.txt")


def test_a_change_of_a_scenario_without_a_row_has_no_placeholder(make_run, attempts, summary_text):
    plain = tuple(one.model_copy(update={"row": None}) for one in make_run().scenarios)
    text = summary_text(build(make_run(scenarios=plain), attempts))
    assert "new failure     transformers  load_4bit::test_reserved_memory" in text


def test_summary_of_a_run_without_changes(make_run, summary_text):
    assert "No scenario changes between" in summary_text(build(make_run(), []))
