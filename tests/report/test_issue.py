"""A draft says what the run showed, in how many cells, and no more."""

import os
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError, NothingSelectedError
from harness.report.context import build as build_report
from harness.report.issue.build import Material, build
from harness.report.issue.draft import cannot_run, choose
from harness.report.issue.evidence import ContrastSide, changes, closest, distance, failures
from harness.report.issue.model import Change, Contrast, Evidence, Script, Searched
from harness.report.issue.render import render
from harness.report.issue.repository import compare_link, repositories, target
from harness.report.issue.wording import contrasted, seen, title
from harness.store.records import CellRecord, Failure, Frame, PartRecord
from harness.store.run_folder import RunFolder
from harness.verdict.known_issues import parse

GOLDEN = Path(__file__).parent / "golden"
FROZEN = Path(__file__).parents[1] / "store" / "frozen" / "first-schema"
KNOWN = repositories({})
HF_INIT = "bnb-params4bit-hf-init"


def issue_of(run, attempts, key, issues=(), searched=None):
    report = build_report(run, attempts, issues)
    group = choose(failures(report.groups, report.rows), key)
    return build(Material(run, attempts, report, {info.id: info for info in run.scenarios}), group, searched)


@pytest.fixture
def draft_of(make_run, attempts):
    """Return the draft about one failure of the made-up run."""

    def make(key, **rest):
        return issue_of(make_run(), attempts, key, **rest)

    return make


# Which failure


def test_a_failure_is_named_by_its_rule_its_signature_or_a_part(make_run, attempts):
    report = build_report(make_run(), attempts)
    found = failures(report.groups, report.rows)
    wanted = next(each for each in found if each.key == HF_INIT)
    assert [choose(found, name) for name in (HF_INIT, wanted.ids[0], "PARAMS4BIT-hf")] == [wanted] * 3
    with pytest.raises(ConfigError, match=r"the run has \d+ failures; name one with --signature: .*bnb-params4bit"):
        choose(found, None)
    with pytest.raises(ConfigError, match=r"'e' is part of \d+ failures"):
        choose(found, "e")
    with pytest.raises(NothingSelectedError, match="no failure of this run is named 'nothing'; there are: "):
        choose(found, "nothing")
    assert choose(found[:1], None) == found[0]
    with pytest.raises(NothingSelectedError, match="no scenario of this run failed"):
        choose([], None)


def test_errors_of_the_script_and_cells_that_cannot_be_set_up_are_nobody_s_failure(make_run, attempts):
    report = build_report(make_run(), attempts)
    keys = {each.key for each in failures(report.groups, report.rows)}
    assert not any("resolve" in key or key.startswith("ValueError: </script>") for key in keys)
    assert {"crash:SIGSEGV", HF_INIT, "timeout"} <= keys


# Contrast


def cell_with(number, versions, variables=(), pins=("a",)):
    return CellRecord(
        id=f"c{number}",
        labels={},
        pins={name: versions[name] for name in pins if name in versions},
        python="3.11",
        variables=dict(variables),
        versions=versions,
    )


LOCKS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2"]), min_size=1)
CELLS = st.lists(
    st.tuples(LOCKS, st.dictionaries(st.sampled_from("XY"), st.sampled_from("01"))), min_size=1, max_size=5
)


@given(CELLS, CELLS)
def test_no_pair_is_closer_than_the_closest(red, green):
    sides = [[ContrastSide(cell_with(number, *made)) for number, made in enumerate(group)] for group in (red, green)]
    found = closest(*sides)
    assert found is not None

    def brute(one, other):
        packages = {*one.versions, *other.versions}
        variables = {*one.variables, *other.variables}
        differing = sum(one.versions.get(name) != other.versions.get(name) for name in packages)
        return differing, sum(one.variables.get(name) != other.variables.get(name) for name in variables)

    best = min(brute(one.cell, other.cell) for one, other in product(*sides))
    assert brute(found[0].cell, found[1].cell) == best == distance(changes(*found))


def test_of_pairs_as_close_as_each_other_the_neighbours_are_taken():
    red = [ContrastSide(cell_with(number, {"a": f"2.{number}"}), place=number) for number in (3, 5)]
    green = [ContrastSide(cell_with(number, {"a": f"1.{number}"}), place=number) for number in (0, 2)]
    assert closest(red, green) == (red[0], green[1])


