"""A package that moved between two commits: what is said of it, and whether there is anything to search."""

import pytest

from harness.matrix.cell import Pin, display_version
from harness.nightly.claim import Claim, ClaimInput, Kind, claim_of
from harness.nightly.ledger import LastResult, remember
from harness.nightly.searches import suspects
from harness.search.pins import CommitAddress, commit_pin, parse_commit_address
from harness.store.records import Outcome
from harness.verdict.result import ResultKey, ScenarioResult

OLD, NEW = (f"git+https://github.com/o/gadget@{sha * 40}" for sha in "ab")
GREEN, RED = Outcome.parse("pass:check"), Outcome.parse("fail:check:assertion")


def look(outcome, lock, address):
    shown = {"gadget": "1.0.dev0", "torch": "2.13.0"}
    return ScenarioResult(
        ResultKey("gadget=dev", "s::t"),
        "c",
        "s::t",
        outcomes=(outcome,),
        versions=shown,
        lock=lock,
        source="s",
        built={"gadget": address},
    )


def test_two_commits_that_call_themselves_one_version_are_what_changed():
    was = remember(look(GREEN, "l1", OLD), "n0", "n0", same=True, level=True)
    kept = LastResult.model_validate_json(was.model_dump_json())
    claim = claim_of(ClaimInput(look(RED, "l2", NEW), was=kept), Kind.NEW, "red")
    assert claim.changed == {"gadget": (OLD, NEW)}


def test_a_cell_without_a_lock_is_not_said_to_have_changed():
    was = remember(look(GREEN, "l1", OLD), "n0", "n0", same=True, level=True)
    unsolvable = ScenarioResult(ResultKey("gadget=dev", "*"), "c", "*", outcomes=(RED,), built={"gadget": NEW})
    assert claim_of(ClaimInput(unsolvable, was=was), Kind.NEW, "red").changed == {}


def claim(*pair, **others):
    return Claim(kind=Kind.NEW, line="gadget=dev", scenario="s::t", signature="E", changed={"gadget": pair, **others})


def test_its_commits_are_searched_also_where_what_nobody_pinned_changed_too():
    (found,) = suspects([claim(OLD, NEW, hub=("1", "2"))], ["gadget", "torch"])
    assert found.commits == (
        CommitAddress("https://github.com/o/gadget", "a" * 40),
        CommitAddress("https://github.com/o/gadget", "b" * 40),
    )
    assert (found.package, found.why_not) == ("gadget", "")
    assert found.words == "gadget git@aaaaaaaa → git@bbbbbbbb"


def test_releases_are_no_commits():
    (found,) = suspects([claim("1.0", "2.0+cpu")], ["gadget"])
    assert (found.commits, found.versions) == (None, ("1.0", "2.0"))


@pytest.mark.parametrize(
    ("pair", "why_not"),
    [
        (("1.0", NEW), "gadget moved from 1.0 to git@bbbbbbbb, neither two releases nor two commits"),
        ((OLD, "file:///somewhere/gadget"), "gadget moved from git@aaaaaaaa to path:gadget, neither"),
        (
            (OLD, NEW.replace("/o/", "/p/")),
            "gadget moved from one repository to another: https://github.com/o/gadget → ",
        ),
        ((OLD, f"{NEW}#subdirectory=inner"), "gadget moved from one repository to another"),
    ],
)
def test_without_a_common_history_there_is_nothing_to_search(pair, why_not):
    (found,) = suspects([claim(*pair)], ["gadget"])
    assert found.why_not.startswith(why_not)


def test_one_regression_of_one_move_in_two_lines_is_searched_once():
    other = claim(OLD, NEW).model_copy(update={"line": "gadget=dev torch=latest"})
    assert [len(one.claims) for one in suspects([claim(OLD, NEW), other], ["gadget"])] == [2]


@pytest.mark.parametrize("subfolder", ["", "bindings/python"])
@pytest.mark.parametrize("address", ["https://github.com/o/gadget", "ssh://git@host.example/o/gadget", "file:///a@b/c"])
def test_what_a_commits_pin_is_built_from_is_read_back(address, subfolder):
    pin = commit_pin("gadget", address, "c" * 40, subfolder)
    assert parse_commit_address(pin.address) == CommitAddress(address, "c" * 40, subfolder)
    assert display_version(pin.address) == "git@cccccccc"


@pytest.mark.parametrize("text", ["", "1.0", "file:///some/where", "git+https://x/y@main", f"https://x/y@{'c' * 40}"])
def test_anything_else_is_no_commit(text):
    assert parse_commit_address(text) is None


def test_a_release_has_no_address_and_reads_as_it_stands():
    assert (Pin("a", "1", "a==1").address, display_version("2.13.0+cpu")) == ("", "2.13.0+cpu")
