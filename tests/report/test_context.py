"""What the report says is decided by the context; these tests compare contexts, never HTML."""

import pytest

from harness.store.records import ScenarioInfo, Status
from harness.verdict.comparison import Change
from tests.contexts import build


def row(context, scenario):
    return next(each for each in context.rows if each.scenario == scenario)


def words(context, scenario):
    return [str(result.status) for result in row(context, scenario).table_cells]


def test_rows_follow_the_field_report_and_columns_the_axes(context):
    order = [(each.report_row, each.scenario.partition("::")[0]) for each in context.rows]
    assert [number or "-" for number, _ in order] == [
        "A1",
        "A3",
        "A6",
        "A7",
        "A10",
        "B1",
        "B2",
        "D2",
        "D2",
        "D5",
        "E1",
        "-",
    ]
    assert [column.labels for column in context.columns][:3] == [
        ("4.57.5", "1.11.0"),
        ("4.57.5", "1.13.0"),
        ("5.0.0", "1.11.0"),
    ]


def test_the_head_merges_neighbours_of_the_outer_axis(context):
    outer, inner = context.header
    assert [(each.label, each.span) for each in outer.cells] == [
        ("4.57.5", 2),
        ("5.0.0", 2),
        ("5.3.0", 2),
        ("5.10.4", 2),
        ("6.0.0.dev0", 1),
    ]
    assert [each.span for each in inner.cells] == [1] * 9


def test_cells_written_in_any_order_are_grouped(make_run, make_cell, attempts):
    cells = [make_cell(t, a) for a in ("1.11.0", "1.13.0") for t in ("4.57.5", "5.0.0")]
    context = build(make_run(cells=tuple(cells)), [])
    assert [(each.label, each.span) for each in context.header[0].cells] == [("4.57.5", 2), ("5.0.0", 2)]


def test_parametrized_scenarios_have_a_row_each_and_the_function_none(context):
    names = [each.scenario for each in context.rows if each.scenario.startswith("adapters::test_split_base")]
    assert names == ["adapters::test_split_base[double]", "adapters::test_split_base[single]"]
    assert row(context, names[0]).report_row == "D2"


def test_what_has_no_attempt_is_a_miss_and_never_green(context):
    results = row(context, "my_case::test_never_ran").table_cells
    assert {result.status for result in results[:-1]} == {Status.MISS}
    assert results[0].attempts == ()
    assert results[0].outcome == "miss"


def test_no_attempts_at_all_are_all_misses(make_run):
    counts = build(make_run(), []).counts()
    assert counts[Status.MISS] == 11 * 9
    assert sum(counts.values()) == counts[Status.MISS]


def test_an_unsolvable_cell_fills_its_column_with_the_resolvers_sentence(context):
    last = [each.table_cells[-1] for each in context.rows]
    assert {(result.status, result.label, result.applies_to) for result in last} == {
        (Status.UNAVAILABLE, "unsolvable", "cell")
    }
    assert all("huggingface-hub <1.0" in result.detail for result in last)
    assert context.columns[-1].unavailable == last[0].detail
    assert context.columns[0].unavailable is None


def test_a_cell_that_ran_after_all_is_available(make_run, make_cell, make_attempt):
    where = make_cell("5.0.0", "1.13.0")
    early = make_attempt(where, "*", "fail:install:install_failed", number=0, detail="no disk")
    later = make_attempt(where, "load_4bit::test_keyword")
    context = build(make_run(cells=(where,)), [early, later])
    assert context.columns[0].unavailable is None
    assert words(context, "load_4bit::test_keyword") == ["pass"]
    assert words(context, "merge::test_direct") == ["miss"]


def test_a_file_that_is_not_collected_speaks_for_its_rows_only(context):
    result = row(context, "multimodal::test_gemma3_generates").table_cells[0]
    assert (result.status, result.label, result.applies_to) == (Status.FAIL, "import error", "file")
    assert words(context, "load_4bit::test_keyword")[0] == "pass"


