"""Nightly runs of the real command with a planted scenario, in this interpreter: nothing is installed."""

import json
import sys
import sysconfig
from pathlib import Path

import pytest
from filelock import FileLock

from harness.cli.main import main
from harness.envs.build import Environment
from harness.envs.lock import Unsolvable, read_lock
from harness.matrix.cell import Cell, Pin
from harness.matrix.plan import Expansion
from harness.nightly import evaluate, night, stages
from harness.nightly.night import exclusive
from harness.session import run as session_run
from harness.session.plan import Plan, PlannedCell, read_scenarios
from harness.store.merge import merge
from harness.store.records import AttemptRecord, GpuRecord, RunKind
from harness.store.run_folder import LOCK, RunFolder

SCENARIO = """
import json, os, pathlib
from harness.probe import scenario

ANSWERS = pathlib.Path(__file__).with_name("answers.json")


def answer(name):
    planned = json.loads(ANSWERS.read_text()).get(f"{os.environ['SERIES']} {name}", "pass")
    if planned == "kill":
        os.kill(os.getpid(), 9)
    assert planned == "pass", planned


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
reference = { gadget = "1.0.0" }
timeout = 60

[axes]
gadget = ["1.0.0", "latest"]

[preload]
modules = ["pytest"]
"""
LATEST = "gadget=latest"


def as_a_run(name):
    """Make a run of ``harness run`` of a nightly run: without the files that only a nightly run has."""
    folder = RunFolder(Path("reports", name))
    for file in ("nightly.json", "night.json"):
        (folder.path / file).unlink()
    folder.write_record(folder.read_record().model_copy(update={"kind": RunKind.RUN}))


