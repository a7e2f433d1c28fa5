"""``harness compare`` as a person uses it over nights: names, words, exit codes, what is never green."""

import json

import pytest
from inline_snapshot import external_file

from harness.verdict.acceptance import FAIL_ON

LATEST_A, LATEST_B = ("latest", "load::test_a"), ("latest", "load::test_b")
MIB = 1024**2
BROKEN = ("fail:run:exception", {"signature": "KeyError: x @ a/load.py:load", "detail": "KeyError: x"})
OTHERWISE = ("fail:run:exception", {"signature": "TypeError: y @ a/load.py:load", "detail": "TypeError: y"})
BIGGER = ("pass:check", {"figures": {"cuda_reserved.load": 1300 * MIB}})


def kinds(value):
    return [(entry["kind"], entry["line"], entry["scenario"]) for entry in value["entries"]]


def test_a_new_failure_under_latest_is_named_with_the_versions_that_moved(nights, harness):
    nights.night()
    nights.night({LATEST_A: BROKEN}, latest="5.1.0")
    code, said, _ = harness("compare", "latest~1", "latest")
    assert code == 0  # nobody asked for more
    assert "new failure" in said
    assert "load::test_a  a=latest  pass:check → fail:run:exception: KeyError: x @ a/load.py:load" in said
    assert "a=latest: a 5.0.0 → 5.1.0, hub 1.5.0.0 → 1.5.1.0" in " ".join(said.split())
    assert "6 compared, 5 unchanged: 1 new failure." in said
    code, said, _ = harness("compare", "latest~1", "--fail-on", "new")
    assert code == 1
    assert said.endswith("--fail-on new: 1 found.\n")


def test_two_equal_nights_say_nothing_and_a_run_beside_itself_neither(nights, harness):
    nights.night()
    nights.night()
    for pair in (("latest~1", "latest"), ("latest", "latest")):
        code, value, _ = harness("compare", *pair, "--json", "--fail-on", "any", "--fail-on", "red")
        assert (code, value["entries"], value["versions"], value["compared"]) == (0, [], {}, 6)