def test_a_contrast_names_all_that_differs_pinned_packages_first():
    red = cell_with(1, {"a": "2", "b": "1", "c": "1"}, {"X": "1"})
    green = cell_with(2, {"a": "1", "c": "2", "d": "1"}).model_copy(update={"python": "3.12"})
    assert changes(ContrastSide(red, "on a GPU"), ContrastSide(green, "on the CPU")) == (
        Change("package", "a", "2", "1"),
        Change("package", "c", "1", "2", pinned=False),
        Change("package", "b", "1", None, pinned=False),
        Change("package", "d", None, "1", pinned=False),
        Change("variable", "X", "1", None),
        Change("python", "Python", "3.11", "3.12"),
        Change("machine", "machine", "on a GPU", "on the CPU"),
    )


def test_two_commits_of_one_version_are_two():
    red, green = (
        cell_with(number, {"a": "1.1", "b": "2+cpu"}).model_copy(update={"pins": {"a": label, "b": "2"}})
        for number, label in ((1, "dev@bf7b9e66"), (2, "1.1"))
    )
    assert changes(ContrastSide(red), ContrastSide(green)) == (Change("package", "a", "1.1 (dev@bf7b9e66)", "1.1"),)


def test_a_cell_that_was_never_locked_is_compared_with_nothing():
    assert closest([ContrastSide(cell_with(1, {}))], [ContrastSide(cell_with(2, {"a": "1"}))]) is None
    assert closest([], [ContrastSide(cell_with(2, {"a": "1"}))]) is None


ONE = Change("package", "transformers", "5.6.2", "4.57.6")
BESIDE = Change("package", "tokenizers", "0.22.2", "0.21.0", pinned=False)
COUNT = Evidence("a::test_x", "", ("r",), (), (), ("g",), ())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((ONE,), "one package alone differs, transformers 5.6.2 instead of 4.57.6."),
        ((ONE, BESIDE), "one pin alone differs, .* so it is not proven that it is the cause."),
        ((ONE, replace(ONE, name="peft")), "2 packages differ, .*; which of these makes the difference is not proven."),
        ((Change("variable", "X", "1", ""),), r"the packages are the same, what differs is: X 1 instead of \(empty\)."),
        ((replace(ONE, red="4.57.6", green="5.6.2"),), "The green one has the newer release: it may be mended there."),
        ((), "what differs is: nothing that was recorded."),
    ],
)
def test_the_sentence_on_the_contrast_proves_no_more_than_it_can(found, said):
    text = contrasted(Contrast("red", "green", found), COUNT)
    assert re.search(said, text), text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(COUNT, green=()), "passes in no cell"),
        (replace(COUNT, red=(), flaky=("r",)), "attempts disagree"),
        (COUNT, "not known"),
    ],
)
def test_without_a_contrast_the_reason_is_said(found, said):
    assert said in contrasted(None, found)


def test_beside_a_search_only_the_run_alone_does_not_tell_which_package_it_is():
    text = contrasted(None, replace(COUNT, green=()), searched=True)
    assert text == "It passes in no cell of this run, which alone does not tell which package it is."


# Title and evidence


@pytest.mark.parametrize(
    ("contrast", "searched", "expected"),
    [
        (None, None, "It breaks (seen with c)"),
        (Contrast("r", "g", (ONE,)), None, "[Regression between transformers 4.57.6 and 5.6.2] It breaks"),
        (Contrast("r", "g", (ONE, BESIDE)), None, "It breaks (seen with c)"),
        (Contrast("r", "g", (replace(ONE, red="1", green="2"),)), None, "It breaks (seen with c, not with 2)"),
        (Contrast("r", "g", (replace(ONE, red="dev"),)), None, "It breaks (seen with c)"),
        (None, Searched("", "5.4.0", "transformers", alone=True), "[Regression in transformers 5.4.0] It breaks"),
        (None, Searched("", "5.4.0", "transformers"), "[Regression with transformers 5.4.0] It breaks"),
        (None, Searched("", "", "transformers"), "It breaks (seen with c)"),
    ],
)
def test_the_title_names_a_release_only_where_the_evidence_does(contrast, searched, expected):
    assert title("It  breaks", contrast, searched, "c") == expected


