"""``harness baseline`` over some nights: what is accepted stays accepted, and what comes in its place does not."""

import json

import pytest
from inline_snapshot import external_file

MIB = 1024**2
LATEST_A = ("latest", "load::test_a")
BROKEN = ("fail:run:exception", {"signature": "KeyError: x @ a/load.py:load"})
OTHERWISE = ("fail:run:exception", {"signature": "TypeError: y @ a/load.py:load"})


def reserved(mib):
    return ("pass:check", {"figures": {"cuda_reserved.load": mib * MIB}})


def night_code(nights, harness, answer):
    nights.night({LATEST_A: answer})
    return harness("compare", "baseline", "--fail-on", "any")[0]


@pytest.fixture
def baseline(nights, harness):
    nights.night()
    assert harness("baseline", "set", "latest", "--reason", "all green")[0] == 0


@pytest.mark.usefixtures("baseline")
def test_an_accepted_failure_is_quiet_and_another_one_in_its_place_is_loud(nights, harness):
    assert night_code(nights, harness, BROKEN) == 1
    code, said, _ = harness("baseline", "accept", "latest", "load::test_a", "--reason", "a 5 wants it so")
    assert code == 0
    assert "accepted: new failure  load::test_a  a=latest" in said
    assert night_code(nights, harness, BROKEN) == 0
    assert "(accepted: a 5 wants it so)" in harness("compare", "baseline")[1]
    assert night_code(nights, harness, OTHERWISE) == 1
    assert night_code(nights, harness, "fail:run:oom") == 1
    assert night_code(nights, harness, None) == 4


@pytest.mark.usefixtures("baseline")
def test_accepted_memory_holds_until_it_moves_again(nights, harness):
    assert night_code(nights, harness, reserved(1300)) == 1
    assert harness("baseline", "accept", "latest", "load::*", "--line", "a=latest", "--reason", "workspace")[0] == 0
    assert night_code(nights, harness, reserved(1310)) == 0
    assert night_code(nights, harness, reserved(1600)) == 1


@pytest.mark.usefixtures("baseline")
def test_a_new_baseline_starts_anew_and_the_old_one_is_shown(nights, harness):
    night_code(nights, harness, BROKEN)
    harness("baseline", "accept", "latest", "load::test_a", "--reason", "for now")
    said = harness("baseline", "show")[1]
    assert "all green" in said
    assert "new failure  load::test_a  a=latest  fail:run:exception: for now" in said
    harness("baseline", "set", "latest", "--reason", "the new normal")
    code, value, _ = harness("baseline", "show", "--json")
    assert (code, value[0]["reason"], value[0]["accepted"]) == (0, "the new normal", [])
    assert value[0]["before"][0]["accepted"][0]["reason"] == "for now"
    assert night_code(nights, harness, BROKEN) == 0  # still red is no regression
    assert night_code(nights, harness, OTHERWISE) == 1


@pytest.mark.usefixtures("baseline")
def test_what_is_kept_is_run_reason_and_date_and_nothing_of_the_machine(nights, harness):
    night_code(nights, harness, BROKEN)
    harness("baseline", "accept", "latest", "load::test_a", "--reason", "for now")
    kept = [json.loads(line) for line in (nights.reports / "baselines" / "nightly.jsonl").read_text().splitlines()]
    assert [set(line) for line in kept] == [
        {"event", "matrix", "run", "reason", "date"},
        {"event", "line", "scenario", "kind", "reason", "run", "date", "outcomes", "signatures", "figures"},
    ]
    assert str(nights.reports) not in json.dumps(kept)


@pytest.mark.usefixtures("baseline")
def test_a_function_means_all_its_parameters(nights, harness):
    nights.scenarios = ("load::test_a[x]", "load::test_a[y]")
    nights.night({("latest", name): BROKEN for name in nights.scenarios})
    code, value, _ = harness("baseline", "accept", "latest", "load::test_a", "--reason", "meant", "--json")
    assert (code, [one["scenario"] for one in value]) == (0, list(nights.scenarios))


@pytest.mark.usefixtures("baseline")
def test_a_mistyped_scenario_is_answered_with_the_nearest(nights, harness):
    nights.night({LATEST_A: BROKEN})
    _, _, said = harness("baseline", "accept", "latest", "load::test_aa", "--reason", "x")
    assert "the nearest is load::test_a" in said


def test_a_baseline_with_holes_says_so(nights, harness):
    nights.night({LATEST_A: None})
    code, said, _ = harness("baseline", "set", "latest", "--reason", "better than nothing")
    assert code == 0
    assert "1 of its results are missing" in said


MISTAKES = """\
baseline show
baseline show --matrix weekly
baseline accept latest load::test_a --reason x
baseline set latest --reason '  '
baseline set latest --reason x --matrix weekly
baseline set nothing --reason x
"""


def test_each_mistake_is_one_sentence_and_an_exit_code(nights, transcript):
    nights.night()
    assert transcript(MISTAKES, "--reports", str(nights.reports)).replace(
        str(nights.reports), "REPORTS"
    ) == external_file("golden/mistakes-baseline.txt")


@pytest.mark.usefixtures("baseline")
def test_only_a_difference_can_be_accepted_and_never_a_hole(nights, harness):
    nights.night({LATEST_A: None})
    code, _, said = harness("baseline", "accept", "latest", "load::test_a", "--reason", "x")
    assert code == 2
    assert "load::test_a is missing in" in said
    code, _, said = harness("baseline", "accept", "latest", "load::test_b", "--reason", "x")
    assert code == 2
    assert "load::test_b does not differ from the baseline" in said


def test_a_run_elsewhere_is_no_baseline_and_a_lost_one_is_said(nights, harness, tmp_path):
    folder = nights.night()
    moved = folder.path.rename(tmp_path / "elsewhere")
    code, _, said = harness("baseline", "set", str(moved), "--reason", "x")
    assert (code, "does not lie below" in said) == (2, True)
    nights.night()
    harness("baseline", "set", "latest", "--reason", "x")
    gone = nights.night()
    (nights.reports / next(path.name for path in sorted(nights.reports.glob("2026*")) if path != gone.path)).rename(
        tmp_path / "lost"
    )
    code, _, said = harness("compare", "baseline")
    assert (code, "is no longer below" in said) == (2, True)
