"""Nights of the real command over a planted scenario; this interpreter plays the environment, nothing is installed."""

import json
import sys
import sysconfig
from pathlib import Path

import pytest

from harness.cli import night as command
from harness.cli.main import main
from harness.envs.build import Environment
from harness.envs.lock import Unsolvable, read_lock
from harness.matrix.cell import Cell, Pin
from harness.matrix.plan import Expansion
from harness.nightly import night
from harness.nightly.night import alone
from harness.session import run as session_run
from harness.session.plan import Plan, PlannedCell, read_scenarios
from harness.store.merge import merge
from harness.store.records import AttemptRecord, GpuRecord, RunKind
from harness.store.run_folder import RunFolder

SCENARIO = """
import json, os, pathlib
from harness.probe import scenario

ANSWERS = pathlib.Path(__file__).with_name("answers.json")


def answer(name):
    told = json.loads(ANSWERS.read_text()).get(f"{os.environ['LINE']} {name}", "green")
    if told == "kill":
        os.kill(os.getpid(), 9)
    assert told == "green", told


@scenario()
def test_one(probe):
    answer("one")


@scenario()
def test_two(probe):
    answer("two")
"""
MATRIX = """
name = "small"
scenarios = ["planted.py"]
reference = { six = "1.0.0" }
timeout = 60

[axes]
six = ["1.0.0", "latest"]

[preload]
modules = ["pytest"]
"""
LATEST = "six=latest"


def as_a_run(name):
    """Make a run of ``harness run`` of a nightly run: without what only a night has."""
    folder = RunFolder(Path("reports", name))
    for file in ("nightly.json", "night.json"):
        (folder.path / file).unlink()
    folder.write_record(folder.read_record().model_copy(update={"kind": RunKind.RUN}))


