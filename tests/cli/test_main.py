"""The command as a user meets it: exit codes, sentences, help."""

import contextlib
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import external_file

from harness.cli import main as main_module
from harness.cli.main import GROUPS, VERBS, main
from harness.errors import ExitCode

ROOT = Path(__file__).parents[2]


MISTAKES = """\
run quickstrat
report nothing
run --resume quickstart --reports nowhere
run --scenarios load_4bitt
bisect
blame
bisct
--versoin
xxxxxxxxx
blame --resume nothing
bisect --resume nothing
"""


def test_each_mistake_is_one_sentence_and_an_exit_code(transcript, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert transcript(MISTAKES) == external_file("golden/mistakes-harness.txt")


@pytest.mark.parametrize(
    "arguments",
    [["run", "--timeout", "-1"], ["run", "--repeat", "0"], ["gc", "--keep", "much"], ["gc", "--older-than", "3"]],
)
def test_arguments_that_mean_nothing_are_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["run", "--jbos", "3"], 2, "harness run: error: unknown option --jbos; did you mean --jobs?"),
        (["run", "--confrim=3"], 2, "harness run: error: unknown option --confrim"),
        (["merge", "one", "--outptu", "x"], 2, "unknown option --outptu; did you mean --output?"),
        (["baseline", "set", "one", "--resaon", "x"], 2, "unknown option --resaon; did you mean --reason?"),
        (["baseline", "acept"], 2, "(choose from 'set', 'show', 'accept'); did you mean accept?"),
        (["probe", "--scenaro", "x"], 130, "harness probe: error: unknown option --scenaro; did you mean --scenario?"),
        (["env", "--rnu", "x", "y", "--", "python", "--vresion"], 2, "unknown option --rnu; did you mean --run?"),
        (["merge", "one"], 2, "the following arguments are required: -o/--output"),
    ],
)
def test_a_mistyped_option_is_answered_with_the_nearest(arguments, code, sentence, capsys):
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == code
    assert sentence in capsys.readouterr().err


def test_the_overview_has_every_verb_once():
    folder = Path(main_module.__file__).parent
    verbs = {file.stem for file in folder.glob("*.py") if "\ndef add_arguments(" in file.read_text()}
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(verbs)


def test_help_and_version_import_nothing_that_takes_long():
    program = (
        "import sys; from harness.cli.main import main; main(['--help']); main(['--version']); "
        "print(sorted({'pandas', 'pyarrow', 'pydantic', 'rich', 'nox', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    *_, version, imported = done.stdout.splitlines()
    assert re.fullmatch(r"harness \S+", version)
    assert imported == "[]"


@pytest.fixture
def screen(monkeypatch, capsys):
    """Return what gives the help of some words, 100 columns wide."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("HARNESS_MATRIX", raising=False)

    def screen(*words):
        with contextlib.suppress(SystemExit):
            main([*words, "--help"])
        return capsys.readouterr().out

    return screen


def test_the_overview_is_as_agreed(screen):
    assert screen() == external_file("golden/help.txt")


@pytest.mark.parametrize(
    "words",
    [*VERBS, "baseline set", "baseline show", "baseline accept", "checkpoint list", "checkpoint build"],
)
def test_the_help_is_as_agreed(words, screen):
    assert screen(*words.split()) == external_file(f"golden/help-{words.replace(' ', '-')}.txt")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nightly", "--judge", ""], "the argument after --judge is empty"),
        (["nightly", "--judge="], "the argument after --judge is empty"),
        (["run", "quickstart", "--scenarios", ""], "the argument after --scenarios is empty"),
        (["bisect", ""], "the argument after bisect is empty"),
        (["env", "--run", "", "c", "--", "echo", ""], "the argument after --run is empty"),
    ],
)
def test_an_empty_argument_is_refused(words, sentence, capsys):
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err == f"harness: {sentence}\n"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ExitCode.INCOMPLETE),
        (errno.EROFS, ExitCode.INCOMPLETE),
        (errno.EISDIR, ExitCode.USAGE),
        (errno.ENAMETOOLONG, ExitCode.USAGE),
    ],
)
def test_an_error_of_the_system_is_one_sentence(number, code, monkeypatch, capsys):
    def fail(_):
        raise OSError(number, os.strerror(number), "reports/x")

    monkeypatch.setattr("harness.cli.main._run", fail)
    assert main(["report"]) == code
    assert capsys.readouterr().err == f"harness: {os.strerror(number)}: reports/x\n"


def test_a_run_with_a_name_too_long_for_a_file_is_one_sentence(capsys):
    assert main(["report", "x" * 5000]) == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["run", "--gpu-busy", "9" * 400], ["history", "trim", "--older-than", f"{'9' * 10}d"]]
)
def test_a_number_without_measure_is_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == ExitCode.USAGE
    assert "Traceback" not in capsys.readouterr().err
