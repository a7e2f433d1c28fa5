"""The command as a user meets it: exit codes, sentences, help."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import external_file

from harness.cli import main as main_module
from harness.cli.main import GROUPS, VERBS, main

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