class World:
    """A folder with a matrix and a scenario whose answers, and a line whose newest release, the test decides."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys, self.newest, self.refused = folder, capsys, "1.1.0", False
        (folder / "small.toml").write_text(MATRIX)
        (folder / "planted.py").write_text(SCENARIO)
        self.answers()

    def answers(self, **told):
        """Say what is not green: ``latest_one="text of the failure"``."""
        names = {name.replace("_", " "): text for name, text in told.items()}
        (self.folder / "answers.json").write_text(json.dumps(names))

    def plan(self, matrix, cache_dir, **_):
        files, infos = read_scenarios(matrix)
        return Plan(matrix, (self.cell("1.0.0"), self.cell(self.newest, "latest")), files, infos)

    def cells(self):
        return (self.cell("1.0.0").cell, self.cell(self.newest, "latest").cell)

    def cell(self, version, expression=""):
        pin = Pin("six", version, f"six=={version}", expression=expression)
        cell = Cell(
            python=".".join(map(str, sys.version_info[:2])),
            pins=(pin,),
            variables=(("LINE", expression or "old"),),
            axes=("six",),
            reference=not expression,
        )
        lock = read_lock(f"six=={version}\n", cell.python, None, sysconfig.get_platform())
        refused = self.refused and bool(expression)
        return PlannedCell(cell, Unsolvable("six wants another Python") if refused else lock)

    def night(self, *arguments, code=0):
        """Spend a night as a user does, insist on its exit code, and return nightly.json and what was said."""
        self.capsys.readouterr()
        found = main(["nightly", "small.toml", "--bisect-budget", "0", "--jobs", "1", "--json", *arguments])
        said = self.capsys.readouterr()
        assert found == code, said.err[-3000:]
        return json.loads(said.out or "{}"), said.err

    def kinds(self, night, *, fresh=True):
        return {
            (claim["kind"], claim["line"], claim["scenario"].partition("::")[2])
            for claim in night["claims"]
            if claim["fresh"] or not fresh
        }


@pytest.fixture
def world(tmp_path, monkeypatch, capsys):
    def build(lock, root, log):
        return Environment(Path(sys.executable), root, lock.hash, reused=True, seconds=0.0)

    monkeypatch.setattr(session_run, "build", build)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    made = World(tmp_path, capsys)
    monkeypatch.setattr(command, "make_plan", made.plan)
    monkeypatch.setattr(night, "plan_cells", lambda matrix, cache: Expansion(made.cells()))
    return made


def test_a_red_that_a_release_brought_is_seen_again_alone_and_called_new(world):
    first, _ = world.night()
    assert first["verdict"] == "quiet"
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    second, said = world.night(code=1)
    assert world.kinds(second) == {("new regression", LATEST, "test_one")}
    (claim,) = [one for one in second["claims"] if one["kind"] == "new regression"]
    assert claim["changed"] == {"six": ["1.1.0", "1.2.0"]}
    assert claim["was"] == first["night"] == second["previous"]
    assert second["searches"][0]["answer"] == "not searched: the budget of 0 minutes was spent"
    assert len(second["drafts"]) == 1
    assert "1 to be seen again, alone" in said
    attempts = RunFolder(Path("reports", second["night"]).absolute()).attempts()
    order = [(one.cell.rpartition("-")[0], one.scenario.partition("::")[2]) for one in attempts]
    assert order[:2] == order[-2:] == [("six-1.0.0", "test_one"), ("six-1.0.0", "test_two")]  # the control cell
    assert set(order[4:-2]) == {("six-1.2.0", "test_one")}


def test_the_next_night_says_still_red_and_a_fix_is_said_in_its_night(world):
    world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    second, _ = world.night(code=1)
    third, said = world.night()
    assert world.kinds(third) == set()
    assert ("still red", LATEST, "test_one") in world.kinds(third, fresh=False)
    (told,) = [text for text in said.splitlines() if "still red" in text]
    assert f"as before: still red: {LATEST} · planted::test_one" in told
    assert f"(since {second['night']})" in told
    world.newest = "1.3.0"
    world.answers()
    fourth, _ = world.night()
    assert world.kinds(fourth) == {("fixed", LATEST, "test_one")}


def test_an_edited_scenario_is_said_as_that_and_nobody_is_told_of_a_regression(world):
    world.night()
    edited = SCENARIO.replace('answer("one")', 'answer("one")\n    assert os.environ["LINE"] == "old"')
    (world.folder / "planted.py").write_text(edited)
    second, said = world.night()
    assert world.kinds(second) == {("scenario changed", LATEST, "test_one")}
    assert (second["searches"], second["drafts"], second["control"]) == ([], [], "steady")
    assert "its source changed, nothing installed did" in said


def test_what_did_not_change_is_carried_and_named_with_its_night_and_all_runs_everything(world):
    first, _ = world.night()
    second, said = world.night()
    places = [[LATEST, "planted::test_one"], [LATEST, "planted::test_two"]]
    assert second["carried"] == [{"night": first["night"], "count": 2, "places": places}]
    written = Path("reports", second["night"], "nightly.md").read_text()
    assert f"- `{LATEST}`: 2 seen in {first['night']}" in written
    assert second["counts"] == {"pass": 2}  # the control cell alone: what was carried is not counted as green
    assert f"2 results not run again: unchanged since {first['night']}" in said
    assert [one.id.rpartition("-")[0] for one in RunFolder(Path("reports", second["night"])).read_record().cells] == [
        "six-1.0.0"
    ]
    everything, _ = world.night("--all")
    assert (everything["carried"], everything["counts"]) == ([], {"pass": 4})


def test_a_red_that_is_green_when_seen_again_is_flaky_and_no_regression(world, monkeypatch):
    world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="now and then")
    again = command.Stages.again

    def green_again(self, wanted):
        world.answers()
        return again(self, wanted)

    monkeypatch.setattr(command.Stages, "again", green_again)
    second, said = world.night()
    assert world.kinds(second) == {("flaky", LATEST, "test_one")}
    assert "red in 1 of 3 attempts" in said


def test_a_control_cell_that_moves_makes_the_night_inconclusive_and_claims_nothing(world, monkeypatch):
    world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    last = command.Stages.control_again

    def moved(self, control, before):
        world.answers(latest_one="broken", old_two="the machine")
        last(self, control, before)

    monkeypatch.setattr(command.Stages, "control_again", moved)
    second, _ = world.night(code=4)
    assert second["verdict"] == "inconclusive: machine"
    differs = "planted::test_two: first pass:check, last fail:check:assertion"
    assert second["moved"] == [f"{differs}; this scenario disagrees with itself in the control cell"]
    assert ("not claimed", LATEST, "test_one") in world.kinds(second)
    assert not {kind for kind, *_ in world.kinds(second)} & {"new regression", "fixed"}
    monkeypatch.undo()


def test_an_interrupted_night_claims_nothing_and_is_gone_on_with(world, monkeypatch):
    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    cells, calls = command.Stages.cells, []

    def interrupted(self, ids, **how):
        calls.append(ids)
        if len(calls) == 2:
            raise KeyboardInterrupt
        cells(self, ids, **how)

    with monkeypatch.context() as patch:
        patch.setattr(command.Stages, "cells", interrupted)
        nothing, said = world.night("--hook", "cat > x", "--strict", code=130)
    assert nothing == {}
    again = "harness nightly small.toml --resume --bisect-budget 0s --hook 'cat > x' --strict"
    assert f"nothing is claimed; to go on: {again}\n" in said
    torn = next(
        path.parent for path in Path("reports").glob("*/night.json") if not (path.parent / "nightly.json").exists()
    )
    made = len(RunFolder(torn).attempts())
    latest = next(cell.id for cell in RunFolder(torn).read_record().cells if not cell.reference)
    began = {"event": "attempt_started", "cell": latest, "scenario": "planted::test_two", "attempt": 1}
    with (torn / "journal.jsonl").open("a") as journal:  # as a kill leaves it
        journal.write(json.dumps(began) + "\n")
    done, _ = world.night("--resume", code=1)
    assert done["night"] == torn.name
    assert done["previous"] == first["night"]
    assert world.kinds(done) == {("new regression", LATEST, "test_one")}
    control = [one for one in RunFolder(torn.absolute()).attempts() if one.cell.startswith("six-1.0.0")]
    assert (made, len(control)) == (2, 4)  # first, before the interrupt, and last: no third time
    again = [
        one
        for one in RunFolder(torn.absolute()).attempts()
        if one.scenario == "planted::test_two" and one.cell == latest
    ]
    assert [(one.attempt, str(one.outcome)) for one in again] == [(1, "miss:run:interrupted"), (2, "pass:check")]
    world.night("--resume", code=2)


def test_a_night_that_was_killed_counts_for_nothing_in_the_next(world):
    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    second, _ = world.night(code=1)
    Path("reports", second["night"], "nightly.json").unlink()  # killed before its last step
    third, said = world.night(code=1)
    assert third["previous"] == first["night"]
    assert "never came to its end and counts for nothing" in said
    assert world.kinds(third) == {("new regression", LATEST, "test_one")}


def test_a_release_that_cannot_be_resolved_is_unavailable_and_no_regression(world):
    world.night()
    world.newest, world.refused = "1.2.0", True
    second, said = world.night(code=4)
    assert {(claim["kind"], claim["line"], claim["scenario"]) for claim in second["claims"]} == {
        ("unavailable", LATEST, "*")
    }
    assert "six wants another Python" in said
    world.refused = False
    third, _ = world.night()
    assert {kind for kind, *_ in world.kinds(third)} <= {"fixed", "disappeared"}


def test_the_hook_gets_the_night_as_json_and_its_failure_changes_nothing(world):
    night, said = world.night("--hook", "cat > told.json; exit 7")
    assert json.loads(Path("told.json").read_text()) == night
    assert "note: the hook ended with 7" in said


def test_a_merged_run_is_judged_and_nothing_is_run(world, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_two="broken")
    second, _ = world.night("--all", code=1)
    parts = [RunFolder(Path("reports", night["night"]).absolute()) for night in (first, second)]
    (parts[1].path / "nightly.json").unlink()
    merged = merge(parts, Path("reports", "merged"))
    before = merged.folder.journal_file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(night.Searcher, "all", stopped)
        _, said = world.night("--judge", str(merged.folder.path), "--bisect-budget", "5m", code=130)
    assert f"to go on: harness nightly --judge {merged.folder.path} --bisect-budget 300s\n" in said
    judged, _ = world.night("--judge", str(merged.folder.path), code=1)
    assert ("new regression", LATEST, "test_two") in world.kinds(judged)
    again, _ = world.night("--judge", f"reports/../reports/{merged.folder.path.name}", code=1)
    assert (again["previous"], world.kinds(again)) == (first["night"], world.kinds(judged))
    assert merged.folder.journal_file.read_bytes() == before


def test_a_run_that_is_judged_again_is_not_held_against_a_later_night(world):
    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_two="broken")
    second, _ = world.night("--all", code=1)
    world.answers()
    later, _ = world.night("--all")
    as_a_run(second["night"])
    judged, _ = world.night("--judge", second["night"], code=1)
    assert judged["previous"] == first["night"] != later["night"]
    assert world.kinds(judged) == {("new regression", LATEST, "test_two")}


def test_a_judge_without_the_runs_cards_searches_nothing_and_says_so(world):
    """The host of the runs is written over: there is no GPU here."""
    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_two="broken")
    second, _ = world.night("--all", code=1)
    card = GpuRecord(uuid="GPU-1", name="NVIDIA H200", memory_bytes=1, driver="580")
    ended = Path("reports", first["night"], "nightly.json")
    ended.write_text(json.dumps(first | {"gpus": [card.name]}))
    parts = [RunFolder(Path("reports", night["night"]).absolute()) for night in (first, second)]
    for part in parts:
        record = part.read_record()
        part.write_record(record.model_copy(update={"host": record.host.model_copy(update={"gpus": (card,)})}))
    (parts[1].path / "nightly.json").unlink()
    merged = merge(parts, Path("reports", "merged"))
    judged, _ = world.night("--judge", str(merged.folder.path), "--bisect-budget", "5m", code=1)
    assert [one["answer"] for one in judged["searches"]] == ["not searched: this machine has no NVIDIA H200"]
    world.capsys.readouterr()
    assert main(["nightly", "--judge", str(merged.folder.path), "--json"]) == 1
    assert json.loads(world.capsys.readouterr().out)["searches"] == []


def test_a_judge_that_cannot_plan_the_run_again_judges_it_and_searches_nothing(world):
    """The parts came from another machine, where the scenario lies."""
    world.night()
    world.newest = "1.2.0"
    world.answers(latest_two="broken")
    second, _ = world.night("--all", code=1)
    as_a_run(second["night"])
    Path("planted.py").unlink()
    judged, _ = world.night("--judge", second["night"], "--bisect-budget", "5m", code=1)
    assert ("new regression", LATEST, "test_two") in world.kinds(judged)
    (search,) = judged["searches"]
    assert search["answer"].startswith("not searched: ")
    assert "planted.py" in search["answer"]
    assert search["what"] == "six 1.1.0 → 1.2.0"


def test_a_part_that_never_came_is_missing_in_what_is_judged(world):
    first, _ = world.night()
    alone, _ = world.night()  # nothing changed: the control cell alone, as a runner would bring that lost its part
    as_a_run(alone["night"])
    judged, _ = world.night("--judge", alone["night"], code=4)
    assert {claim[:2] for claim in world.kinds(judged)} == {("missing", LATEST)}
    reasons = {claim["detail"] for claim in judged["claims"] if claim["kind"] == "missing"}
    lost = "no part brought this cell: a runner was lost, or its part was not merged"
    assert reasons == {f"{lost}; last result pass in {first['night']}"}


def test_a_full_disk_is_missing_results_with_the_reason_and_the_next_night_asks_again(world, monkeypatch):
    world.night()
    world.newest = "1.2.0"
    build = session_run.build

    def full(lock, root, log):
        if "1.2.0" in lock.text:
            raise OSError(28, "No space left on device")
        return build(lock, root, log)

    with monkeypatch.context() as patch:
        patch.setattr(session_run, "build", full)
        second, said = world.night(code=4)
    assert {kind for kind, *_ in world.kinds(second)} == {"no answer"}
    assert "No space left on device" in said
    third, _ = world.night()
    assert (world.kinds(third), third["counts"]) == (set(), {"pass": 4})


def test_a_baseline_is_what_nights_are_held_against_and_what_is_accepted_is_quiet(world):
    first, _ = world.night()
    assert main(["baseline", "set", first["night"], "--reason", "as released"]) == 0
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    second, _ = world.night(code=1)
    assert second["baseline"] == first["night"]
    assert any(text.startswith(f"new failure: {LATEST} · planted::test_one") for text in second["against_baseline"])


def test_the_baseline_is_read_once(world, monkeypatch):
    first, _ = world.night()
    assert main(["baseline", "set", first["night"], "--reason", "as released"]) == 0
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    read, found = RunFolder.read, []

    def counted(folder, kind):
        found.extend([folder.path.name] if kind is AttemptRecord else [])
        return read(folder, kind)

    monkeypatch.setattr(RunFolder, "read", counted)
    second, _ = world.night(code=1)
    assert second["against_baseline"]
    assert found.count(first["night"]) == 1
    as_a_run(second["night"])
    found.clear()
    judged, _ = world.night("--judge", second["night"], code=1)
    assert judged["against_baseline"] == second["against_baseline"]
    assert found.count(first["night"]) == 1


def test_a_night_whose_baseline_is_gone_is_not_green(world):
    first, _ = world.night()
    assert main(["baseline", "set", first["night"], "--reason", "as released"]) == 0
    world.night()
    Path("reports", first["night"]).rename("elsewhere")
    night, said = world.night("--all", code=4)
    (claim,) = night["claims"]
    assert (claim["kind"], claim["line"]) == ("no answer", "")
    assert f"the baseline {first['night']} cannot be read: " in claim["detail"]
    assert f"no answer: {claim['detail']}" in said.replace("\n", " ")
    assert (
        f"- the baseline {first['night']} cannot be read: " in Path("reports", night["night"], "nightly.md").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume"], "no night of small below reports was interrupted"),
        (["--judge", "nothing"], "no run named 'nothing' below reports"),
    ],
)
def test_a_mistake_is_one_sentence(world, arguments, sentence):
    _, said = world.night(*arguments, code=2)
    assert sentence in said


def test_a_night_is_not_judged_a_second_time(world):
    world.night()
    (night,) = (path.parent for path in Path("reports").glob("*/nightly.json"))
    before = (night / "nightly.json").read_bytes()
    _, said = world.night("--judge", str(night), code=2)
    assert "judges itself at its end" in said
    assert (night / "nightly.json").read_bytes() == before


def test_two_nights_of_a_matrix_do_not_run_at_once(world):
    with alone(Path("reports"), "small"):
        _, said = world.night(code=2)
    assert "a night of small is running below reports already" in said


def test_reports_that_are_a_file_are_one_sentence(world):
    Path("reports").write_text("no folder")
    _, said = world.night(code=2)
    assert "--reports reports is not a folder" in said


def test_a_night_is_gone_on_with_by_nothing_but_itself(world):
    night, _ = world.night()
    folder = Path("reports", night["night"])
    before = (folder / "journal.jsonl").read_bytes()
    for words, sentence in (
        ((night["night"], "--resume"), f"{night['night']} is a nightly run: resume it by `harness nightly --resume`"),
        (("small.toml", "--retry-failed"), "there is no run of the matrix small below reports to resume"),
    ):
        assert main(["run", *words]) == 2
        assert sentence in world.capsys.readouterr().err
    assert (folder / "journal.jsonl").read_bytes() == before