def test_attempts_that_disagree_are_flaky_and_show_the_failure(context):
    result = row(context, "load_4bit::test_budget_refused").table_cells[6]
    assert result.status is Status.FLAKY
    assert result.outcome == "flaky(fail:run:crash, pass:check)"
    assert result.signature.id == "crash:SIGSEGV"
    assert [(each.number, each.outcome) for each in result.attempts] == [(1, "fail:run:crash"), (2, "pass:check")]
    assert result.change is Change.FLAKY


def test_an_interrupted_attempt_is_shown_beside_the_one_that_counts(make_run, make_cell, make_attempt):
    where = make_cell("5.0.0", "1.13.0")
    interrupted = make_attempt(where, "merge::test_direct", "miss:run:interrupted")
    context = build(make_run(cells=(where,)), [interrupted, make_attempt(where, "merge::test_direct")])
    assert words(context, "merge::test_direct") == ["pass"]
    assert len(row(context, "merge::test_direct").table_cells[0].attempts) == 2


def test_changes_against_the_reference_with_the_same_other_axis(context):
    assert context.columns[3].compared_with == context.columns[1].id
    assert context.columns[0].compared_with is None
    results = row(context, "load_4bit::test_keyword").table_cells
    assert [result.change for result in results[:3]] == [None, None, Change.NEW_FAILURE]
    assert row(context, "multimodal::test_gemma4_generates").table_cells[2].change is Change.CHANGED
    assert row(context, "multimodal::test_gemma3_generates").table_cells[2].change is Change.FIXED
    assert row(context, "adapters::test_broad_targets").table_cells[6].change is Change.DISAPPEARED


def test_two_failures_of_one_outcome_but_two_signatures_are_a_change(make_run, make_cell, make_red, hf_init):
    reference, other = make_cell("4.57.5", "1.11.0"), make_cell("5.0.0", "1.11.0")
    second = hf_init.model_copy(update={"message": "another"})
    context = build(
        make_run(cells=(reference, other)),
        [
            make_red(reference, "merge::test_direct", "fail:run:exception", hf_init, "first"),
            make_red(other, "merge::test_direct", "fail:run:exception", second, "second"),
        ],
    )
    assert row(context, "merge::test_direct").table_cells[1].change is Change.CHANGED
    assert [each.change for each in context.axis_changes] == [Change.CHANGED]


def test_details_of_a_failure(context):
    result = row(context, "adapters::test_split_base[double]").table_cells[2]
    assert (result.signature.rule, result.signature.tracker) == (
        "bnb-params4bit-hf-init",
        "bitsandbytes-foundation/bitsandbytes#1900",
    )
    assert result.frames[-1] == "accelerate/utils/modeling.py:385 in set_module_tensor_to_device"
    folder = "cells/transformers-5.0.0-accelerate-1.11.0-0a1b2c/adapters.test_split_base%5Bdouble%5D/1"
    assert result.attempts[0].links == tuple(
        f"{folder}/{name}" for name in ("report.json", "output.log", "events.jsonl")
    )


def test_a_killed_attempt_links_no_report(context):
    result = row(context, "merge::test_direct").table_cells[6]
    assert [link.rsplit("/", 1)[1] for link in result.attempts[0].links] == ["output.log", "events.jsonl"]


def test_memory_stands_beside_the_reference(context):
    figures = {
        (each.name, each.phase): each for each in row(context, "load_4bit::test_reserved_memory").table_cells[2].figures
    }
    reserved = figures["cuda_reserved", "load"]
    assert (reserved.value, reserved.reference.median, reserved.unit, reserved.changed) == (
        14849849425,
        7194070220,
        "bytes",
        True,
    )
    assert not figures["cuda_allocated", "load"].changed
    assert figures["linear4bit", ""].unit == ""
    assert figures["footprint_bytes", ""].unit == "bytes"
    assert figures["seconds", "load"].unit == "s"


def test_versions_that_differ_include_those_nobody_pinned(context):
    found = [(each.package, each.after, each.before) for each in context.columns[2].differences]
    assert found == [("transformers", "5.0.0", "4.57.5"), ("huggingface-hub", "1.3.4", "0.36.2")]
    assert context.columns[0].differences == ()
    assert context.columns[-1].differences == ()