def test_what_upstream_meant_is_a_change_and_no_regression():
    assert title("It breaks", Contrast("r", "g", (ONE,)), None, "c", meant=True).startswith("[Changed between transf")
    found = Searched("", "5.4.0", "transformers", alone=True)
    assert title("It breaks", None, found, "c", meant=True) == "[Changed in transformers 5.4.0] It breaks"


def test_no_title_is_longer_than_github_takes():
    assert len(title("x" * 900, None, None, "c")) < 256
    assert len(title("x" * 900, None, Searched("", "5.4.0", "transformers"), "c")) < 256


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Evidence("s", "", ("a", "b"), (), (), ("c",), ()), "in 2 of the 3 cells .* ran; it passes in 1 (c)."),
        (
            Evidence("s", "", ("a",), (), ("b",), (), ("d",)),
            "in 1 of the 2 cells .* in another way in 1 (b), ",
        ),
        (Evidence("s", "", ("a",), ("b",), (), (), ()), "is flaky in 1 (attempts disagree: b), passes in none."),
        (
            Evidence("s", "", ("a",), (), (), (), ("d", "e")),
            "in one cell only, and fails there; in 2 more cells",
        ),
        (Evidence("s", "", (), ("a",), (), (), ()), "in one cell only, where its attempts disagree (flaky)."),
    ],
)
def test_cells_are_counted_of_those_in_which_it_ran(found, said):
    for part in said.split(" .* "):
        assert part in seen(found)


def test_evidence_counts_every_cell_once(draft_of):
    issue = draft_of(HF_INIT)
    assert [each.scenario for each in issue.evidence] == [
        "adapters::test_split_base[double]",
        "adapters::test_split_base[single]",
    ]
    one = issue.evidence[0]
    assert one.red == ("transformers 5.0.0 · accelerate 1.11.0", "transformers 5.3.0 · accelerate 1.11.0")
    assert (one.ran, len(one.green), one.unjudged) == (8, 6, ("transformers 6.0.0.dev0 · accelerate 1.13.0",))


def test_a_contrast_of_one_package_is_found_and_called_a_regression_only_where_red_is_newer(draft_of):
    issue = draft_of(HF_INIT)
    assert issue.contrast.changes == (Change("package", "accelerate", "1.11.0", "1.13.0"),)
    assert issue.title.endswith("(seen with transformers 5.0.0 · accelerate 1.11.0, not with 1.13.0)")
    assert issue.labels == ("bug",)
    assert issue.gone.startswith("It passes in accelerate 1.13.0, which is newer than 1.11.0")


def test_flaky_attempts_are_called_flaky_and_no_regression(draft_of):
    issue = draft_of("crash:SIGSEGV")
    assert issue.labels == ("bug", "flaky")
    assert issue.contrast is None
    assert "flaky in 2" in issue.summary[1]


# Repository and trackers


def test_the_frame_that_raised_it_chooses_the_repository():
    def choice(signature="X", trackers=(), frames=(), changed=(), pinned=()):
        return target(signature, KNOWN, trackers=trackers, frames=frames, changed=changed, pinned=pinned)

    raised = "TypeError: x @ accelerate/utils/modeling.py:set_module"
    assert choice(raised).repository == "huggingface/accelerate"
    assert choice(raised, frames=["accelerate", "peft", "yaml"]).others == (("huggingface/peft", "in the traceback"),)
    tracked = choice(raised, trackers=[("bitsandbytes-foundation/bitsandbytes#1900", "signature")])
    assert tracked.repository == "bitsandbytes-foundation/bitsandbytes"
    assert tracked.others == (("huggingface/accelerate", "raised in accelerate/utils/modeling.py:set_module"),)
    assert choice(raised, trackers=[("huggingface/peft#1", "scenario")]).repository == "huggingface/accelerate"
    own = "AssertionError: x @ load_4bit.py:test_reserved"
    assert choice(own, trackers=[("huggingface/peft#1", "scenario")]).repository == "huggingface/peft"
    assert choice(own, changed=["huggingface-hub"]).repository == "huggingface/huggingface_hub"
    assert choice(own, changed=["transformers", "peft"]).repository == ""
    assert choice("E: x @ huggingface_hub/file.py:f").repository == "huggingface/huggingface_hub"
    assert choice("E: x @ unheard/file.py:f").repository == ""


