"""One run says one thing: every view, verb and table gives the same status for every scenario and cell."""

import html
import json
import re
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import load_table
from harness.cli.main import main
from harness.errors import ExitCode
from harness.nightly.stages import read_run_results
from harness.session.conclude import conclude
from harness.store.journal import Journal
from harness.store.merge import merge
from harness.store.records import (
    WHOLE_CELL,
    AttemptRecord,
    CellRecord,
    HostRecord,
    RunKind,
    RunRecord,
    ScenarioInfo,
    fallback_ids,
)
from harness.store.run_folder import RunFolder
from harness.verdict.result import ResultKey
from harness.verdict.results import read_results

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
A, B, BX, BY = "f::test_A", "f::test_B", "f::test_B[x]", "f::test_B[y]"
CELLS = ("old", "new", "dev")
HOST = HostRecord(platform="Linux x86_64", cpus=2, memory_bytes=1 << 30)
OUTCOMES = (
    "pass:check",
    "fail:check:assertion",
    "fail:run:oom",
    "fail:run:exception",
    "error:run:exception",
    "error:run:gpu_busy",
    "skip:run:not_applicable",
    "skip:run:no_gpu",
    "miss:run:interrupted",
)
CELL_OUTCOMES = (
    "unavailable:resolve:unsolvable",
    "unavailable:install:install_failed",
    "fail:install:install_failed",  # as schema 1 wrote it
    "error:resolve:network",
    "error:install:network",
    "error:collect:exception",
)


def plan(cells=CELLS, scenarios=(A, B), *, day=0, name="m"):
    return RunRecord(
        kind=RunKind.RUN,
        name=name,
        started=NOON + timedelta(days=day),
        matrix={"name": name},
        matrix_file="m.toml",
        scenarios=tuple(ScenarioInfo(id=one, nodeid=f"/x/{one}") for one in scenarios),
        cells=tuple(
            CellRecord(
                id=cell,
                labels={"six": cell},
                pins={"six": cell},
                python="3.11",
                lock="l",
                versions={"six": "1.0"},
                line=f"six={cell}",
                reference=cell == "old",
            )
            for cell in cells
        ),
        axes=("six",),
        host=HOST,
        harness_version="1",
    )


def record(cell, scenario, number, outcome):
    seconds = {"cell": cell, "scenario": scenario, "attempt": number, "started": NOON, "seconds": 1.0}
    return AttemptRecord.model_validate({**seconds, "outcome": outcome})


ATTEMPT = st.tuples(st.just("attempt"), st.sampled_from((A, B, BX, BY)), st.integers(1, 3), st.sampled_from(OUTCOMES))
EVENT = st.one_of(
    ATTEMPT,
    ATTEMPT,
    st.tuples(st.just("attempt"), st.just("f"), st.just(0), st.sampled_from(("error:collect:exception",))),
    st.tuples(st.just("attempt"), st.just(WHOLE_CELL), st.just(0), st.sampled_from(CELL_OUTCOMES)),
    st.tuples(st.just("collected"), st.sets(st.sampled_from((A, B, BX, BY)), max_size=3)),
    st.tuples(st.just("attempt_started"), st.sampled_from((A, B, BX))),
    st.tuples(st.just("environment_started")),
    st.tuples(st.sampled_from(("run_started", "run_finished", "run_interrupted"))),  # a resume, an end, Ctrl-C
)
EVENTS = st.lists(st.tuples(st.sampled_from(CELLS), EVENT), max_size=25)


def write(root, name, events, record_of_run):
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True)
    folder.write_record(record_of_run)
    journal = Journal(folder.journal_file)
    journal.write("run_started", jobs=1)
    known = {cell.id for cell in record_of_run.cells}
    for cell, event in events:
        match event:
            case _ if cell not in known:
                pass
            case "attempt", scenario, number, outcome:
                journal.attempt(record(cell, scenario, number, outcome))
            case "collected", names:
                listed = [{"id": one, "nodeid": f"/x/{one}"} for one in sorted(names)]
                journal.write("collected", cell=cell, isolation="fork", scenarios=listed)
            case "attempt_started", scenario:
                journal.write("attempt_started", cell=cell, scenario=scenario, attempt=1)
            case ("environment_started",):
                journal.write("environment_started", cell=cell)
            case (end,):
                journal.write(end)
    journal.close()
    return folder