class World:
    """A folder with a matrix and a scenario; the test decides its answers, and the newest release of a series."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys, self.newest, self.refused = folder, capsys, "1.1.0", False
        (folder / "small.toml").write_text(MATRIX)
        (folder / "planted.py").write_text(SCENARIO)
        self.answers()

    def answers(self, **failures):
        """Set which scenarios fail: ``latest_one="text of the failure"``."""
        names = {name.replace("_", " "): text for name, text in failures.items()}
        (self.folder / "answers.json").write_text(json.dumps(names))

    def plan(self, matrix, cache_dir, **_):
        files, infos = read_scenarios(matrix)
        return Plan(matrix, (self.cell("1.0.0"), self.cell(self.newest, "latest")), files, infos)

    def cells(self):
        return (self.cell("1.0.0").cell, self.cell(self.newest, "latest").cell)

    def cell(self, version, expression=""):
        pin = Pin("gadget", version, f"gadget=={version}", expression=expression)
        cell = Cell(
            python=".".join(map(str, sys.version_info[:2])),
            pins=(pin,),
            variables=(("SERIES", expression or "old"),),
            axes=("gadget",),
            reference=not expression,
        )
        lock = read_lock(f"gadget=={version}\n", cell.python, None, sysconfig.get_platform())
        refused = self.refused and bool(expression)
        return PlannedCell(cell, Unsolvable("gadget wants another Python") if refused else lock)

    def night(self, *arguments, code=0):
        """Run the command, check its exit code, and return nightly.json and standard error."""
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
        return Environment(Path(sys.executable), root, reused=True, seconds=0.0)

    monkeypatch.setattr(session_run, "build", build)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    made = World(tmp_path, capsys)
    monkeypatch.setattr(night, "make_plan", made.plan)
    monkeypatch.setattr(evaluate, "plan_cells", lambda matrix, cache: Expansion(made.cells()))
    return made


def test_a_failure_of_a_new_release_is_rerun_serially_and_is_a_new_regression(world):
    first, _ = world.night()
    assert first["verdict"] == "quiet"
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    second, said = world.night(code=1)
    assert world.kinds(second) == {("new regression", LATEST, "test_one")}
    (claim,) = [one for one in second["claims"] if one["kind"] == "new regression"]
    assert claim["changed"] == {"gadget": ["1.1.0", "1.2.0"]}
    assert claim["was"] == first["night"] == second["previous"]
    assert second["searches"][0]["answer"] == "not searched: the budget of 0 minutes is spent"
    assert len(second["drafts"]) == 1
    assert "1 result to confirm by isolated reruns: 1 attempt\n" in said
    attempts = RunFolder(Path("reports", second["night"]).absolute()).attempts()
    order = [(one.cell.rpartition("-")[0], one.scenario.partition("::")[2]) for one in attempts]
    assert order[:2] == order[-2:] == [("gadget-1.0.0", "test_one"), ("gadget-1.0.0", "test_two")]  # the control cell
    assert set(order[4:-2]) == {("gadget-1.2.0", "test_one")}


def test_the_next_run_claims_still_failing_and_later_the_fix(world):
    world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    second, _ = world.night(code=1)
    third, said = world.night()
    assert world.kinds(third) == set()
    assert ("still red", LATEST, "test_one") in world.kinds(third, fresh=False)
    (sentence,) = [text for text in said.splitlines() if "still failing" in text]
    assert f"unchanged: still failing: {LATEST} · planted::test_one" in sentence
    assert f"(since {second['night']})" in sentence
    world.newest = "1.3.0"
    world.answers()
    fourth, _ = world.night()
    assert world.kinds(fourth) == {("fixed", LATEST, "test_one")}


def test_a_failure_of_an_edited_scenario_is_no_regression(world):
    world.night()
    edited = SCENARIO.replace('answer("one")', 'answer("one")\n    assert os.environ["SERIES"] == "old"')
    (world.folder / "planted.py").write_text(edited)
    second, said = world.night()
    assert world.kinds(second) == {("scenario changed", LATEST, "test_one")}
    assert (second["searches"], second["drafts"], second["control"]) == ([], [], "steady")
    assert "only the source of the scenario changed: AssertionError" in said


def test_unchanged_results_are_reused_and_all_runs_every_cell(world):
    first, _ = world.night()
    second, said = world.night()
    places = [[LATEST, "planted::test_one"], [LATEST, "planted::test_two"]]
    assert second["carried"] == [{"night": first["night"], "count": 2, "places": places}]
    written = Path("reports", second["night"], "nightly.md").read_text()
    assert f"- `{LATEST}`: 2 from {first['night']}" in written
    assert second["counts"] == {"pass": 2}  # only the control cell: reused results are not counted
    assert f"2 results reused from {first['night']}" in said
    assert [one.id.rpartition("-")[0] for one in RunFolder(Path("reports", second["night"])).read_record().cells] == [
        "gadget-1.0.0"
    ]
    everything, _ = world.night("--all")
    assert (everything["carried"], everything["counts"]) == ([], {"pass": 4})


def test_a_failure_that_passes_in_a_rerun_is_flaky_and_no_regression(world, monkeypatch):
    world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="intermittent")
    again = stages.Stages.rerun

    def green_again(self, wanted):
        world.answers()
        return again(self, wanted)

    monkeypatch.setattr(stages.Stages, "rerun", green_again)
    second, said = world.night()
    assert world.kinds(second) == {("flaky", LATEST, "test_one")}
    assert "fails in 1 of 3 attempts with the same lock and source" in said


def test_a_control_cell_that_drifts_makes_a_run_inconclusive(world, monkeypatch):
    world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    last = stages.Stages.rerun_control

    def drifted(self, control, before):
        world.answers(latest_one="broken", old_two="the machine")
        last(self, control, before)

    monkeypatch.setattr(stages.Stages, "rerun_control", drifted)
    second, _ = world.night(code=4)
    assert second["verdict"] == "inconclusive: machine"
    differs = "planted::test_two: first pass:check, last fail:check:assertion"
    assert second["moved"] == [f"{differs}; the scenario is flaky in the control cell"]
    assert ("not claimed", LATEST, "test_one") in world.kinds(second)
    assert not {kind for kind, *_ in world.kinds(second)} & {"new regression", "fixed"}
    monkeypatch.undo()


def test_an_interrupted_run_claims_nothing_and_is_resumed(world, monkeypatch):
    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    cells, calls = stages.Stages.run_cells, []

    def interrupted(self, ids, **how):
        calls.append(ids)
        if len(calls) == 2:
            raise KeyboardInterrupt
        cells(self, ids, **how)

    with monkeypatch.context() as patch:
        patch.setattr(stages.Stages, "run_cells", interrupted)
        nothing, said = world.night("--hook", "cat > x", "--strict", code=130)
    assert nothing == {}
    again = "harness nightly small.toml --resume --bisect-budget 0s --hook 'cat > x' --strict"
    assert f"nothing is claimed; continue with: {again}\n" in said
    interrupted_run = next(
        path.parent for path in Path("reports").glob("*/night.json") if not (path.parent / "nightly.json").exists()
    )
    made = len(RunFolder(interrupted_run).attempts())
    latest = next(cell.id for cell in RunFolder(interrupted_run).read_record().cells if not cell.reference)
    began = {"event": "attempt_started", "cell": latest, "scenario": "planted::test_two", "attempt": 1}
    with (interrupted_run / "journal.jsonl").open("a") as journal:  # as a kill leaves it
        journal.write(json.dumps(began) + "\n")
    done, _ = world.night("--resume", code=1)
    assert done["night"] == interrupted_run.name
    assert done["previous"] == first["night"]
    assert world.kinds(done) == {("new regression", LATEST, "test_one")}
    control = [one for one in RunFolder(interrupted_run.absolute()).attempts() if one.cell.startswith("gadget-1.0.0")]
    assert (made, len(control)) == (2, 4)  # first, before the interrupt, and last: no third time
    again = [
        one
        for one in RunFolder(interrupted_run.absolute()).attempts()
        if one.scenario == "planted::test_two" and one.cell == latest
    ]
    assert [(one.attempt, str(one.outcome)) for one in again] == [(1, "miss:run:interrupted"), (2, "pass:check")]
    world.night("--resume", code=2)


def test_a_killed_run_is_ignored_by_the_next(world):
    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_one="broken")
    second, _ = world.night(code=1)
    Path("reports", second["night"], "nightly.json").unlink()  # killed before its last step
    third, said = world.night(code=1)
    assert third["previous"] == first["night"]
    assert "was interrupted and is ignored; continue it with --resume" in said
    assert world.kinds(third) == {("new regression", LATEST, "test_one")}


def test_a_release_that_cannot_be_resolved_is_unavailable_and_no_regression(world):
    world.night()
    world.newest, world.refused = "1.2.0", True
    second, said = world.night(code=4)
    assert {(claim["kind"], claim["line"], claim["scenario"]) for claim in second["claims"]} == {
        ("unavailable", LATEST, "*")
    }
    assert "gadget wants another Python" in said
    world.refused = False
    third, _ = world.night()
    assert {kind for kind, *_ in world.kinds(third)} <= {"fixed", "disappeared"}


def test_the_hook_gets_nightly_json_and_its_failure_changes_nothing(world):
    night, said = world.night("--hook", "cat > received.json; exit 7")
    assert json.loads(Path("received.json").read_text()) == night
    assert "note: the hook exited with 7" in said


def test_a_merged_run_is_evaluated_and_nothing_is_run(world, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_two="broken")
    second, _ = world.night("--all", code=1)
    parts = [RunFolder(Path("reports", night["night"]).absolute()) for night in (first, second)]
    (parts[1].path / "nightly.json").unlink()
    merged, _ = merge(parts, Path("reports", "merged"))
    before = merged.journal_file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(evaluate.Searcher, "run_all", stopped)
        _, said = world.night("--judge", str(merged.path), "--bisect-budget", "5m", code=130)
    assert f"continue with: harness nightly --judge {merged.path} --bisect-budget 300s\n" in said
    judged, _ = world.night("--judge", str(merged.path), code=1)
    assert ("new regression", LATEST, "test_two") in world.kinds(judged)
    again, _ = world.night("--judge", f"reports/../reports/{merged.path.name}", code=1)
    assert (again["previous"], world.kinds(again)) == (first["night"], world.kinds(judged))
    assert merged.journal_file.read_bytes() == before


def test_a_run_is_never_compared_with_a_later_nightly_run(world):
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


def test_without_the_gpus_of_the_run_nothing_is_searched(world):
    """The host of the runs is replaced: no machine has this GPU."""
    first, _ = world.night()
    world.newest = "1.2.0"
    world.answers(latest_two="broken")
    second, _ = world.night("--all", code=1)
    card = GpuRecord(uuid="GPU-1", name="NVIDIA Z900", memory_bytes=1, driver="580")
    ended = Path("reports", first["night"], "nightly.json")
    ended.write_text(json.dumps(first | {"gpus": [card.name]}))
    parts = [RunFolder(Path("reports", night["night"]).absolute()) for night in (first, second)]
    for part in parts:
        record = part.read_record()
        part.write_record(record.model_copy(update={"host": record.host.model_copy(update={"gpus": (card,)})}))
    (parts[1].path / "nightly.json").unlink()
    merged, _ = merge(parts, Path("reports", "merged"))
    judged, _ = world.night("--judge", str(merged.path), "--bisect-budget", "5m", code=1)
    assert [one["answer"] for one in judged["searches"]] == ["not searched: this machine has no NVIDIA Z900"]
    world.capsys.readouterr()
    assert main(["nightly", "--judge", str(merged.path), "--json"]) == 1
    assert json.loads(world.capsys.readouterr().out)["searches"] == []


def test_a_run_that_cannot_be_planned_again_is_evaluated_without_searches(world):
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
    assert search["what"] == "gadget 1.1.0 → 1.2.0"


def test_a_lost_part_is_missing_in_the_evaluation(world):
    first, _ = world.night()
    alone, _ = world.night()  # nothing changed: the control cell alone, as a runner would bring that lost its part
    as_a_run(alone["night"])
    judged, _ = world.night("--judge", alone["night"], code=4)
    assert {claim[:2] for claim in world.kinds(judged)} == {("missing", LATEST)}
    reasons = {claim["detail"] for claim in judged["claims"] if claim["kind"] == "missing"}
    lost = "no part has this cell: a runner was lost, or its part was not merged"
    assert reasons == {f"{lost}; last result pass in {first['night']}"}


def test_a_full_disk_is_inconclusive_and_the_next_run_runs_again(world, monkeypatch):
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


def test_a_nightly_run_is_compared_with_the_baseline(world):
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


def test_a_run_whose_baseline_is_gone_is_inconclusive(world):
    first, _ = world.night()
    assert main(["baseline", "set", first["night"], "--reason", "as released"]) == 0
    world.night()
    Path("reports", first["night"]).rename("elsewhere")
    night, said = world.night("--all", code=4)
    (claim,) = night["claims"]
    assert (claim["kind"], claim["line"]) == ("no answer", "")
    assert f"the baseline {first['night']} cannot be read: " in claim["detail"]
    assert f"inconclusive: {claim['detail']}" in said.replace("\n", " ")
    assert (
        f"- the baseline {first['night']} cannot be read: " in Path("reports", night["night"], "nightly.md").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume"], "there is no interrupted nightly run of small below reports"),
        (["--judge", "nothing"], "no run named 'nothing' below reports"),
    ],
)
def test_a_mistake_is_one_sentence(world, arguments, sentence):
    _, said = world.night(*arguments, code=2)
    assert sentence in said


def test_a_nightly_run_is_not_evaluated_a_second_time(world):
    world.night()
    (night,) = (path.parent for path in Path("reports").glob("*/nightly.json"))
    before = (night / "nightly.json").read_bytes()
    _, said = world.night("--judge", str(night), code=2)
    assert "is a nightly run, which is evaluated when it ends" in said
    assert (night / "nightly.json").read_bytes() == before


def test_two_nightly_runs_of_a_matrix_do_not_run_at_once(world):
    with exclusive(Path("reports"), "small"):
        _, said = world.night(code=2)
    assert "a nightly run of small is already in progress below reports" in said


def test_a_run_folder_in_use_is_not_resumed(world, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages.Stages, "run_cells", stopped)
        world.night(code=130)
    (interrupted,) = (path.parent for path in Path("reports").glob("*/night.json"))
    before = sorted(interrupted.rglob("*"))
    with FileLock(interrupted / LOCK, blocking=False):  # as another process holds it
        _, said = world.night("--resume", code=2)
        assert sorted(interrupted.rglob("*")) == before
    assert interrupted.name in said
    assert world.night("--resume")[0]["night"] == interrupted.name


def test_reports_that_are_a_file_are_one_sentence(world):
    Path("reports").write_text("no folder")
    _, said = world.night(code=2)
    assert "--reports reports is not a folder" in said


def test_a_nightly_run_is_resumed_only_by_nightly(world):
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
