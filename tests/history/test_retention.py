"""Old logs are removed, those of passed attempts first; results stay, also after an interruption."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.history import retention
from harness.history.query import open_history
from harness.history.retention import LoggedAttempt, plan_removal, trim
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, HostRecord, Outcome, RunRecord, ScenarioInfo, Status
from harness.store.run_folder import LOCK, RunFolder

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OOM = "OutOfMemoryError"
LOG = "x" * 1000
SCENARIO = "a::test_x"


def write_run(reports, days_ago, outcomes, *, signature=OOM, shared_lock=True):
    """Write a run with all files of its attempts and cells; ``outcomes`` is cell → outcomes of its attempts."""
    started = NOW - timedelta(days=days_ago)
    folder = RunFolder(reports / f"{started:%Y%m%d}")
    folder.path.mkdir(parents=True)
    cells = tuple(
        CellRecord(id=cell, labels={}, pins={}, python="3.11", lock="same" if shared_lock else cell, line=cell)
        for cell in outcomes
    )
    folder.write_record(
        RunRecord(
            name="m", started=started, matrix={}, matrix_file="m.toml", cells=cells, axes=(), harness_version="1",
            scenarios=(ScenarioInfo(id=SCENARIO, nodeid="x"),), host=HostRecord(platform="L", cpus=1, memory_bytes=1),
        )
    )  # fmt: skip
    journal = Journal(folder.journal_file)
    put(folder.path / "checkpoints.log")
    put(folder.path / "results.csv")
    for cell, each in outcomes.items():
        for name in ("install.log", "lock.txt", "env.json", "server/server.log", "collect-fork/output.log"):
            put(folder.cell(cell) / name)
        for number, outcome in enumerate(each, 1):
            own = folder.attempt(cell, SCENARIO, number)
            for name in ("output.log", "report.json", "events.jsonl", "memory.json", "request.json"):
                put(own / name)
            journal.attempt(
                AttemptRecord(
                    cell=cell, scenario=SCENARIO, attempt=number, outcome=outcome, started=started, seconds=1,
                    signature=signature if outcome.startswith("fail") else None, figures={"x.n": number},
                    folder=str(own.relative_to(folder.path)),
                )
            )  # fmt: skip
    journal.close()
    return folder


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(LOG)


def results_below(reports):
    """Return the results of every series, and the number of runs that the index had to read."""
    history, done = open_history(reports)
    return {key: [(each, dict(each.figures)) for each in own] for key, own in history.all_results()}, done.read


def files(folder):
    return {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}


def test_logs_of_green_attempts_are_removed_and_other_files_stay(tmp_path):
    old = write_run(tmp_path, 40, {"c1": ["pass:check", "skip:run:not_applicable"]})
    young = write_run(tmp_path, 5, {"c1": ["pass:check"]})
    before, untouched, journal = files(old), files(young), old.journal_file.read_bytes()
    done = trim(tmp_path, now=NOW, days=30)
    assert before - files(old) == {
        "checkpoints.log",
        "cells/c1/install.log",
        "cells/c1/server/server.log",
        "cells/c1/collect-fork/output.log",
        *(f"cells/c1/a.test_x/{number}/{name}" for number in (1, 2) for name in ("output.log", "report.json")),
    }
    assert files(old) - before == {"trimmed.txt"}
    assert files(young) == untouched
    assert (done.runs, done.files, done.bytes, done.kept_bytes) == (1, 8, 8000, 6000)
    assert old.journal_file.read_bytes() == journal
    assert trim(tmp_path, now=NOW, days=30).files == 0


def test_a_run_in_progress_keeps_its_logs(tmp_path):
    old = write_run(tmp_path, 40, {"c1": ["pass:check"]})
    before = files(old)
    with FileLock(old.path / LOCK, blocking=False):  # as another process holds it
        assert trim(tmp_path, now=NOW, days=30).files == 0
        assert files(old) == before | {LOCK}
    assert trim(tmp_path, now=NOW, days=30).runs == 1


def test_a_dry_run_has_the_same_result_and_removes_nothing(tmp_path):
    old = write_run(tmp_path, 40, {"c1": ["pass:check"]})
    before = files(old)
    planned = trim(tmp_path, now=NOW, days=30, dry_run=True)
    assert files(old) == before
    assert trim(tmp_path, now=NOW, days=30) == planned


def test_failed_attempts_and_their_cell_keep_their_logs_without_all_logs(tmp_path):
    runs = [write_run(tmp_path, days, {"c1": ["pass:check", "fail:run:oom"]}) for days in (60, 50, 40)]
    trim(tmp_path, now=NOW, days=30)
    for run in runs:
        assert not (run.attempt("c1", SCENARIO, 1) / "output.log").exists()
        assert (run.attempt("c1", SCENARIO, 2) / "output.log").exists()
        assert (run.cell("c1") / "install.log").exists()
    trim(tmp_path, now=NOW, days=30, all_logs=True)
    kept = [(run.attempt("c1", SCENARIO, 2) / "output.log").exists() for run in runs]
    assert kept == [False, False, True], "the newest of a signature stays at any age"
    assert [(run.cell("c1") / "install.log").exists() for run in runs] == kept


def test_the_newest_of_a_signature_may_be_in_a_young_run(tmp_path):
    old, young = (write_run(tmp_path, days, {"c1": ["fail:run:oom"]}) for days in (60, 5))
    trim(tmp_path, now=NOW, days=30, all_logs=True)
    assert not (old.attempt("c1", SCENARIO, 1) / "output.log").exists()
    assert (young.attempt("c1", SCENARIO, 1) / "output.log").exists()


@pytest.mark.parametrize(("shared", "kept"), [(True, True), (False, False)])
def test_an_install_log_stays_for_a_failed_attempt_in_the_same_environment(tmp_path, shared, kept):
    old = write_run(tmp_path, 40, {"c1": ["pass:check"], "c2": ["fail:run:oom"]}, shared_lock=shared)
    trim(tmp_path, now=NOW, days=30)
    assert (old.cell("c1") / "install.log").exists() is kept
    assert (old.path / "checkpoints.log").exists()


def test_a_cell_without_attempts_keeps_its_logs(tmp_path):
    old = write_run(tmp_path, 40, {"c1": ["pass:check"], "lost": []}, shared_lock=False)
    trim(tmp_path, now=NOW, days=30)
    assert (old.cell("lost") / "install.log").exists()
    assert not (old.cell("c1") / "install.log").exists()


def test_links_and_files_outside_the_run_are_not_removed(tmp_path):
    outside = tmp_path / "elsewhere"
    put(outside / "output.log")
    old = write_run(tmp_path / "reports", 40, {"c1": ["pass:check"]})
    own = old.attempt("c1", SCENARIO, 1)
    for path in own.iterdir():
        path.unlink()
    own.rmdir()
    own.symlink_to(outside)
    trim(tmp_path / "reports", now=NOW, days=30, all_logs=True)
    assert (outside / "output.log").exists()


def test_an_unreadable_run_keeps_its_logs_and_the_others_are_trimmed(tmp_path):
    old = write_run(tmp_path, 40, {"c1": ["pass:check"]})
    torn = write_run(tmp_path, 41, {"c1": ["pass:check"]})
    torn.record_file.write_text("{")
    before = files(torn)
    assert trim(tmp_path, now=NOW, days=30).runs == 1
    assert files(torn) == before
    assert "trimmed.txt" in files(old)


def test_an_interrupted_trim_changes_no_result_and_can_be_repeated(tmp_path, monkeypatch):
    for days in (40, 50):
        write_run(tmp_path, days, {"c1": ["pass:check", "pass:check"]})
    before = results_below(tmp_path)[0]
    unlink, left = Path.unlink, [3]

    def cut(path, **how):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        unlink(path, **how)

    monkeypatch.setattr(retention.Path, "unlink", cut)
    with pytest.raises(KeyboardInterrupt):
        trim(tmp_path, now=NOW, days=30)
    monkeypatch.undo()
    assert results_below(tmp_path) == (before, 0)
    assert trim(tmp_path, now=NOW, days=30).kept_bytes == 0


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder"):
        trim(tmp_path / "nowhere", now=NOW, days=30)


OUTCOMES = ["pass:check", "skip:run:no_gpu", "fail:run:oom", "error:run:exception", "miss:run:interrupted"]
ATTEMPTS = st.lists(
    st.builds(
        lambda run, cell, number, outcome, signature: LoggedAttempt(
            f"run{run}", NOW - timedelta(days=run), cell, SCENARIO, Outcome.parse(outcome),
            signature if outcome.startswith(("fail", "error")) else "", f"{cell}/{number}",
        ),
        st.integers(0, 9), st.sampled_from(["c1", "c2"]), st.integers(1, 3), st.sampled_from(OUTCOMES),
        st.sampled_from(["s1", "s2"]),
    ),
    unique_by=lambda each: (each.run, each.folder),
)  # fmt: skip
CELLS = {f"run{number}": {"c1": "l1", "c2": "l2"} for number in range(10)}


@given(ATTEMPTS, st.integers(0, 10), st.booleans())
def test_the_rules_of_removal(attempts, days, all_logs):
    before = NOW - timedelta(days=days)
    removal = plan_removal(attempts, CELLS, before=before, all_logs=all_logs)
    removed = [each for each in attempts if (each.run, each.folder) in removal.attempts]
    kept = [each for each in attempts if (each.run, each.folder) not in removal.attempts]
    assert all(each.started < before for each in removed)
    assert all_logs or all(each.passed for each in removed)
    assert all(not each.passed or each.started >= before for each in kept)
    for signature in {each.signature for each in attempts} - {""}:
        newest = max(each.started for each in attempts if each.signature == signature)
        assert any(each.started == newest and each.signature == signature for each in kept)
    for run, cell in removal.cells:
        own = [each for each in attempts if (each.run, each.cell) == (run, cell)]
        assert all(each in removed for each in own)
        assert all_logs or all(each.outcome.status in {Status.PASS, Status.SKIP} for each in own)