def said(*arguments):
    """Return what a verb prints; whatever its exit code, it is no traceback."""
    with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()):
        assert main([*arguments]) in set(ExitCode)
    return output.getvalue()


def said_by_html(folder):
    """Return the word of each button of the page, by scenario and column."""
    page = (folder.path / "matrix.html").read_text(encoding="utf-8")
    buttons = re.findall(r'<button type="button" class="result (\w+)[^"]*"[^>]*aria-label="([^"]+)"', page)
    found = {}
    for word, label in buttons:
        scenario, cell = re.match(r"(\S+), six (\w+): ", html.unescape(label)).groups()
        found[scenario, cell] = word
    return {key: word for key, word in found.items() if word != "unlisted"}


def said_by_markdown(folder):
    """Return the word of each place of the table in the Markdown."""
    text = (folder.path / "matrix.md").read_text(encoding="utf-8")
    names = {f"c{number}": cell for number, cell in re.findall(r"^\| c(\d+) \| (\w+)", text, re.MULTILINE)}
    table = re.search(r"^\| \| scenario \| (c1.*)\n.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    found = {}
    for line in table[2].splitlines() if table else ():
        _, scenario, *places = [part.strip() for part in line.strip("|").split("|")]
        words = [re.sub(r"^\W+", "", place).split(" ")[0] for place in places]
        cells = [names[one] for one in re.findall(r"c\d+", table[1])]
        found |= {(scenario.strip("`"), cell): word for cell, word in zip(cells, words, strict=True) if word}
    return found


def said_by_compare(folder):
    """Return the status after, compared with a run in which each of its scenarios is flaky, so that all are listed."""
    names = [(one.cell, one.key.scenario) for one in read_results(folder).values() if one.key.scenario != WHOLE_CELL]
    both = ("pass:check", "fail:run:exception")
    events = [(cell, ("attempt", name, number, both[number - 1])) for cell, name in names for number in (1, 2)]
    listed = [(cell, ("collected", [name for of, name in names if of == cell])) for cell in CELLS]
    flaky = write(folder.path.parent.parent / "flaky", "all-flaky", [*listed, *events], plan(scenarios=()))
    answer = json.loads(said("compare", str(flaky.path), str(folder.path), "--json"))
    return {
        (one["scenario"], one["line"].removeprefix("six=")): one["after"]["status"]
        for one in answer["entries"]
        if one["after"] is not None and one["scenario"] != WHOLE_CELL
    }


def said_by_history(folder):
    """Return the status of this run in each track of the history."""
    found = {}
    text = said("history", "--json", "--reports", str(folder.path.parent))
    for track in json.loads(text) if text else ():
        for night in track["nights"]:
            if night["run"] == folder.path.name:
                found[track["scenario"], track["line"].removeprefix("six=")] = night["result"]
    return found


def said_by_nightly(folder, names):
    """Return the status of the nightly run's result of each scenario."""
    results = read_run_results(folder).results
    found = {}
    for scenario, cell in names:
        keys = [ResultKey(f"six={cell}", name) for name in fallback_ids(scenario)]
        found[scenario, cell] = next(str(results[key].status) for key in keys if key in results)
    return found


def said_by_table(folder):
    """Return the column ``result`` of the table, one word a scenario and cell."""
    rows = load_table(folder.path)
    rows = rows[rows["result"].notna()]
    found = rows.groupby(["scenario", "cell"], observed=True)["result"].agg(set).to_dict()
    assert all(len(words) == 1 for words in found.values())
    return {key: words.pop() for key, words in found.items()}


def exit_code_of(words, attempts):
    """Return the exit code that follows from the words alone; None where it takes more to know."""
    if not attempts and "miss" not in words:
        return ExitCode.NOTHING_SELECTED
    if {"miss", "unavailable"} & words:
        return ExitCode.INCOMPLETE
    if not {"pass", "fail", "error", "flaky"} & words:
        return ExitCode.INCOMPLETE
    return None if "error" in words else ExitCode.COMPLETE


def everybody_agrees(folder):
    said("report", str(folder.path))
    table = said_by_table(folder)
    whole = {key for key in table if key[0] == WHOLE_CELL}
    words = {key: word for key, word in table.items() if key not in whole}
    assert said_by_html(folder) == words
    assert said_by_markdown(folder) == words
    assert said_by_history(folder) == table
    assert said_by_nightly(folder, table) == table
    assert said_by_compare(folder) == words
    run, journal = folder.read(AttemptRecord)
    concluded = conclude(run, journal)
    code = exit_code_of(set(table.values()), journal.attempts)
    if code is not None and not (concluded.unlisted and code is ExitCode.COMPLETE):
        assert concluded.exit_code(None, complete=True) is code
    return words


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_every_reader_says_the_same_of_any_journal(events):
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(Path(scratch) / "reports", "20260102T120000Z-m-aaaaaa", events, plan())
        everybody_agrees(folder)


@settings(max_examples=20, deadline=None)
@given(EVENTS, EVENTS)
def test_every_reader_says_the_same_of_a_merged_run(first, second):
    with tempfile.TemporaryDirectory() as scratch:
        reports = Path(scratch) / "reports"
        parts = [
            write(reports, "20260102T120000Z-m-aaaaaa", first, plan(("old", "new"))),
            write(reports, "20260103T120000Z-m-bbbbbb", second, plan(("new", "dev"), day=1)),
        ]
        everybody_agrees(merge(parts, reports / "20260104T120000Z-m-merged")[0])


CASES = {  # what the cell listed, its attempts in the order of the journal, what every reader says
    "an installation that succeeds later": (
        [(WHOLE_CELL, 0, "fail:install:install_failed"), "AB", (A, 1, "pass:check")],
        {A: "pass", B: "miss"},
    ),
    "an installation that never succeeds": (
        [(WHOLE_CELL, 0, "unavailable:install:install_failed")],
        {A: "unavailable", B: "unavailable"},
    ),
    "an installation that fails when resumed": (
        ["AB", (A, 1, "pass:check"), (WHOLE_CELL, 0, "unavailable:install:install_failed")],
        {A: "pass", B: "unavailable"},
    ),
    "two unlike failures": (
        ["AB", (A, 1, "fail:run:oom"), (A, 2, "fail:run:exception"), (B, 1, "pass:check")],
        {A: "fail", B: "pass"},
    ),
    "a pass and a busy card": (
        ["AB", (A, 1, "pass:check"), (A, 2, "error:run:gpu_busy"), (B, 1, "error:run:gpu_busy")],
        {A: "pass", B: "error"},
    ),
    "a pass and no GPU": (
        ["AB", (A, 1, "skip:run:no_gpu"), (A, 2, "pass:check"), (B, 1, "skip:run:no_gpu")],
        {A: "pass", B: "skip"},
    ),
    "interrupted, then a failure": (
        ["AB", (A, 1, "miss:run:interrupted"), (A, 2, "fail:run:exception"), (B, 1, "miss:run:interrupted")],
        {A: "fail", B: "miss"},
    ),
    "one number twice": (
        ["AB", (A, 1, "fail:run:exception"), (A, 1, "pass:check"), (B, 1, "pass:check")],
        {A: "flaky", B: "pass"},
    ),
    "a file that could not be imported at first": (
        [("f", 0, "error:collect:exception"), "AB", (A, 1, "pass:check")],
        {A: "pass", B: "miss"},
    ),
    "a file that cannot be imported": (
        [("f", 0, "fail:collect:exception")],
        {A: "fail", B: "fail"},
    ),
    "what passes and is skipped": (
        ["AB", (A, 1, "pass:check"), (A, 2, "skip:run:not_applicable"), (B, 1, "pass:check")],
        {A: "pass", B: "pass"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_reader_gives_the_right_word(tmp_path, name):
    told, expected = CASES[name]
    events = [("old", ("collected", (A, B)) if one == "AB" else ("attempt", *one)) for one in told]
    folder = write(tmp_path / "reports", "20260102T120000Z-m-aaaaaa", events, plan(("old",)))
    assert everybody_agrees(folder) == {(scenario, "old"): word for scenario, word in expected.items()}
