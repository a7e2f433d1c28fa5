"""What differs between two environments, and the environments between them."""

import pytest

from harness.envs.requirements import exact_pin
from harness.matrix.cell import Cell, Pin
from harness.search.changes import between, changes, label, moved_otherwise


def pins(**versions):
    return {name.replace("_", "-"): exact_pin(name.replace("_", "-"), version) for name, version in versions.items()}


GOOD = pins(
    accelerate="1.13.0", torch="2.13.0+cpu", tokenizers="0.22.1", old_one="1", pytest="8.0", nvidia_nccl_cu12="2"
)
BAD = pins(
    accelerate="1.15.0", torch="2.13.0+cu130", tokenizers="0.22.2", new_one="2", pytest="9.0", nvidia_nccl_cu12="3"
)


def test_packages_under_test_come_first_and_what_one_end_lacks_is_a_change():
    found = changes(GOOD, BAD, ("torch", "tokenizers"))
    said = ["tokenizers 0.22.1 → 0.22.2", "accelerate 1.13.0 → 1.15.0", "new-one 2 added", "old-one 1 removed"]
    assert [change.words() for change in found] == said


def test_the_harnesss_own_what_torch_brings_and_another_build_are_no_changes():
    assert {change.package for change in changes(GOOD, BAD, ())}.isdisjoint({"pytest", "nvidia-nccl-cu12", "torch"})


def test_a_commit_is_a_change_and_goes_by_its_beginning():
    address = "git+https://github.com/huggingface/peft@0123456789abcdef0123456789abcdef01234567"
    (found,) = changes(pins(peft="0.19.1"), {"peft": exact_pin("peft", address)}, ())
    assert found.words() == "peft 0.19.1 → git@01234567"
    assert found.new.requirement == f"peft @ {address}"


SHARED = Cell("3.11", (Pin("held", "1", "held==1", transitive=True), Pin("torch", "2", "torch==2")))
FIVE = changes(pins(a="1", b="1", c="1", d="1", e="1"), pins(a="2", b="2", c="2", d="2", e="2"), ())


@pytest.mark.parametrize(
    ("applied", "versions", "name"),
    [
        ((), "11111", "good"),
        ((1,), "12111", "b-2"),
        ((0, 2), "21211", "a-2-c-2"),
        ((0, 1, 2, 3), "22221", "4-of-5"),
        ((0, 1, 2, 3, 4), "22222", "bad"),
    ],
)
def test_a_cell_between_has_the_new_versions_of_what_is_applied_and_the_old_of_the_rest(applied, versions, name):
    cell = between(SHARED, FIVE, frozenset(applied))
    expected = {"held": "1", "torch": "2", **dict(zip("abcde", versions, strict=True))}
    assert {pin.package: pin.label for pin in cell.pins} == expected
    assert cell.id.rpartition("-")[0] == name
    assert cell.reference is (not applied)
    assert cell.pins[-1].transitive  # what is under test stands first


def test_what_one_end_lacks_is_not_pinned_there_and_seen_when_it_comes_all_the_same():
    found = changes(pins(a="1", gone="1"), pins(a="2", come="1"), ())
    names = [change.package for change in found]
    neither = frozenset({names.index("gone")})
    assert {pin.package for pin in between(SHARED, found, neither).pins} == {"held", "torch", "a"}
    assert moved_otherwise(found, neither, {"a": "1", "come": "1"}) == ("come",)
    assert moved_otherwise(found, neither, {"a": "1", "gone": "1"}) == ("gone",)
    assert moved_otherwise(found, frozenset(), {"a": "1", "gone": "1"}) == ()


@pytest.mark.parametrize(
    ("applied", "text"),
    [
        ((), "none"),
        ((0, 1, 2), "a, b, c"),
        ((0, 1, 2, 3), "all but e"),
        ((0, 1, 2, 3, 4), "all 5"),
    ],
)
def test_a_column_says_what_is_applied(applied, text):
    assert label(FIVE, applied) == text


def test_of_many_the_first_three_are_named():
    many = changes(*({f"p{at:02}": exact_pin(f"p{at:02}", version) for at in range(12)} for version in "12"), ())
    assert label(many, range(6)) == "p00, p01, p02 and 3 more"
