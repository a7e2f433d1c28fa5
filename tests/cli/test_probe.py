"""``harness probe`` as ``git bisect run`` meets it: 1 is "bad", so that no mistake may end below 128."""

import pytest
from packaging.version import Version

from harness.cli.main import main
from harness.envs.lock import Unsolvable
from harness.errors import InfrastructureError
from harness.matrix.index import Listing, Release

MATRIX = """
name = "tried"
scenarios = ["my_case.py"]
[axes]
packaging = ["24.0", "25.0"]
[preload]
modules = ["pytest"]
without_gpu = []
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tried.toml").write_text(MATRIX)
    (tmp_path / "my_case.py").write_text("def test_it():\n    pass\n")
    return tmp_path


def code(*arguments: str) -> int:
    try:
        return main(["probe", *arguments])
    except SystemExit as exited:
        return int(str(exited.code))


ASKED = ("--matrix", "tried.toml", "--scenario", "my_case.py::test_it")


@pytest.mark.parametrize(
    ("arguments", "ended", "sentence"),
    [
        ((), 130, "the following arguments are required: --scenario"),
        ((*ASKED, "--bogus"), 130, "unknown option --bogus"),
        ((*ASKED, "--repeat", "0"), 130, "0 is not above zero"),
        ((*ASKED, "--metric", "x.share"), 130, "--metric and --above belong together"),
        ((*ASKED, "--metric", "x", "--above", "1", "--signature", "s"), 130, "two different questions"),
        (("--matrix", "nowhere", "--scenario", "my_case.py"), 130, "there is no matrix file nowhere"),
        (("--matrix", "tried.toml", "--scenario", "my_case.py::test_other"), 130, "has no test test_other"),
        ((*ASKED, "--cell", "other"), 131, "no cell matches other"),
        ((*ASKED, "--cell", "packaging-*"), 130, "--cell packaging-* matches 2 cells; name one"),
        ((*ASKED, "--with", "packaging"), 130, "--with packaging is not PACKAGE=VERSION"),
        ((*ASKED, "--with", "packaging=path:nowhere"), 130, "there is no folder"),
        ((*ASKED, "--with", "packaging=x y"), 130, "is not a version expression"),
        ((*ASKED, "--with", "packaging=git:main"), 130, "the repository of packaging is not known"),
    ],
)
def test_a_mistake_stops_git_and_is_no_answer(here, capsys, arguments, ended, sentence):
    assert code(*arguments) == ended
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (here / "reports").exists()


@pytest.mark.parametrize(
    ("raised", "ended"),
    [(InfrastructureError("the index is silent"), 132), (KeyboardInterrupt(), 130), (RuntimeError("ours"), 129)],
)
def test_what_keeps_us_from_an_answer_stops_git_too(here, monkeypatch, capsys, raised, ended):
    def fail(*_):
        raise raised

    monkeypatch.setattr("harness.cli.probe.lock_cells", fail)
    assert code(*ASKED) == ended
    assert ("Traceback" in capsys.readouterr().err) == (ended == 129)


def test_other_verbs_keep_the_code_of_a_usage_error(capsys):
    with pytest.raises(SystemExit) as exited:
        main(["plan", "--bogus"])
    assert exited.value.code == 2


@pytest.mark.parametrize(
    ("wanted", "ended", "sentence"),
    [
        ("packaging=9.9.9", 130, "harness: --with packaging=9.9.9: no release of packaging matches; the nearest"),
        ("packaging=path:copy", 125, "undecided: packaging path:copy"),
    ],
)
def test_a_release_that_is_not_there_stops_git_and_a_working_copy_without_resolution_is_skipped(
    here, monkeypatch, capsys, wanted, ended, sentence
):
    """Else each commit would be skipped, and nobody told why."""
    (here / "copy").mkdir()
    said = "Because there is no version of {0} and you require {0}, we can conclude that it cannot be."

    def unsolvable(cells, *, cache, jobs):
        return {cell.id: Unsolvable(said.format(cell.pins[0].requirement)) for cell in cells}

    listed = Listing({"packaging": tuple(Release(Version(text)) for text in ("25.0", "26.0"))})
    monkeypatch.setattr("harness.search.prober.resolve_cells", unsolvable)
    monkeypatch.setattr("harness.search.pins.list_releases", lambda *_: listed)
    assert code(*ASKED, "--with", wanted, "--reports", str(here / "reports")) == ended
    told = capsys.readouterr()
    assert sentence in told.out + told.err
    assert (here / "reports").exists() == (ended == 125)
