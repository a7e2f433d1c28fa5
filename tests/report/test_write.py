"""The views of a run are redacted, and those of a search begin with its conclusion."""

import pytest

from harness.matrix.git import Commit
from harness.redact.text import redact
from harness.report.write import write_views
from harness.search.criterion import Evaluation
from harness.search.records import CommitResult, Ending, ReleaseQuestion, ReleaseResult, SearchRecord
from harness.session.private import private_of
from harness.store.records import Failure
from harness.store.run_folder import RunFolder

UUID = "0a1b2c3d-1111-2222-3333-0123456789ab"
PLANTED = [
    "alice",
    "lab-gpu7",
    "node4",
    "tok-from-environment",
    "wheels.acme.example",
    "me:pw",
    f"GPU-{UUID}",
    "hf_AbCdEfGhIjKlMnOpQrSt12",
    "192.168.7.8",
    "/mnt/lab/x.bin",
    "/home/bob",
    "aa:bb:cc:dd:ee:ff",
    "1652922012345",
]
SENTENCE = (
    "alice on lab-gpu7 and node4: token=tok-from-environment hf_AbCdEfGhIjKlMnOpQrSt12 from"
    f" https://me:pw@wheels.acme.example/simple on GPU-{UUID} at 192.168.7.8 aa:bb:cc:dd:ee:ff"
    " serial: 1652922012345 in /mnt/lab/x.bin /home/bob/y"
)


def test_nothing_planted_is_left_in_a_text(private_machine, make_run, tmp_path):
    text = redact(SENTENCE, private_of(make_run(), tmp_path))
    assert [each for each in PLANTED if each in text] == []
    assert text.startswith("<user> on <host> and <host>: token=<secret>")


def test_nothing_planted_is_left_in_the_views(private_machine, make_run, make_attempt, make_cell, make_red, tmp_path):
    """The journal, the plan, the known issues: whatever a record can hold is planted."""
    cell = make_cell("5.0.0", "1.13.0")
    failure = Failure(when="call", type="OSError", message=SENTENCE, frames=(), text=SENTENCE)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_record(
        make_run(
            cells=(cell, make_cell("4.57.5", "1.13.0", unsolvable=SENTENCE)),
            scenarios=(),
            title=f"Tried by {SENTENCE}",
            matrix_file="/home/bob/alice.toml",
            command=("harness", "run", "/home/bob/alice.toml", SENTENCE),
        )
    )
    records = [
        make_red(cell, "a::test_x", "fail:run:exception", failure, f"OSError: {SENTENCE}", notes={"said": SENTENCE}),
        make_attempt(cell, "a::test_y", "skip:run:not_applicable", detail=SENTENCE, simulated=SENTENCE),
    ]
    lines = ['{"event": "attempt", "record": ' + each.model_dump_json() + "}\n" for each in records]
    folder.journal_file.write_text("".join(lines))
    views = write_views(folder)
    for path in (views.markdown, views.html, folder.path / "results.csv"):
        page = path.read_text(encoding="utf-8")
        assert [each for each in PLANTED if each in page] == [], path.name


SHAS = tuple(letter * 40 for letter in "ab")
QUESTION = ReleaseQuestion(package="gadget", releases=("1.0", "2.0"), scenario="my_case.py::test_it", matrix="m")
RELEASES = ReleaseResult(
    ending=Ending.FOUND,
    package="gadget",
    before="1.0",
    suspects=("2.0",),
    releases={"1.0": Evaluation(bad=False, reason="passes"), "2.0": Evaluation(bad=True, reason="fails")},
)
COMMITS = CommitResult(
    ending=Ending.FOUND,
    package="gadget",
    address="https://github.com/owner/gadget",
    older="v1.0",
    newer="v2.0",
    before=SHAS[0],
    suspects=SHAS[1:],
    commits={sha: Commit(sha=sha, parents=(), date="2026-03-01T00:00:00Z", subject="Load (#45)") for sha in SHAS},
    judged={SHAS[0]: Evaluation(bad=False, reason=""), SHAS[1]: Evaluation(bad=True, reason="")},
)


@pytest.fixture
def search(tmp_path, make_run):
    folder = RunFolder(tmp_path / "search")
    folder.path.mkdir()
    folder.write_record(make_run(cells=(), scenarios=()))
    folder.journal_file.touch()
    return folder


def test_the_views_of_a_search_begin_with_its_conclusion(search, summary_text):
    SearchRecord(question=QUESTION, result=RELEASES, commits=COMMITS).write(search)
    views = write_views(search)
    title, answer = "First bad release of gadget, 1.0 … 2.0: my_case.py::test_it", "2.0 is the first bad release"
    lines = [line for line in views.markdown.read_text().splitlines() if line]
    assert lines[0] == f"# {title.replace('_', chr(92) + '_')}"
    assert lines[1].startswith("**gadget 2.0 is the first bad release")
    assert "bbbbbbbbbb" in lines[2]
    assert f"- https://github.com/owner/gadget/commit/{SHAS[1]}" in lines
    page = views.html.read_text()
    assert f"<h1>{title}</h1>" in page
    assert page.index(answer) < page.index("<nav")
    assert f'<a href="https://github.com/owner/gadget/commit/{SHAS[1]}"' in page
    assert answer in summary_text(views.context).splitlines()[0]


def test_the_views_of_an_unfinished_search_have_only_its_question(search):
    SearchRecord(question=QUESTION).write(search)
    views = write_views(search)
    assert views.context.title == "First bad release of gadget, 1.0 … 2.0: my_case.py::test_it"
    assert views.context.conclusion is None