def test_the_package_that_a_search_names_chooses_the_repository_where_no_tracker_and_no_frame_does():
    def choice(signature, known=KNOWN, trackers=(), frames=(), searched=""):
        return target(signature, known, trackers=trackers, frames=frames, changed=(), pinned=(), searched=searched)

    own = "TypeError: x @ my_case.py:test_it"
    found = choice(own, searched="peft")
    assert (found.repository, found.reason) == ("huggingface/peft", "the search names peft")
    raised = choice("TypeError: x @ accelerate/utils/modeling.py:set_module", searched="peft")
    assert raised.repository == "huggingface/accelerate"
    assert raised.others == (("huggingface/peft", "the search names it"),)
    assert choice(own, trackers=[("huggingface/trl#1", "signature")], searched="peft").repository == "huggingface/trl"
    unknown = "no repository on GitHub is known for {}; name it under [repositories]"
    assert choice(own, searched="click").reason == unknown.format("click")
    assert choice("E: x @ unheard/file.py:f").reason == unknown.format("unheard")
    assert choice(own).reason == "nothing in the traceback names a package"


def test_a_module_of_one_file_is_a_package_where_the_traceback_says_so():
    known = repositories({"own-gadget": "git@github.com:me/own-gadget.git"})
    place = "ZeroDivisionError: x @ own_gadget.py:answer"
    chosen = [
        target(place, known, trackers=(), frames=frames, changed=(), pinned=()).repository
        for frames in (["own_gadget"], [])
    ]
    assert chosen == ["me/own-gadget", ""]


def test_a_draft_with_a_first_bad_commit_is_a_regression_of_the_package_that_it_lies_in(draft_of):
    found = Searched("bbbbbbbbbb is the first bad commit.", "bbbbbbbbbb", "peft", alone=True, unit="commit")
    issue = draft_of("timeout", searched=found)
    assert issue.title.startswith("[Regression in peft bbbbbbbbbb] ")
    assert "regression" in issue.labels
    assert (issue.target.repository, issue.target.reason) == ("huggingface/peft", "the search names peft")
    assert draft_of("timeout", searched=replace(found, culprit="")).target.repository == ""


def test_a_matrix_s_own_repository_comes_first_and_a_local_one_is_none():
    own = repositories({"peft": "https://github.com/me/peft.git", "torch": "../pytorch"})
    assert own["peft"] == "me/peft"
    assert "torch" not in own


@pytest.mark.parametrize(
    ("package", "before", "after", "link"),
    [
        ("transformers", "5.3.0", "5.4.0", "https://github.com/huggingface/transformers/compare/v5.3.0...v5.4.0"),
        (
            "bitsandbytes",
            "0.49.1",
            "0.49.2",
            "https://github.com/bitsandbytes-foundation/bitsandbytes/compare/0.49.1...0.49.2",
        ),
        ("torch", "2.12.0", "2.13.0rc1", "https://github.com/pytorch/pytorch/compare/v2.12.0...v2.13.0rc1"),
        ("transformers", "dev@1a2b3c4d", "5.4.0", ""),
        ("numpy", "1.0.0", "2.0.0", ""),
    ],
)
def test_a_compare_link_has_the_repository_s_tags(package, before, after, link):
    assert compare_link(package, before, after, KNOWN) == link


def test_trackers_of_the_failure_come_before_the_test_s(draft_of):
    issues = parse(
        '[[issue]]\nscenario = "load_4bit::test_keyword"\nsignature = "load-in-4bit-keyword"\n'
        'versions = { transformers = ">=5" }\ntracker = "huggingface/transformers#7"\nnote = "meant"\n',
        "k.toml",
    )
    assert [(each.tracker, each.same) for each in draft_of(HF_INIT).trackers] == [
        ("bitsandbytes-foundation/bitsandbytes#1900", True)
    ]
    known = draft_of("load-in-4bit-keyword", issues=issues)
    assert [(each.tracker, each.same) for each in known.trackers] == [("huggingface/transformers#7", True)]
    assert known.labels == ()
    assert "made on purpose, and not a bug: change the call" in render(known).text
    assert "[Regression" not in known.title
    assert draft_of(HF_INIT).meant == ""
    written_for = draft_of("expectation: reserved near allocated")
    assert [(each.tracker, each.same) for each in written_for.trackers] == [("huggingface/transformers#44387", False)]
    assert written_for.target.repository == "huggingface/transformers"


# What stands beside


