"""The closest failing and passing cell, and what differs between them."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from harness.report.issue.comparison import Side, closest_pair, differences, distance
from harness.report.issue.model import CellDifference
from harness.store.records import CellRecord, PartRecord

HF_INIT = "bnb-params4bit-hf-init"


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
def test_no_pair_is_closer_than_the_closest_pair(red, green):
    sides = [[Side(cell_with(number, *made)) for number, made in enumerate(group)] for group in (red, green)]
    found = closest_pair(*sides)
    assert found is not None

    def brute(one, other):
        packages = {*one.versions, *other.versions}
        variables = {*one.variables, *other.variables}
        differing = sum(one.versions.get(name) != other.versions.get(name) for name in packages)
        return differing, sum(one.variables.get(name) != other.variables.get(name) for name in variables)

    best = min(brute(one.cell, other.cell) for one, other in product(*sides))
    assert brute(found[0].cell, found[1].cell) == best == distance(differences(*found))


def test_among_equally_close_pairs_the_neighbours_are_taken():
    red = [Side(cell_with(number, {"a": f"2.{number}"}), column=number) for number in (3, 5)]
    green = [Side(cell_with(number, {"a": f"1.{number}"}), column=number) for number in (0, 2)]
    assert closest_pair(red, green) == (red[0], green[1])


def test_a_comparison_lists_all_differences_pinned_packages_first():
    red = cell_with(1, {"a": "2", "b": "1", "c": "1"}, {"X": "1"})
    green = cell_with(2, {"a": "1", "c": "2", "d": "1"}).model_copy(update={"python": "3.12"})
    assert differences(Side(red, "on a GPU"), Side(green, "on the CPU")) == (
        CellDifference("package", "a", "2", "1"),
        CellDifference("package", "c", "1", "2", pinned=False),
        CellDifference("package", "b", "1", None, pinned=False),
        CellDifference("package", "d", None, "1", pinned=False),
        CellDifference("variable", "X", "1", None),
        CellDifference("python", "Python", "3.11", "3.12"),
        CellDifference("machine", "machine", "on a GPU", "on the CPU"),
    )


def test_two_commits_of_one_version_are_two():
    red, green = (
        cell_with(number, {"a": "1.1", "b": "2+cpu"}).model_copy(update={"pins": {"a": label, "b": "2"}})
        for number, label in ((1, "dev@bf7b9e66"), (2, "1.1"))
    )
    assert differences(Side(red), Side(green)) == (CellDifference("package", "a", "1.1 (dev@bf7b9e66)", "1.1"),)


def test_a_cell_without_a_lock_is_not_compared():
    assert closest_pair([Side(cell_with(1, {}))], [Side(cell_with(2, {"a": "1"}))]) is None
    assert closest_pair([], [Side(cell_with(2, {"a": "1"}))]) is None


def test_a_single_package_is_a_regression_only_if_the_failing_release_is_newer(draft_of):
    issue = draft_of(HF_INIT)
    assert issue.evidence.comparison.differences == (CellDifference("package", "accelerate", "1.11.0", "1.13.0"),)
    assert issue.posting.title.endswith("(seen with transformers 5.0.0 · accelerate 1.11.0, not with 1.13.0)")
    assert issue.posting.labels == ("bug",)
    assert issue.posting.fixed.startswith("It passes in accelerate 1.13.0, which is newer than 1.11.0")


def test_in_a_merged_run_the_machine_of_the_cell_is_compared(issue_of, make_run, attempts):
    run = make_run()
    elsewhere = run.host.model_copy(update={"platform": "Linux aarch64", "gpus": ()})
    parts = (
        PartRecord(run="a", started=run.started, host=run.host, cells=tuple(cell.id for cell in run.cells[:2])),
        PartRecord(run="b", started=run.started, host=elsewhere, cells=tuple(cell.id for cell in run.cells[2:])),
    )
    issue = issue_of(run.model_copy(update={"parts": parts}), attempts, "expectation: reserved near allocated")
    assert dict(issue.environment.system)["platform"] == "Linux aarch64"
    assert [each.kind for each in issue.evidence.comparison.differences] == ["package", "package", "machine"]
    assert "[Regression" not in issue.posting.title