def test_groups_count_cells_and_name_trackers(context):
    group = next(each for each in context.groups if each.rule == "bnb-params4bit-hf-init")
    assert (len(group.cells), group.total_cells, len(group.scenarios)) == (2, 9, 2)
    assert group.trackers == ("bitsandbytes-foundation/bitsandbytes#1900",)
    reserved = next(each for each in context.groups if each.key == "expectation: reserved near allocated")
    assert reserved.trackers == ("huggingface/transformers#44387",)
    sizes = [len(each.cells) for each in context.groups]
    assert sizes == sorted(sizes, reverse=True)


def test_every_red_box_is_in_one_group(context):
    red = {(each.scenario, result.cell) for each in context.rows for result in each.table_cells if result.is_red}
    grouped = {(scenario, cell) for each in context.groups for scenario in each.scenarios for cell in each.cells}
    assert red <= grouped


def sentences(context, scenario, axis="transformers"):
    return [
        (each.sentence, each.where) for each in context.axis_changes if (each.scenario, each.axis) == (scenario, axis)
    ]


def test_differences_say_from_which_release_on(context):
    assert sentences(context, "load_4bit::test_keyword") == [("passes in 4.57.5, fails from 5.0.0 on", ())]
    assert sentences(context, "multimodal::test_gemma4_generates") == [
        ("fails in 4.57.5 and differently in 5.0.0", ()),
        ("fails in 5.0.0, passes from 5.3.0 on", ()),
    ]


def test_differences_name_the_other_axis_where_it_matters(context):
    assert sentences(context, "adapters::test_split_base[double]") == [
        ("passes in 4.57.5, fails from 5.0.0 to 5.3.0", ("accelerate 1.11.0",)),
        ("fails in 5.3.0, passes from 5.10.4 on", ("accelerate 1.11.0",)),
    ]
    assert sentences(context, "adapters::test_split_base[double]", "accelerate") == [
        ("fails in 1.11.0, passes from 1.13.0 on", ("transformers 5.0.0", "transformers 5.3.0"))
    ]


def test_differences_follow_the_releases_where_the_reference_cell_is_first(make_run, make_cell, make_attempt):
    outcomes = {"5.0.0": "pass:check", "4.57.5": "fail:run:exception", "dev": "pass:check", "5.10.4": "pass:check"}
    cells = {version: make_cell(version, "1.13.0", reference=version == "5.0.0") for version in outcomes}
    attempts = [make_attempt(cells[version], "merge::test_direct", outcome) for version, outcome in outcomes.items()]
    context = build(make_run(cells=tuple(cells.values())), attempts)
    assert sentences(context, "merge::test_direct") == [("fails in 4.57.5, passes from 5.0.0 on", ())]


def test_skips_and_flaky_results_are_no_difference(context):
    assert sentences(context, "adapters::test_broad_targets") == []
    assert sentences(context, "load_4bit::test_budget_refused") == []


def test_a_run_without_axes_has_one_nameless_column(make_run, make_cell, make_attempt):
    where = make_cell("5.0.0", "1.13.0").model_copy(update={"labels": {}, "reference": False})
    context = build(make_run(cells=(where,), axes=()), [make_attempt(where, "merge::test_direct")])
    assert [column.name for column in context.columns] == [where.id]
    assert context.header == ()


def test_a_scenario_nobody_expected_has_a_row(make_run, make_cell, make_attempt):
    where = make_cell("5.0.0", "1.13.0")
    context = build(make_run(cells=(where,), scenarios=()), [make_attempt(where, "other::test_it")])
    assert [each.scenario for each in context.rows] == ["other::test_it"]


@pytest.mark.parametrize("names", [["A2", "A10", "B1", None], ["C1", "Z9"]])
def test_report_rows_sort_by_number(make_run, names):
    infos = tuple(
        ScenarioInfo(id=f"f::t{index}", nodeid="x", row=name) for index, name in reversed(list(enumerate(names)))
    )
    assert [each.report_row for each in build(make_run(scenarios=infos), []).rows] == names