def test_the_figures_of_a_failure_about_memory_stand_beside_the_green_ones(draft_of):
    issue = draft_of("expectation: reserved near allocated")
    assert [(each.text, each.held) for each in issue.checks] == [("reserved near allocated", False)]
    reserved = next(each for each in issue.memory if (each.phase, each.name) == ("load", "CUDA reserved"))
    assert (reserved.red, reserved.green) == ("13.83 GiB", "6.70 GiB")
    assert draft_of(HF_INIT).memory == ()


def test_the_system_is_that_of_the_red_cell_and_names_no_machine(draft_of):
    system = dict(draft_of("expectation: reserved near allocated").system)
    assert system["transformers"] == "5.0.0"
    assert system["GPU"] == "1 × NVIDIA H200, 140.00 GiB"
    assert system["GPU driver"] == "575.1"
    assert system["the attempt ran"] == "on a GPU"


def test_in_a_merged_run_the_machine_of_the_cell_is_told(make_run, attempts):
    run = make_run()
    elsewhere = run.host.model_copy(update={"platform": "Linux aarch64", "gpus": ()})
    parts = (
        PartRecord(run="a", started=run.started, host=run.host, cells=tuple(cell.id for cell in run.cells[:2])),
        PartRecord(run="b", started=run.started, host=elsewhere, cells=tuple(cell.id for cell in run.cells[2:])),
    )
    issue = issue_of(run.model_copy(update={"parts": parts}), attempts, "expectation: reserved near allocated")
    assert dict(issue.system)["platform"] == "Linux aarch64"
    assert [each.kind for each in issue.contrast.changes] == ["package", "package", "machine"]
    assert "[Regression" not in issue.title


def test_tests_that_pass_in_the_same_cell_are_named_the_nearest_first(
    make_run, make_cell, make_attempt, make_red, make_info, hf_init
):
    cell = make_cell("5.0.0", "1.11.0")
    names = ("a::test_other", "b::test_same_checkpoint", "a::test_x[2]", "b::test_far")
    infos = [make_info(name, None, "") for name in ("a::test_x", *names)]
    infos[0] = infos[0].model_copy(update={"checkpoints": ("qwen",)})
    infos[2] = infos[2].model_copy(update={"checkpoints": ("qwen",)})
    found = [
        make_red(cell, "a::test_x[1]", "fail:run:exception", hf_init, "X"),
        *(make_attempt(cell, each) for each in names),
    ]
    issue = issue_of(make_run(cells=(cell,), scenarios=tuple(infos)), found, None)
    assert issue.green_here == ("a::test_x[2]", "b::test_same_checkpoint", "a::test_other")
    assert "The checkpoint is" not in " ".join(issue.not_tried)
    assert any("synthetic" in each for each in issue.not_tried)


def test_frames_of_packages_are_told_and_a_recursion_once(make_run, make_cell, make_red):
    cell = make_cell("5.0.0", "1.11.0")
    deep = Frame(path="accelerate/hooks.py", function="attach", line=5, package="accelerate")
    test = Frame(path="a.py", function="test_x", line=3)
    inner = Frame(path="json/decoder.py", function="decode", line=9)
    failure = Failure(when="call", type="ValueError", message="no", frames=(test, *[deep] * 40, inner))
    issue = issue_of(
        make_run(cells=(cell,), scenarios=()), [make_red(cell, "a::test_x", "fail:run:exception", failure, "V")], None
    )
    assert issue.frames == ("a.py:3 in test_x", "accelerate/hooks.py:5 in attach (× 40)")


# The text


