"""A draft holds what the run shows about the failure."""

from pathlib import Path

from harness.report.issue.model import CellDifference
from harness.report.issue.render import render
from harness.store.records import Failure, Frame
from harness.store.run_folder import RunFolder
from harness.verdict.known_issues import parse

FROZEN = Path(__file__).parents[2] / "store" / "frozen" / "first-schema"
HF_INIT = "bnb-params4bit-hf-init"


def test_evidence_counts_every_cell_once(draft_of):
    issue = draft_of(HF_INIT)
    assert [each.scenario for each in issue.evidence.counts] == [
        "adapters::test_split_base[double]",
        "adapters::test_split_base[single]",
    ]
    one = issue.evidence.counts[0]
    assert one.failing == ("transformers 5.0.0 · accelerate 1.11.0", "transformers 5.3.0 · accelerate 1.11.0")
    assert (one.decided, len(one.passing), one.undecided) == (8, 6, ("transformers 6.0.0.dev0 · accelerate 1.13.0",))


def test_flaky_attempts_are_called_flaky_and_no_regression(draft_of):
    issue = draft_of("crash:SIGSEGV")
    assert issue.posting.labels == ("bug", "flaky")
    assert issue.evidence.comparison is None
    assert "flaky in 2" in issue.summary[1]


def test_trackers_of_the_failure_come_before_the_test_s(draft_of):
    issues = parse(
        '[[issue]]\nscenario = "load_4bit::test_keyword"\nsignature = "load-in-4bit-keyword"\n'
        'versions = { transformers = ">=5" }\ntracker = "huggingface/transformers#7"\nnote = "meant"\n',
        "k.toml",
    )
    assert [(each.name, each.same) for each in draft_of(HF_INIT).posting.trackers] == [
        ("bitsandbytes-foundation/bitsandbytes#1900", True)
    ]
    known = draft_of("load-in-4bit-keyword", issues=issues)
    assert [(each.name, each.same) for each in known.posting.trackers] == [("huggingface/transformers#7", True)]
    assert known.posting.labels == ()
    assert "An intended change of the interface, not a bug: change the call" in render(known).text
    assert "[Regression" not in known.posting.title
    assert draft_of(HF_INIT).posting.intended == ""
    written_for = draft_of("expectation: reserved near allocated")
    assert [(each.name, each.same) for each in written_for.posting.trackers] == [
        ("huggingface/transformers#44387", False)
    ]
    assert written_for.posting.target.repository == "huggingface/transformers"


def test_a_failure_about_memory_lists_the_memory_of_both_cells(draft_of):
    issue = draft_of("expectation: reserved near allocated")
    assert [(each.text, each.held) for each in issue.symptom.checks] == [("reserved near allocated", False)]
    reserved = next(each for each in issue.environment.memory if (each.phase, each.name) == ("load", "CUDA reserved"))
    assert (reserved.failing, reserved.passing) == ("13.83 GiB", "6.70 GiB")
    assert draft_of(HF_INIT).environment.memory == ()


def test_the_system_is_that_of_the_failing_cell_without_machine_names(draft_of):
    system = dict(draft_of("expectation: reserved near allocated").environment.system)
    assert system["transformers"] == "5.0.0"
    assert system["GPU"] == "1 × NVIDIA H200, 140.00 GiB"
    assert system["GPU driver"] == "575.1"
    assert system["the attempt ran"] == "on a GPU"


def test_passing_tests_of_the_same_cell_are_listed_most_similar_first(
    issue_of, make_run, make_cell, make_attempt, make_red, make_info, hf_init
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
    assert issue.evidence.passing_nearby == ("a::test_x[2]", "b::test_same_checkpoint", "a::test_other")
    assert "The checkpoint is" not in " ".join(issue.evidence.not_tried)
    assert any("synthetic" in each for each in issue.evidence.not_tried)


def test_frames_of_packages_are_listed_and_a_recursion_once(issue_of, make_run, make_cell, make_red):
    cell = make_cell("5.0.0", "1.11.0")
    deep = Frame(path="accelerate/hooks.py", function="attach", line=5, package="accelerate")
    test = Frame(path="a.py", function="test_x", line=3)
    inner = Frame(path="json/decoder.py", function="decode", line=9)
    failure = Failure(when="call", type="ValueError", message="no", frames=(test, *[deep] * 40, inner))
    issue = issue_of(
        make_run(cells=(cell,), scenarios=()), [make_red(cell, "a::test_x", "fail:run:exception", failure, "V")], None
    )
    assert issue.symptom.frames == ("a.py:3 in test_x", "accelerate/hooks.py:5 in attach (× 40)")


def test_a_run_of_the_first_schema_can_be_drafted(issue_of):
    folder = RunFolder(FROZEN)
    issue = issue_of(folder.read_record(), folder.attempts(), None)
    assert issue.symptom.scenario == "load_4bit::test_reserved"
    assert issue.evidence.comparison.differences == (CellDifference("package", "transformers", "5.6.2", "4.57.6"),)
    assert issue.posting.title.startswith("[Regression between transformers 4.57.6 and 5.6.2]")
    assert issue.posting.target.repository == "huggingface/transformers"
    assert "### Expected and actual" in render(issue).text
