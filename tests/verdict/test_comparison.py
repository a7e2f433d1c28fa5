"""Two sides set side by side: the whole table, places that are known more or less finely, memory, known issues."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.records import Outcome, Status
from harness.verdict.acceptance import acceptable, acceptance, covers
from harness.verdict.comparison import Change, compare, comparison, differences, in_one_series, with_series_of
from harness.verdict.known_issues import KnownIssue, State
from harness.verdict.result import ResultKey, ScenarioResult

KEY = ResultKey("a=latest", "load::test")
MIB = 1024**2


def result(*texts, scenario=KEY.scenario, **rest):
    outcomes = tuple(Outcome.parse(text) for text in texts if text != "miss:run:interrupted")
    return ScenarioResult(ResultKey(KEY.series, scenario), "a-5.0.0-abc", scenario, outcomes, **rest)


SIDES = {
    "absent": None,
    "missing": result(reason="was never attempted"),
    "interrupted": result("miss:run:interrupted", reason="interrupted"),
    "unavailable": result("unavailable:install:install_failed", reason="no wheel"),
    "skip": result("skip:run:not_applicable"),
    "pass": result("pass:check"),
    "fail A": result("fail:run:exception", signatures=("TypeError: a @ x.py:f", "rule-a")),
    "fail B": result("fail:run:exception", signatures=("KeyError: b @ x.py:f",)),
    "error": result("error:run:exception", signatures=("NameError: c @ test.py:t",)),
    "flaky": result("pass:check", "fail:run:exception", signatures=("TypeError: a @ x.py:f", "rule-a")),
}
TABLE = """
before       missing  interrupted  unavailable  skip         pass      fail A         fail B         error         flaky
absent       missing  missing      unavailable  appeared     appeared  appeared       appeared       appeared      flaky
missing      missing  missing      unavailable  –            appeared  unknown        unknown        unknown       flaky
interrupted  missing  missing      unavailable  –            appeared  unknown        unknown        unknown       flaky
unavailable  missing  missing      unavailable  –            appeared  appeared       appeared       unknown       flaky
skip         missing  missing      unavailable  –            appeared  appeared       appeared       unknown       flaky
pass         missing  missing      unavailable  disappeared  –         new_failure    new_failure    unknown       flaky
fail_A       missing  missing      unavailable  disappeared  fixed     still_failing  changed        unknown       flaky
fail_B       missing  missing      unavailable  disappeared  fixed     changed        still_failing  unknown       flaky
error        missing  missing      unavailable  unknown      unknown   unknown        unknown        still_failing flaky
flaky        missing  missing      unavailable  disappeared  flaky     flaky          changed        unknown       flaky
"""
COLUMNS = ["missing", "interrupted", "unavailable", "skip", "pass", "fail A", "fail B", "error", "flaky"]
ROWS = [line.split() for line in TABLE.strip().splitlines()[1:]]
WANTED = {
    (row[0].replace("_", " "), column): None if word == "–" else Change[word.upper()]
    for row in ROWS
    for column, word in zip(COLUMNS, row[1:], strict=True)
}
WANTED |= {(name, "absent"): Change.DISAPPEARED for name in SIDES if name != "absent"} | {("absent", "absent"): None}


def side(*results):
    return {one.key: one for one in results if one is not None}


def kinds(before, after, **rest):
    return [(entry.key.scenario, entry.change) for entry in differences(side(*before), side(*after), **rest)]


@pytest.mark.parametrize(("old", "new"), list(product(SIDES, SIDES)))
def test_every_pair_of_answers_is_said_as_the_table_says(old, new):
    found = differences(side(SIDES[old]), side(SIDES[new]))
    assert [entry.change for entry in found] == ([WANTED[old, new]] if WANTED[old, new] else [])
    assert [entry.key for entry in found] == [KEY] * len(found)


@pytest.mark.parametrize(("old", "new"), list(product(SIDES, SIDES)))
def test_the_table_holds_for_two_results_alone(old, new):
    if (old, new) != ("absent", "absent"):
        assert compare(SIDES[old], SIDES[new]) is (WANTED[old, new] or Change.SAME)


@pytest.mark.parametrize(("old", "new"), list(product(SIDES, SIDES)))
def test_a_hole_is_never_taken_for_an_answer(old, new):
    """Whatever is missing now, or leaves open whether a red is new, makes the comparison incomplete."""
    holes = {"missing", "interrupted", "unavailable"}
    found = differences(side(SIDES[old]), side(SIDES[new]))
    open_question = old in {"missing", "interrupted"} and new in {"fail A", "fail B", "error"}
    assert any(entry.incomplete for entry in found) is (new in holes or open_question)


SCENARIOS = st.sampled_from(["f::t", "f::t[a]", "f::t[b]", "g::u", "*"])
LINES = st.sampled_from(["a=latest", "a=dev"])
ANSWERS = st.sampled_from([name for name in SIDES if name != "absent"])
FIGURES = st.dictionaries(
    st.sampled_from(["cuda_reserved.load", "host_anon.load", "seconds.load"]),
    st.builds(lambda low, more: (low, low + more / 2, low + more), st.floats(0, 1e10), st.floats(0, 1e9)),
)


@st.composite
def runs(draw):
    names = draw(st.dictionaries(st.tuples(LINES, SCENARIOS), st.tuples(ANSWERS, FIGURES)))
    return {
        (key := ResultKey(*place)): ScenarioResult(
            key, "cell", key.scenario, SIDES[name].outcomes, SIDES[name].signatures, figures
        )
        for place, (name, figures) in names.items()
    }


@given(runs())
def test_a_side_beside_itself_says_only_what_is_red_flaky_or_missing(run):
    found = differences(run, run)
    assert {entry.change for entry in found} <= {Change.STILL_FAILING, Change.FLAKY, Change.MISSING, Change.UNAVAILABLE}
    said = {entry.key for entry in found}
    bare = {Status.PASS, Status.SKIP}
    covered = {place for place, one in run.items() if one.status in bare}
    assert said.isdisjoint(covered)
    # nothing red, flaky or missing goes unsaid, but for a whole cell or function whose parts are there
    finer = {ResultKey(line, above) for line, name in run for above in (name.split("[")[0], "*") if above != name}
    assert run.keys() - covered - finer <= said


@given(runs(), runs())
def test_what_is_new_one_way_is_fixed_the_other_and_no_red_goes_unsaid(before, after):
    there, back = differences(before, after), differences(after, before)
    new = {entry.key for entry in there if entry.change is Change.NEW_FAILURE}
    fixed = {entry.key for entry in back if entry.change is Change.FIXED}
    assert new == fixed
    said = {entry.key for entry in there}
    silent = [place for place in after if place not in said and after[place].status not in {Status.PASS, Status.SKIP}]
    finer = {
        ResultKey(line, above)
        for line, name in (*before, *after)
        for above in (name.split("[")[0], "*")
        if above != name
    }
    assert set(silent) <= finer


def test_a_cell_that_never_listed_its_parameters_misses_each_of_them():
    before = [result("pass:check", scenario=f"f::t[{name}]") for name in "ab"]
    assert kinds(before, [result(scenario="f::t")]) == [("f::t[a]", Change.MISSING), ("f::t[b]", Change.MISSING)]
    assert kinds(before, [result(scenario="*")]) == [("f::t[a]", Change.MISSING), ("f::t[b]", Change.MISSING)]


def test_a_cell_that_cannot_be_installed_makes_every_scenario_of_it_unavailable():
    before = [result("pass:check", scenario=name) for name in ("f::t[a]", "g::u")]
    after = [result("unavailable:install:install_failed", scenario="*", reason="no wheel")]
    assert kinds(before, after) == [("f::t[a]", Change.UNAVAILABLE), ("g::u", Change.UNAVAILABLE)]


def test_a_parameter_that_is_listed_no_more_has_disappeared_though_others_are_there():
    before, after = ([result("pass:check", scenario=f"f::t[{name}]")] for name in "ab")
    assert kinds(before, after) == [("f::t[a]", Change.DISAPPEARED), ("f::t[b]", Change.APPEARED)]


@pytest.mark.parametrize("reason", ["network", "gpu_busy"])
def test_what_stood_in_the_way_is_a_hole_though_it_stood_there_before(reason):
    spoilt = result(f"error:run:{reason}")
    for old in SIDES.values():
        assert all(entry.incomplete for entry in differences(side(old), side(spoilt)))


def test_a_scenario_that_found_no_gpu_after_it_had_run_is_a_hole():
    (entry,) = differences(side(SIDES["pass"]), side(result("skip:run:no_gpu")))
    assert (entry.change, entry.incomplete) == (Change.DISAPPEARED, True)
    (entry,) = differences(side(SIDES["pass"]), side(SIDES["skip"]))
    assert not entry.incomplete


def measured(mib, *texts, low=None, high=None, gpu="NVIDIA H200", name="cuda_reserved.load", **rest):
    values = tuple(each * MIB for each in (low or mib, mib, high or mib))
    return result(*(texts or ("pass:check",)), values={name: values}, gpu=gpu, **rest)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (measured(1000), measured(1100), Change.MEMORY_UP),
        (measured(1000), measured(900), Change.MEMORY_DOWN),
        (measured(1000), measured(1049), None),  # under 5 %
        (measured(2), measured(2.9), None),  # under 1 MiB
        (measured(1000, low=900, high=1010), measured(1100), None),  # its attempts lie further apart
        (measured(1000), measured(1100, gpu="NVIDIA H100"), None),
        (measured(1000, gpu="A, B"), measured(1100, gpu="A, B"), None),  # nobody knows which of two models it was
        (measured(1000, name="seconds.load"), measured(1100, name="seconds.load"), None),
        (measured(1000), measured(1100, name="cuda_allocated.load"), None),
    ],
)
def test_memory_is_said_where_it_moved_beyond_the_reports_bounds_on_one_model_of_gpu(before, after, kind):
    found = differences(side(before), side(after))
    assert [entry.change for entry in found] == ([kind] if kind else [])
    if kind:
        assert [shift.name for shift in found[0].shifts] == ["cuda_reserved.load"]


@pytest.mark.parametrize(("counts", "said"), [((1, 1), False), ((3, 2), False), ((3, 3), True)])
def test_host_memory_is_said_only_where_its_spread_is_known(counts, said):
    old, new = (
        side(result("pass:check", values={"host_anon.load": (mib * MIB,) * count}))
        for mib, count in zip((340, 414), counts, strict=True)
    )
    found = comparison(("old", "new"), old, new, differences(old, new))
    assert [entry.change for entry in found.differences] == ([Change.MEMORY_UP] if said else [])
    assert bool(found.notes) is not said
    assert all("host memory moved in 1 result" in note for note in found.notes)


def test_memory_goes_beside_the_outcome_but_what_breaks_early_is_not_called_smaller():
    red = ("fail:run:oom",)
    grown = differences(side(measured(1000)), side(measured(2000, *red)))
    assert [entry.change for entry in grown] == [Change.NEW_FAILURE, Change.MEMORY_UP]
    shrunk = differences(side(measured(1000)), side(measured(10, *red)))
    assert [entry.change for entry in shrunk] == [Change.NEW_FAILURE]
    assert kinds([measured(1000)], [measured(2000, "error:run:gpu_busy")]) == [(KEY.scenario, Change.UNKNOWN)]


def test_a_moved_frame_is_the_same_failure_where_a_rule_knows_it():
    before = result("fail:run:exception", signatures=("E @ old.py:f", "rule-a"))
    after = result("fail:run:exception", signatures=("E @ new.py:g", "rule-a"))
    assert kinds([before], [after]) == [(KEY.scenario, Change.STILL_FAILING)]
    assert kinds([before], [result("fail:import:import_error", signatures=after.signatures)]) == [
        (KEY.scenario, Change.CHANGED)
    ]


ISSUE = KnownIssue(scenario="load::*", signature="rule-a", versions={"a": ">=5"}, tracker="o/r#1")


@pytest.mark.parametrize(
    ("name", "versions", "state"),
    [
        ("fail A", {"a": "5.1"}, State.KNOWN),
        ("fail B", {"a": "5.1"}, State.CHANGED),
        ("fail A", {"a": "4.9"}, None),
        ("fail A", {}, None),
    ],
)
def test_a_known_issue_is_said_by_signature_and_version(name, versions, state):
    after = replace(SIDES[name], versions=versions)
    (entry,) = differences(side(SIDES["pass"]), side(after), known=[ISSUE])
    assert (entry.known.state if entry.known else None) == state


def test_a_cell_without_an_environment_says_nothing_about_a_known_issue():
    after = result("unavailable:install:install_failed", versions={"a": "5.1"})
    (entry,) = differences(side(SIDES["pass"]), side(after), known=[ISSUE])
    assert entry.known is None


def test_two_cells_are_set_side_by_side_under_one_name():
    one, other = side(SIDES["pass"]), side(SIDES["fail A"].in_series("a=dev"))
    (entry,) = differences(in_one_series(one, "x"), in_one_series(other, "x"))
    assert (entry.change, entry.key.series) == (Change.NEW_FAILURE, "x")


def test_a_function_that_got_parameters_is_compared_with_each_of_them():
    assert (
        kinds([result("pass:check", scenario="f::t")], [result("pass:check", scenario=f"f::t[{n}]") for n in "ab"])
        == []
    )
    assert kinds([SIDES["pass"]], [result("fail:run:oom", scenario="load::test[a]")]) == [
        ("load::test[a]", Change.NEW_FAILURE)
    ]


def accepted(entry):
    return acceptance(entry, reason="so it is", run="r", date=datetime(2026, 3, 1, tzinfo=UTC))


PAIRS = [(old, new) for old, new in product(SIDES, SIDES) if differences(side(SIDES[old]), side(SIDES[new]))]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_what_is_accepted_is_covered_and_a_hole_can_never_be(old, new):
    (entry,) = differences(side(SIDES[old]), side(SIDES[new]))
    assert covers(accepted(entry), entry) is acceptable(entry)
    assert not (acceptable(entry) and entry.incomplete)


def test_a_gpu_that_was_lost_cannot_be_accepted():
    (entry,) = differences(side(SIDES["pass"]), side(result("skip:run:no_gpu")))
    assert not acceptable(entry)


@pytest.mark.parametrize(
    "changes",
    [
        {"line": "a=dev"},
        {"scenario": "f::other"},
        {"kind": "changed"},
        {"outcomes": ("fail:import:import_error",)},
        {"outcomes": ()},
        {"signatures": ("KeyError: b @ x.py:f",)},
        {"signatures": ()},
    ],
)
def test_an_acceptance_covers_this_failure_in_this_place_and_no_other(changes):
    (entry,) = differences(side(SIDES["pass"]), side(SIDES["fail A"]))
    assert covers(accepted(entry), entry)
    assert not covers(accepted(entry).model_copy(update=changes), entry)


def lines(run):
    return [(line, one.cell) for (line, _), one in run.items()]


def at(line, cell):
    key = ResultKey(line, "f::t")
    return {key: ScenarioResult(key, cell, "f::t", (Outcome.parse("pass:check"),))}


def test_a_cell_keeps_its_line_where_both_sides_know_it_and_takes_the_other_s_where_neither_does():
    before = at("a=5.0.0", "cell-5.0") | at("a=4.0.0", "cell-4.0")
    assert lines(with_series_of(before, at("a=latest", "cell-5.0"))) == [
        ("a=latest", "cell-5.0"),
        ("a=4.0.0", "cell-4.0"),
    ]
    # latest moved on, and the cell that it was is now pinned: latest stays compared with latest
    moved_on = at("a=latest", "cell-5.1") | at("a=5.0.0", "cell-5.0")
    assert lines(with_series_of(at("a=latest", "cell-5.0"), moved_on)) == [("a=latest", "cell-5.0")]
