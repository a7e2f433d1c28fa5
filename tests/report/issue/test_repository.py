"""The repository of a failure."""

from dataclasses import replace

from harness.report.issue.model import SearchEvidence
from harness.report.issue.repository import target
from harness.search.links import repositories

KNOWN = repositories({})


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


def test_without_tracker_and_frame_the_package_of_the_search_chooses_the_repository():
    def choice(signature, known=KNOWN, trackers=(), frames=(), searched=""):
        return target(signature, known, trackers=trackers, frames=frames, changed=(), pinned=(), searched=searched)

    own = "TypeError: x @ my_case.py:test_it"
    found = choice(own, searched="peft")
    assert (found.repository, found.reason) == ("huggingface/peft", "the search names peft")
    raised = choice("TypeError: x @ accelerate/utils/modeling.py:set_module", searched="peft")
    assert raised.repository == "huggingface/accelerate"
    assert raised.others == (("huggingface/peft", "the search names it"),)
    assert choice(own, trackers=[("huggingface/trl#1", "signature")], searched="peft").repository == "huggingface/trl"
    unknown = "no GitHub repository is known for {}; add it under [repositories]"
    assert choice(own, searched="click").reason == unknown.format("click")
    assert choice("E: x @ unheard/file.py:f").reason == unknown.format("unheard")
    assert choice(own).reason == "the traceback names no package"


def test_a_module_of_one_file_is_a_package_where_the_traceback_says_so():
    known = repositories({"own-gadget": "git@github.com:me/own-gadget.git"})
    place = "ZeroDivisionError: x @ own_gadget.py:answer"
    chosen = [
        target(place, known, trackers=(), frames=frames, changed=(), pinned=()).repository
        for frames in (["own_gadget"], [])
    ]
    assert chosen == ["me/own-gadget", ""]


def test_a_first_bad_commit_is_a_regression_of_its_package(draft_of):
    found = SearchEvidence(
        "bbbbbbbbbb is the first bad commit.", culprit="bbbbbbbbbb", package="peft", only_difference=True, unit="commit"
    )
    issue = draft_of("timeout", searched=found)
    assert issue.posting.title.startswith("[Regression in peft bbbbbbbbbb] ")
    assert "regression" in issue.posting.labels
    assert (issue.posting.target.repository, issue.posting.target.reason) == (
        "huggingface/peft",
        "the search names peft",
    )
    assert draft_of("timeout", searched=replace(found, culprit="")).posting.target.repository == ""
