"""A blame from its ends to its answer: resolver and runs are played, the run folder and the journal are real."""

import re
import shutil
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.envs.bundle.manifest import Manifest, StoredCell
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Unsolvable, read_lock
from harness.envs.requirements import exact_pin
from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import Cell, Pin
from harness.matrix.schema import load_matrix
from harness.search import prober
from harness.search.blame import _unwanted, cell_between, learn_dependencies, resume_blame, set_label
from harness.search.conclusions import sentence
from harness.search.driver import Driver, begin_search
from harness.search.environments import EnvironmentQuery, diff_pins
from harness.search.records import SEARCH_FILE, BlameQuestion, Ending, read_question
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, Outcome
from harness.store.run_folder import RunFolder

FROZEN = Path(__file__).parent / "frozen"
SCENARIO = """\
from harness.probe import scenario


@scenario()
def test_it(probe):
    pass
"""
MATRIX = """\
name = "m"
scenarios = ["case.py"]

[pins]
app = "1"
lib = "1"
"""


class World:
    """Packages with requirements, and a scenario whose outcome follows from what is installed."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.needs = {}  # (package, version) -> {package: versions that will do}
        self.outcome = lambda versions: "pass:check"
        self.ran = []  # what was run, as versions
        self.stop_after = None  # interrupt after so many runs
        self.missing = set()  # requirements that no index has
        monkeypatch.setattr(prober, "resolve_cells", self.resolve)
        monkeypatch.setattr(prober, "run_plan", self.run)
        monkeypatch.chdir(folder)
        (folder / "case.py").write_text(SCENARIO)
        (folder / "m.toml").write_text(MATRIX)

    def resolve(self, cells, *, cache, jobs):
        return {cell.id: self.lock(cell) for cell in cells}

    def lock(self, cell):
        for pin in cell.pins:
            if pin.requirement in self.missing:
                return Unsolvable(f"Because there is no version of {pin.requirement} and you require it")
        chosen = {pin.package: pin.label for pin in cell.pins}
        waiting = list(chosen)
        for name in waiting:
            for other, versions in self.needs.get((name, chosen[name]), {}).items():
                if other not in chosen:
                    chosen[other] = versions[-1]
                    waiting.append(other)
                elif chosen[other] not in versions:
                    sentence = f"Because {name}=={chosen[name]} depends on {other}, we can conclude"
                    return Unsolvable(sentence)
        text = "".join(f"{name}=={version}\n" for name, version in sorted(chosen.items()))
        return read_lock(text, cell.python, None, sysconfig.get_platform())

    def run(self, plan, folder, cache_dir, options, listener):
        journal = Journal(folder.journal_file, listener)
        for planned in plan.cells:
            if self.stop_after is not None and len(self.ran) >= self.stop_after:
                journal.close()
                return False
            self.ran.append(planned.lock.packages)
            journal.write("collected", cell=planned.cell.id, scenarios=[{"id": "case::test_it"}])
            made = sum(one.cell == planned.cell.id for one in folder.attempts())
            for number in range(made + 1, options.repeat + 1):
                said = self.outcome(planned.lock.packages)
                journal.attempt(attempt(planned.cell.id, number, said))
        journal.close()
        return True

    def write(self, name, **versions):
        lines = (f"{package}=={version}\n" for package, version in versions.items())
        (self.folder / name).write_text("".join(lines))

    @property
    def cache_dir(self):
        return CacheDir(self.folder / "cache")

    def query(self, run=None):
        return EnvironmentQuery(load_matrix("m.toml"), self.cache_dir, self.folder / "reports", run)

    def begin(self, good="good.txt", bad="bad.txt", **more):
        """Return a blame that was begun, and the lines that were reported."""
        reported = []
        found = self.query().compare(good, bad)
        question = BlameQuestion(
            good=good,
            bad=bad,
            scenario="case.py::test_it",
            matrix="m.toml",
            shared=found.shared,
            changes=found.changes,
            **more,
        )
        axis = learn_dependencies(question, self.cache_dir, reported.append)
        made = begin_search(axis, load_matrix("m.toml"), self.cache_dir, self.folder / "reports", reported.append)
        return Driver(axis, made), reported

    def blame(self, **more):
        search, reported = self.begin(**more)
        return search.run(lambda event, fields: None, reported.append), reported


def answer(result, question=None):
    """Return the sentence of a result."""
    shared = {"good": "g", "bad": "b", "scenario": "s", "matrix": "m", "shared": Cell("3.11", ()), "changes": ()}
    return sentence(question or BlameQuestion(**shared), result)


def quietly(search):
    return search.run(lambda event, fields: None, lambda line: None)


def attempt(cell, number, said):
    outcome, _, signature = said.partition(" ")
    return AttemptRecord(
        cell=cell,
        scenario="case::test_it",
        attempt=number,
        outcome=Outcome.parse(outcome),
        signature=signature or None,
        started=datetime.now(UTC),
        seconds=1.0,
    )


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.delenv("HARNESS_BUNDLE", raising=False)
    return World(tmp_path, monkeypatch)


def red_where(**versions):
    """Fail where all these versions are installed."""
    return lambda found: "fail:run:exception" if versions.items() <= found.items() else "pass:check"


TWELVE = [f"p{number}" for number in range(12)]


def upgrades(world, names=TWELVE):
    world.write("good.txt", **dict.fromkeys(names, "1"))
    world.write("bad.txt", **dict.fromkeys(names, "2"))


def test_one_upgrade_of_twelve_is_named_and_proven(world):
    upgrades(world)
    world.outcome = red_where(p7="2")
    result, said = world.blame()
    assert answer(result) == "p7 1 → 2 alone turns good into bad"
    assert result.proven == (("p7",),)
    assert result.ran == len(world.ran) <= 2 + 5
    assert "12 changes, 12 left" in said


def test_nothing_moves_in_a_probe_but_what_it_says(world):
    upgrades(world)
    world.write("good.txt", **dict.fromkeys([*TWELVE, "held"], "1"))
    world.write("bad.txt", **{**dict.fromkeys(TWELVE, "2"), "held": "1"})
    world.outcome = red_where(p3="2", p9="2")
    result, _ = world.blame()
    names = ("p3 1 → 2 and p9 1 → 2 are needed together", "with either one removed it is good")
    assert answer(result) == "; ".join(names)
    for probe, versions in zip((one for one in result.probes if one.cell), world.ran, strict=True):
        expected = {name: "2" if name in probe.applied else "1" for name in TWELVE}
        assert versions == {**expected, "held": "1"}


def test_packages_of_the_matrix_come_first(world):
    upgrades(world, ["aaa", "lib", "app"])
    result, _ = world.blame(assume_ends=True)
    assert list(result.changes) == ["app", "lib", "aaa"]


def test_what_cannot_be_taken_apart_is_said_and_never_run(world):
    upgrades(world, ["app", "hub", "other"])
    world.needs = {("app", "2"): {"hub": ["2"]}, ("app", "1"): {"hub": ["1"]}}
    world.outcome = red_where(app="2")
    result, said = world.blame()
    assert answer(result) == "app 1 → 2 turns good into bad; hub 1 → 2 cannot be separated from app"
    assert result.ending is Ending.FOUND
    assert result.apart["hub"] == "app==2 depends on hub"
    assert all((one["app"], one["hub"]) in {("1", "1"), ("2", "2")} for one in world.ran)
    assert "note: app cannot be applied without hub" in said


def test_what_only_one_end_needs_comes_and_goes_with_what_needs_it_at_the_version_it_had(world):
    world.write("good.txt", app="1", lib="1", requests="5")
    world.write("bad.txt", app="2", lib="2", httpx="7", h11="3")
    world.needs = {
        ("app", "1"): {"requests": ["5", "6"]},
        ("app", "2"): {"httpx": ["7", "8"]},
        ("httpx", "7"): {"h11": ["3", "4"]},
        ("httpx", "8"): {"h11": ["4"]},
    }
    world.outcome = red_where(app="2")
    result, _ = world.blame()
    assert answer(result) == "app 1 → 2 alone turns good into bad"
    assert set(result.changes) == {"app", "lib"}
    assert set(result.followers) == {"httpx 7", "h11 3", "requests gone"}
    assert {"app": "2", "lib": "1", "httpx": "7", "h11": "3"} in world.ran


def test_a_package_that_was_added_can_be_the_culprit(world):
    world.write("good.txt", app="1", lib="1")
    world.write("bad.txt", app="1", lib="2", extra="3")
    world.outcome = red_where(extra="3")
    result, _ = world.blame()
    assert answer(result) == "extra 3 added alone turns good into bad"


def test_a_member_that_cannot_be_judged_leaves_the_answer_open(world):
    upgrades(world, ["app", "lib"])
    outcomes = {
        ("1", "1"): "pass:check",
        ("2", "1"): "fail:run:exception other",
        ("2", "2"): "fail:run:exception asked",
    }
    world.outcome = lambda found: outcomes.get((found["app"], found["lib"]), "pass:check")
    result, _ = world.blame(signature="asked")
    assert result.ending is Ending.INCONCLUSIVE
    assert answer(result) == "inconclusive: app is part of it, and it is undecided without lib"
    assert "other" in result.unsure["lib"]


def test_another_failure_can_count_as_good(world):
    upgrades(world, ["app", "lib"])
    outcomes = {("1", "1"): "fail:run:exception other", ("2", "1"): "fail:run:exception asked"}
    world.outcome = lambda found: outcomes.get((found["app"], found["lib"]), "fail:run:exception asked")
    result, _ = world.blame(signature="asked", good_signature="other")
    assert result.ending is Ending.FOUND
    assert len(result.members) == 1


def test_a_bad_end_that_is_green_is_not_reproduced(world):
    upgrades(world)
    result, _ = world.blame()
    assert result.ending is Ending.NOT_REPRODUCED
    assert answer(result).startswith("not reproduced: the bad end is not bad here (case::test_it pass:check")
    assert len(world.ran) == 2


def test_ends_that_are_swapped_are_called_so(world):
    upgrades(world)
    world.outcome = lambda found: "pass:check" if found["p1"] == "2" else "fail:run:exception"
    result, _ = world.blame()
    assert result.ending is Ending.NOT_REPRODUCED
    assert "the ends look swapped" in answer(result)


def test_a_bad_end_that_is_red_for_another_reason_is_said(world):
    upgrades(world)
    world.outcome = lambda found: "fail:run:exception other" if found["p1"] == "2" else "pass:check"
    search, _ = world.begin(signature="asked")
    result = quietly(search)
    assert result.ending is Ending.NOT_REPRODUCED
    asked = "not reproduced: the bad end fails here for another reason than asked (case::"
    assert sentence(search.axis.question, result).startswith(asked)


def test_a_good_end_that_is_red_is_said(world):
    upgrades(world)
    world.outcome = lambda found: "fail:run:exception"
    result, _ = world.blame()
    assert result.ending is Ending.INCONCLUSIVE
    assert answer(result).startswith("inconclusive: the good end is not good here (case::test_it fail:run:exception")


@pytest.mark.parametrize(
    "text", ["dependencies:\n  - numpy=1.26.4\n", "numpy=1.26.4=h0_0\n", "numpy  1.26.4  h0_0  conda-forge\n"]
)
def test_a_file_of_conda_s_packages_alone_says_what_to_give_instead(world, text):
    world.write("good.txt", lib="1")
    (world.folder / "bad.txt").write_text(text)
    with pytest.raises(ConfigError, match=r"^bad.txt names only packages of conda, .* `pip list --format=freeze`"):
        world.begin()


@pytest.mark.parametrize(
    ("moved", "sentence_begins"),
    [
        ("2", "inconclusive: the bad end is undecided here (case::test_it skip:run:not_applicable"),
        ("1", "inconclusive: the good end is undecided here (case::test_it skip:run:not_applicable"),
    ],
)
def test_an_end_that_cannot_be_judged_leaves_the_question_open(world, moved, sentence_begins):
    upgrades(world)
    red = "fail:run:exception"
    world.outcome = lambda found: "skip:run:not_applicable" if found["p1"] == moved else red
    result, _ = world.blame()
    assert result.ending is Ending.INCONCLUSIVE
    assert answer(result).startswith(sentence_begins)


@pytest.mark.parametrize("after", range(8))
def test_interrupted_anywhere_it_goes_on_where_it_stopped(world, after):
    upgrades(world)
    world.outcome = red_where(p2="2", p8="2")
    whole, _ = world.blame()
    count, world.ran, world.stop_after = len(world.ran), [], after
    blame, _ = world.begin(reuse=False)
    first = quietly(blame)
    assert first.ending is Ending.INTERRUPTED
    assert {"p2", "p8"} <= set(first.members)
    world.stop_after = None
    second = quietly(Driver(*resume_blame(blame.folder, world.cache_dir, lambda line: None)))
    assert answer(second) == answer(whole)
    assert len(world.ran) == count
    assert len({tuple(sorted(one.items())) for one in world.ran}) == count


def test_a_run_folder_of_an_older_version_is_resumed_without_a_probe(world, monkeypatch):
    old = world.folder / "reports" / "old"
    shutil.copytree(FROZEN / "blame", old)
    (old / "blame-result.json").unlink()
    monkeypatch.setattr("harness.session.resume.resolve_cells", world.resolve)
    world.needs = {("app", "2"): {"hub": ["2"]}, ("app", "1"): {"hub": ["1"]}}
    result = quietly(Driver(*resume_blame(RunFolder(old), world.cache_dir, lambda line: None)))
    assert (result.ending, result.members, world.ran) == (Ending.FOUND, ("app", "lib", "hub"), [])
    assert result.heads == {"app": ("hub",), "lib": ()}


def test_confirmed_answers_have_as_many_attempts_as_asked_and_flaky_ones_are_none(world):
    upgrades(world)
    world.outcome = red_where(p4="2")
    blame, _ = world.begin(confirm=3)
    result = quietly(blame)
    assert result.ending is Ending.FOUND
    answer = next(one.cell for one in result.probes if one.applied == ("p4",))
    good = next(one.cell for one in result.probes if one.applied == ())
    attempts = blame.folder.attempts()
    assert [sum(one.cell == cell for one in attempts) for cell in (answer, good)] == [3, 3]
    said = iter(["fail:run:exception", "pass:check"] * 30)
    upgrades(world, ["app"])
    world.outcome = lambda found: next(said) if found["app"] == "2" else "pass:check"
    result, _ = world.blame(confirm=3, reuse=False)
    assert result.ending is Ending.INCONCLUSIVE
    assert "flaky" in result.reason


def test_several_environments_a_round_find_the_same(world):
    upgrades(world)
    world.outcome = red_where(p6="2")
    result, _ = world.blame(jobs=3)
    assert answer(result) == "p6 1 → 2 alone turns good into bad"


def test_the_reports_columns_say_which_changes_are_applied(world):
    upgrades(world, ["app", "lib", "x", "y", "z"])
    world.outcome = red_where(lib="2")
    blame, _ = world.begin()
    quietly(blame)
    record = blame.folder.read_record()
    labels = [cell.labels["changes"] for cell in record.cells]
    assert (labels[0], labels[-1]) == ("none", "all 5")
    assert "lib" in labels
    assert [cell.reference for cell in record.cells] == [True] + [False] * (len(labels) - 1)
    assert record.cells[0].id.startswith("good-")
    assert record.cells[0].pins.keys() == {"app", "lib"}  # under test are those of the matrix; the others are held
    assert record.axes == ("changes",)


def test_what_is_on_no_index_is_left_out_with_a_note_unless_it_is_under_test(world):
    world.write("good.txt", app="1", mine="0.1")
    world.write("bad.txt", app="2", mine="0.1")
    world.missing = {"mine==0.1"}
    _, _ = world.begin()
    notes = world.query().compare("good.txt", "bad.txt").notes
    assert "good.txt: left out, on no index: mine==0.1" in notes
    world.missing = {"app==2"}
    with pytest.raises(ConfigError, match=r"bad\.txt has no resolution: .*no version of app==2"):
        world.begin()


@pytest.mark.parametrize(
    ("good", "bad", "sentence"),
    [
        ({"app": "1"}, {"app": "1"}, "no package differs between good.txt and bad.txt"),
        ({}, {"app": "1"}, "good.txt names no package at an exact version"),
    ],
)
def test_ends_that_give_nothing_to_compare_are_one_sentence(world, good, bad, sentence):
    world.write("good.txt", **good)
    world.write("bad.txt", **bad)
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        world.begin()


def test_an_index_that_does_not_answer_is_no_answer(world):
    upgrades(world, ["app", "lib"])
    blame, _ = world.begin()
    world.lock = lambda cell: Unsolvable("connection refused", network=True)
    with pytest.raises(InfrastructureError, match="the index does not answer: connection refused"):
        resume_blame(blame.folder, world.cache_dir, lambda line: None)


def test_cells_of_a_run_are_ends_by_their_lock(world):
    upgrades(world, ["app", "lib", "deep"])
    world.outcome = red_where(deep="2")
    blame, _ = world.begin()
    result = quietly(blame)
    red = next(one.cell for one in result.probes if one.applied == ("deep",))
    run = blame.folder.path.name
    for good, bad in ((f"{run}:good-*", f"{run}:{red}"), ("good-*", red)):
        found = world.query(run).compare(good, bad)
        assert [change.words() for change in found.changes] == ["deep 1 → 2"]
        assert found.changes[0].new.transitive
    with pytest.raises(ConfigError, match=r"nothing is no file, and no cell of m\.toml is called so; there are cell-"):
        world.query().load("nothing")
    assert world.query().load(red).cell.id == red  # the newest run that has it


def test_the_question_keeps_the_command_and_a_run_without_one_is_no_blame(world):
    upgrades(world, ["app"])
    blame, _ = world.begin(signature="s", timeout=5)
    words = "harness blame --good good.txt --bad bad.txt --scenario case.py::test_it --matrix m.toml"
    assert " ".join(blame.axis.question.command()).startswith(words)
    assert read_question(blame.folder, BlameQuestion) == blame.axis.question
    (blame.folder.path / SEARCH_FILE).unlink()
    with pytest.raises(ConfigError, match=r"is not a blame$"):
        read_question(blame.folder, BlameQuestion)


def bundle_of(folder, cells, monkeypatch):
    """Store cells of app and lib as a bundle, each lock with what app brings along."""
    stored = []
    for app, lib in cells:
        cell = Cell("3.11", (Pin("app", app, f"app=={app}"), Pin("lib", lib, f"lib=={lib}")), axes=("app", "lib"))
        stored.append(StoredCell(cell=cell, text=f"app=={app}\ndeep=={app}\nlib=={lib}\n"))
    Manifest(
        harness_version="1", python="3.11", platform="here", matrix="m.toml", needs_base=False, cells=tuple(stored)
    ).write(folder)
    monkeypatch.setenv("HARNESS_BUNDLE", str(folder))


def test_in_a_bundle_its_own_cells_are_the_environments_between(world, monkeypatch):
    bundle_of(world.folder, [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")], monkeypatch)
    world.outcome = red_where(deep="2", lib="2")
    ends = ("app-1-lib-1-*", "app-2-lib-2-*")
    result = quietly(world.begin(*ends)[0])
    said = "app 1 → 2 and lib 1 → 2 are needed together; with either one removed it is good"
    assert (answer(result), result.ending, len(world.ran)) == (said, Ending.FOUND, 4)
    note = "a bundle separates only the packages that its cells pin; their dependencies move with them"
    assert note in world.query().compare(*ends).notes


def test_what_a_bundle_does_not_hold_leaves_the_answer_open(world, monkeypatch):
    bundle_of(world.folder, [("1", "1"), ("2", "2")], monkeypatch)
    world.outcome = red_where(app="2")
    result = quietly(world.begin("app-1-*", "app-2-*")[0])
    assert (result.ending, result.members) == (Ending.INCONCLUSIVE, ("app", "lib"))
    assert "the bundle has no cell with these pins" in result.unsure["app"]


def test_a_cell_keeps_its_pins_when_it_is_written_down():
    cell = Cell("3.11", (Pin("a", "1", "a==1", transitive=True),))
    question = BlameQuestion(good="g", bad="b", scenario="s", matrix="m", shared=cell, changes=())
    assert BlameQuestion.model_validate_json(question.model_dump_json()) == question
    assert Path(question.good).name == "g"


def pins(**versions):
    return {name.replace("_", "-"): exact_pin(name.replace("_", "-"), version) for name, version in versions.items()}


SHARED = Cell("3.11", (Pin("held", "1", "held==1", transitive=True), Pin("torch", "2", "torch==2")))
FIVE = diff_pins(pins(a="1", b="1", c="1", d="1", e="1"), pins(a="2", b="2", c="2", d="2", e="2"), ())


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
    cell = cell_between(SHARED, FIVE, frozenset(applied))
    expected = {"held": "1", "torch": "2", **dict(zip("abcde", versions, strict=True))}
    assert {pin.package: pin.label for pin in cell.pins} == expected
    assert cell.id.rpartition("-")[0] == name
    assert cell.reference is (not applied)
    assert cell.pins[-1].transitive  # what is under test stands first


def test_what_one_end_lacks_is_not_pinned_there_and_seen_when_it_comes_all_the_same():
    found = diff_pins(pins(a="1", gone="1"), pins(a="2", come="1"), ())
    names = [change.package for change in found]
    neither = frozenset({names.index("gone")})
    assert {pin.package for pin in cell_between(SHARED, found, neither).pins} == {"held", "torch", "a"}
    assert _unwanted(found, neither, {"a": "1", "come": "1"}) == ("come",)
    assert _unwanted(found, neither, {"a": "1", "gone": "1"}) == ("gone",)
    assert _unwanted(found, frozenset(), {"a": "1", "gone": "1"}) == ()


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
    assert set_label(FIVE, applied) == text


def test_of_many_the_first_three_are_named():
    many = diff_pins(*({f"p{at:02}": exact_pin(f"p{at:02}", version) for at in range(12)} for version in "12"), ())
    assert set_label(many, range(6)) == "p00, p01, p02 and 3 more"
