"""``harness blame`` on the command line: what it refuses before anything is resolved, and what it says last."""

import argparse

import pytest

from harness.cli import blame
from harness.cli.blame_lines import Inside, last_lines, resume_command
from harness.cli.main import parser
from harness.errors import ConfigError
from harness.search.blamed import BlameResult
from harness.search.result import Ending
from harness.store.run_folder import RunFolder


def options(*words):
    return parser("blame").parse_args(words)


ENDS = ("--good", "a", "--bad", "b", "--scenario", "s.py::t")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "blame needs --good, --bad, --scenario"),
        (("--good", "a"), "blame needs --bad, --scenario"),
        ((*ENDS, "--metric", "x.share"), "--metric and --above belong together"),
        ((*ENDS, "--above", "1.5x"), "--metric and --above belong together"),
        ((*ENDS, "--metric", "x", "--above", "2x", "--signature", "s"), "two different questions; keep one"),
        ((*ENDS, "--metric", "x", "--above", "2x", "--assume-ends"), "is measured at the good end"),
        ((*ENDS, "--matrix", "no-such-matrix"), "there is no matrix file no-such-matrix"),
        ((*ENDS, "--reports", "nowhere"), "a is no file, and no cell of .*quickstart.toml is called so"),
        ((*ENDS, "--reports", "nowhere", "--run", "r"), "no run named 'r' below nowhere"),
    ],
)
def test_a_question_that_cannot_be_asked_is_one_sentence(words, sentence, monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=sentence):
        blame.blame(options(*words, *(() if "--matrix" in words else ("--matrix", matrix(tmp_path)))))


def matrix(folder):
    """Write a matrix of exact pins, which needs no index."""
    path = folder / "quickstart.toml"
    path.write_text('name = "m"\nscenarios = ["s.py"]\n[pins]\napp = "1"\n')
    return str(path)


class Search:
    """What the last lines need of a blame: its folder."""

    def __init__(self, folder):
        self.prober = argparse.Namespace(folder=RunFolder(folder))


@pytest.mark.parametrize(
    ("ending", "inside", "words", "last"),
    [
        (Ending.INTERRUPTED, Inside(), (), "interrupted; to go on: harness blame --resume run"),
        (Ending.INTERRUPTED, Inside(), ("--bisect",), "interrupted; to go on: harness blame --resume run --bisect"),
        (
            Ending.FOUND,
            Inside(("x",), interrupted=True),
            ("--bisect",),
            "interrupted; to go on: harness blame --resume run --bisect",
        ),
        (Ending.FOUND, Inside(("x",)), ("--bisect",), "a 1 → 2 alone turns green into red"),
    ],
)
def test_the_last_line_is_the_answer_or_the_command_that_goes_on(ending, inside, words, last, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = BlameResult(ending=ending, changes={"a": "a 1 → 2"}, members=("a",), proven=(("a",),))
    assert last_lines(Search(tmp_path / "run"), result, options(*words), inside)[-1] == last


def test_a_folder_with_a_space_is_quoted_in_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resume_command(Search(tmp_path / "my runs" / "r"), options()) == "harness blame --resume 'my runs/r'"