def compare_golden(name, text):
    path = GOLDEN / name
    if os.environ.get("HARNESS_RENEW_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_draft_is_as_agreed(draft_of):
    """Renew it with ``HARNESS_RENEW_GOLDEN=1 pytest tests/report`` and read the difference before you commit it."""
    found = Searched(
        "transformers 5.0.0 is the first bad release.",
        "5.0.0",
        "transformers",
        alone=True,
        compare="https://github.com/a/b/compare/v1...v2",
        probed=(("4.57.5", "good", "pass"), ("5.0.0", "bad", "fail")),
    )
    issue = draft_of("expectation: reserved near allocated", searched=found)
    script = Script('print("a")\n\n\nprint("```")\n', ("One note.",))
    compare_golden("issue.md", render(replace(issue, script=script)).text)


def test_what_a_search_ran_is_called_what_it_is(draft_of):
    found = Searched("A.", package="peft", probed=(("a", "good", ""), ("b", "bad", "")), unit="commit")
    assert "<summary>2 commits were run</summary>" in render(draft_of("timeout", searched=found)).text
    one = replace(found, probed=found.probed[:1], unit="release")
    assert "<summary>1 release was run</summary>" in render(draft_of("timeout", searched=one)).text
    cut = render(draft_of("timeout", searched=found), limit=1000)
    assert "what each commit of the bisect gave" in cut.left_out


def test_a_script_with_a_hidden_address_is_said_not_to_run_as_it_stands(draft_of):
    pins = ['#   "idna==3.10", "own-gadget @ <private url>@' + "a" * 40 + '",', '#   "peft @ <private url>"']
    text = "\n".join(["# /// script", "# dependencies = [", *pins, "# ]", "# ///", 'print("x <private url>")'])
    why = cannot_run(text)
    assert why.startswith("where own-gadget is installed from and where peft is installed from is private and was hid")
    issue = replace(draft_of("timeout"), script=Script(text, cannot_run=why))
    assert "**The script cannot run as it stands**: where own-gadget is " in render(issue).text
    assert cannot_run(text.replace("<private url>", "git+https://github.com/a/b", 2)) == ""


def test_nothing_in_a_text_ends_its_place_or_calls_anybody(draft_of, make_run, make_cell, make_red):
    evil = "@somebody see #12 </details> | `x` \n# Title ![i](http://x) \0 0\0"
    failure = Failure(when="call", type="ValueError", message=evil, frames=())
    cell = make_cell("5.0.0", "1.11.0")
    run = make_run(cells=(cell,), scenarios=(), title=evil)
    issue = issue_of(run, [make_red(cell, f"a::test_x[{evil}]", "fail:run:exception", failure, f"V: {evil}")], None)
    issue = replace(issue, script=Script(why_not=evil), expected=evil)
    text = render(issue).text
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert "@somebody" not in outside
    assert " #12" not in outside
    assert "\n# Title" not in text
    assert "![i]" not in outside
    assert outside.count("</details>") == outside.count("<details>")


def test_a_huge_draft_stays_below_the_limit_and_says_what_is_missing(make_run, make_red, make_cell, hf_init):
    cells = tuple(make_cell(f"5.{minor}.0", f"1.{patch}.0") for minor in range(40) for patch in range(10))
    cells = tuple(
        each.model_copy(update={"versions": each.versions | {f"package-{n}": f"{n}.{i % 7}" for n in range(300)}})
        for i, each in enumerate(cells)
    )
    frames = tuple(
        Frame(path=f"accelerate/{'x' * 80}{n}.py", function="f" * 90, line=n, package="accelerate") for n in range(50)
    )
    failure = hf_init.model_copy(update={"frames": frames, "message": hf_init.message + " y" * 9000})
    found = [
        make_red(cell, f"a::test_{'long' * 20}[{n}]", "fail:run:exception", failure, "TypeError: y @ accelerate/x.py:f")
        for cell in cells
        for n in range(8)
    ]
    issue = issue_of(make_run(cells=cells, scenarios=()), found, None)
    issue = replace(issue, script=Script("x = 1\n" * 9000))
    whole = render(issue, 10**9)
    assert whole.left_out == ()
    assert len(whole.text) > 100_000
    previous = 10**9
    for limit in (100_000, 65_000, 20_000, 3_000, 300):
        done = render(issue, limit)
        assert len(done.text) < limit
        assert done.left_out
        assert len(done.text) <= previous
        previous = len(done.text)
    fits = render(issue)
    assert fits.left_out[0] == "the list of all installed packages"
    assert all(each in fits.text for each in fits.left_out)
    assert "### Summary" in fits.text


def test_a_run_of_the_first_schema_can_be_drafted():
    folder = RunFolder(FROZEN)
    issue = issue_of(folder.read_record(), folder.attempts(), None)
    assert issue.scenario == "load_4bit::test_reserved"
    assert issue.contrast.changes == (Change("package", "transformers", "5.6.2", "4.57.6"),)
    assert issue.title.startswith("[Regression between transformers 4.57.6 and 5.6.2]")
    assert issue.target.repository == "huggingface/transformers"
    assert "### Expected and actual" in render(issue).text