CHANGES = {
    "new": ("pass:check", BROKEN),
    "changed": (BROKEN, OTHERWISE),
    "memory": ("pass:check", BIGGER),
    "flaky": ("pass:check", ("pass:check fail:run:oom", {})),
    "disappeared": ("pass:check", "skip:run:not_applicable"),
    "unknown": ("pass:check", "error:run:exception"),
    "still red": (BROKEN, BROKEN),
    "fixed": (BROKEN, "pass:check"),
    "memory down": (BIGGER, "pass:check"),
    "was flaky": (("pass:check fail:run:oom", {}), "pass:check"),
}
ASKED = {
    "new": {"new", "any", "red"},
    "changed": {"changed", "any", "red"},
    "memory": {"memory", "any"},
    "flaky": {"flaky", "any", "red"},
    "disappeared": {"disappeared", "any"},
    "unknown": {"unknown", "any", "red"},
    "still red": {"red"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_fail_on_ends_with_1_for_what_was_asked_and_for_nothing_else(nights, harness, change):
    before, after = CHANGES[change]
    nights.night({LATEST_A: before})
    nights.night({LATEST_A: after})
    ending = {word for word in FAIL_ON if harness("compare", "latest~1", "--fail-on", word)[0] == 1}
    assert ending == ASKED.get(change, set())
    assert harness("compare", "latest~1")[0] == 0


@pytest.mark.parametrize("answer", [None, "miss:run:interrupted", "error:run:gpu_busy", "error:run:network"])
def test_a_hole_ends_with_4_and_is_said_whatever_else_there_is(nights, harness, answer):
    nights.night()
    nights.night({LATEST_A: answer, LATEST_B: BROKEN})
    code, said, _ = harness("compare", "latest~1", "--fail-on", "any")
    assert code == 4
    assert "Incomplete: 1 result is missing or invalid." in said
    assert "new failure" in said


def test_a_red_in_the_place_of_a_hole_is_not_called_new(nights, harness):
    nights.night({LATEST_A: None})
    nights.night({LATEST_A: BROKEN})
    code, value, _ = harness("compare", "latest~1", "--json")
    assert (code, kinds(value)) == (4, [("unknown", "a=latest", "load::test_a")])


def test_a_lost_cell_of_the_same_matrix_is_missing_and_of_another_gone(nights, harness):
    nights.night()
    nights.night(lost=("latest",))
    nights.night(lost=("latest",), raw={"name": "nightly", "axes": {"a": "4.0.0"}})
    code, value, _ = harness("compare", "latest~2", "latest~1", "--json")
    assert (code, {kind for kind, _, _ in kinds(value)}) == (4, {"missing"})
    assert {entry["detail"] for entry in value["entries"]} == {"the run lacks this cell of its matrix"}
    code, value, _ = harness("compare", "latest~2", "latest", "--json")
    assert (code, {kind for kind, _, _ in kinds(value)}) == (0, {"disappeared"})
    assert harness("compare", "latest~2", "latest", "--fail-on", "disappeared")[0] == 1


def test_runs_that_share_no_scenario_are_not_equal(nights, harness):
    nights.night()
    nights.scenarios = ("other::test",)
    nights.night()
    code, said, _ = harness("compare", "latest~1")
    assert code == 4
    assert "Nothing was compared" in said


def test_memory_of_two_models_of_gpu_is_not_compared_and_that_is_said(nights, harness):
    nights.night()
    nights.night({LATEST_A: BIGGER}, gpu="NVIDIA H100 80GB HBM3")
    nights.night({LATEST_A: BIGGER})
    code, said, _ = harness("compare", "latest~2", "latest~1", "--fail-on", "memory")
    assert code == 0
    assert "memory is not compared in 6 results: measured on NVIDIA H200 before, on NVIDIA H100 80GB HBM3 now" in said
    code, said, _ = harness("compare", "latest~2", "latest", "--fail-on", "memory")
    assert code == 1
    assert "cuda_reserved.load 1,000.0 → 1,300.0 MiB (+30 %)" in said


KNOWN = """
[[issue]]
scenario = "load::test_a"
signature = "KeyError: x @ a/load.py:load"
versions = { a = ">=5.1" }
tracker = "owner/repository#12"
"""


def test_a_known_issue_is_said_as_known_and_fails_only_where_red_is_asked_for(nights, harness):
    nights.night()
    nights.night({LATEST_A: BROKEN}, latest="5.1.0", issues=KNOWN)
    nights.night({LATEST_A: OTHERWISE}, latest="5.1.0", issues=KNOWN)
    code, said, _ = harness("compare", "latest~2", "latest~1", "--fail-on", "any")
    assert (code, "(known issue owner/repository#12)" in said) == (0, True)
    assert harness("compare", "latest~2", "latest~1", "--fail-on", "red")[0] == 1
    code, said, _ = harness("compare", "latest~2", "latest", "--fail-on", "any")
    assert (code, "(differs from the known issue owner/repository#12)" in said) == (1, True)


def test_two_cells_of_one_run_are_compared_by_id_or_pattern(nights, harness):
    nights.night({LATEST_A: BROKEN})
    code, value, _ = harness("compare", "latest:a-4.0.0-0a1b2c", "latest:*5.0.0*", "--json", "--fail-on", "new")
    assert (code, kinds(value)) == (1, [("new failure", "a=4.0.0 → a=latest", "load::test_a")])
    assert value["versions"]["a=4.0.0 → a=latest"]["hub"] == ["0.36.2", "1.5.0.0"]


def test_only_some_cells_or_lines_are_compared_where_asked(nights, harness):
    nights.night()
    nights.night({LATEST_A: BROKEN, ("old", "load::test_a"): BROKEN})
    for asked in ("a=latest", "a-5.0.0-*"):
        value = harness("compare", "latest~1", "--cells", asked, "--json")[1]
        assert kinds(value) == [("new failure", "a=latest", "load::test_a")]


MISTAKES = """\
compare nothing
compare 'latest~7'
compare baseline
compare baseline baseline
compare 'latest:*4*' latest
compare 'latest:*' 'latest:*4*'
compare latest:a-4.0.1 'latest:*4*'
compare latest --cells a=latset
"""


def test_each_mistake_is_one_sentence_and_an_exit_code(nights, transcript):
    nights.night()
    assert transcript(MISTAKES, "--reports", str(nights.reports)).replace(
        str(nights.reports), "REPORTS"
    ) == external_file("golden/mistakes-compare.txt")


def test_a_run_from_before_lines_were_kept_is_compared_cell_by_cell(nights, harness):
    old = nights.night()
    raw = json.loads(old.record_file.read_text())
    for cell in raw["cells"]:
        del cell["line"]
    old.record_file.write_text(json.dumps(raw))
    nights.night({LATEST_A: BROKEN})
    assert kinds(harness("compare", "latest~1", "--json")[1]) == [("new failure", "a=latest", "load::test_a")]


def test_markdown_hides_paths_and_nothing_in_it_ends_its_table(nights, harness):
    hostile = "boom | `x` <img src=x> @somebody\n# no heading at /home/somebody/secret/model.bin"
    nights.night()
    nights.night({LATEST_A: ("fail:run:exception", {"detail": hostile, "signature": hostile})})
    code, said, _ = harness("compare", "latest~1", "--format", "markdown")
    assert code == 0
    assert "/home/somebody" not in said
    assert "<img" not in said
    assert "\n# no" not in said
    (row,) = [line for line in said.splitlines() if line.startswith("| `load::test_a`")]
    assert row.replace("\\|", "").count("|") == 4


def carries(folder, previous, lines):
    """Make a run a night that planned these lines after another night."""
    planned = [{"line": line} for line in lines]
    (folder.path / "night.json").write_text(json.dumps({"previous": previous.path.name, "planned": planned}))


def test_what_a_night_carried_stands_as_the_night_showed_it_that_ran_it(nights, harness):
    first = nights.night({("old", "load::test_a"): BROKEN})
    second, third = nights.night(lost=("old",)), nights.night(lost=("old",))
    carries(second, first, ("a=4.0.0", "a=latest"))
    carries(third, second, ("a=4.0.0", "a=latest"))
    code, found, _ = harness("compare", first.path.name, third.path.name, "--json")
    assert code == 0
    assert [(one["kind"], one["line"]) for one in found["entries"]] == [("still red", "a=4.0.0")]
    assert found["notes"] == [f"{third.path.name}: 1 series not run again, taken from {first.path.name}"]


def test_a_line_that_a_night_neither_ran_nor_planned_is_missing_all_the_same(nights, harness):
    first = nights.night()
    second = nights.night(lost=("old",))
    carries(second, first, ("a=latest",))
    code, found, _ = harness("compare", first.path.name, second.path.name, "--json")
    assert code == 4
    assert {one["kind"] for one in found["entries"]} == {"missing"}
