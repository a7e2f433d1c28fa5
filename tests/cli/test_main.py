"""The command as a user meets it: exit codes, sentences, help."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.gc import choose
from harness.cli.main import main, parser
from harness.envs.disk_usage import Stored

GOLDEN = Path(__file__).parent / "golden"
DAY = 86_400.0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["run", "quickstrat"], 2, r"harness: there is no matrix file quickstrat; the nearest is .*quickstart\.toml"),
        (["report", "nothing"], 2, r"harness: no run named 'nothing' below reports"),
        (["run", "--resume", "quickstart", "--reports", "nowhere"], 2, "no run of the matrix quickstart below nowhere"),
        (["run", "--scenarios", "load_4bitt"], 2, "load_4bitt"),
        (["bisect"], 2, "harness: bisect needs PACKAGE, --scenario"),
        (["blame"], 2, "harness: blame needs --good, --bad, --scenario"),
        (["blame", "--resume", "nothing"], 2, r"no run named 'nothing' below reports"),
        (["bisect", "--resume", "nothing"], 2, r"no run named 'nothing' below reports"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(arguments, code, sentence, capsys):
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert re.search(sentence, said)
    assert said.count("\n") == 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [["run", "--timeout", "-1"], ["run", "--repeat", "0"], ["gc", "--keep", "much"], ["gc", "--older-than", "3"], []],
)
def test_arguments_that_mean_nothing_are_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb",
    [
        "",
        "plan",
        "run",
        "compare",
        "baseline",
        "bisect",
        "blame",
        "probe",
        "report",
        "issue",
        "env",
        "doctor",
        "gc",
        "bundle",
        "merge",
        "history",
        "nightly",
    ],
)
def test_the_help_is_as_agreed(verb, monkeypatch, capsys):
    """Renew the golden files with HARNESS_RENEW_GOLDEN=1."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("HARNESS_MATRIX", raising=False)
    with pytest.raises(SystemExit):
        parser().parse_args([verb, "--help"] if verb else ["--help"])
    golden = GOLDEN / f"help{verb and '-' + verb}.txt"
    said = capsys.readouterr().out
    if os.environ.get("HARNESS_RENEW_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(said)
    assert said == golden.read_text()


STORED = st.lists(
    st.builds(
        Stored,
        path=st.integers(0, 10**9).map(lambda number: Path(f"thing-{number}")),
        size=st.integers(0, 1000),
        last_used=st.floats(0, 100 * DAY),
        whole=st.booleans(),
    ),
    unique_by=lambda one: one.path,
).map(lambda found: sorted(found, key=lambda one: one.last_used))


@given(STORED)
def test_nothing_is_removed_without_a_limit(stored):
    assert choose(stored, now=100 * DAY) == []


@given(STORED, st.integers(0, 3000))
def test_what_is_kept_fits_and_is_the_most_recently_used(stored, keep):
    doomed = choose(stored, now=100 * DAY, keep=keep)
    kept = [one for one in stored if one not in doomed]
    assert sum(one.size for one in kept) <= keep
    removed_whole = [one for one in doomed if one.whole]
    assert all(one.last_used <= other.last_used for one in removed_whole for other in kept)
    if removed_whole:
        assert sum(one.size for one in kept) + removed_whole[-1].size > keep


@given(STORED, st.floats(0, 100))
def test_only_what_is_older_or_half_built_goes_by_age(stored, days):
    doomed = choose(stored, now=100 * DAY, older_than=days)
    assert set(doomed) == {one for one in stored if not one.whole or 100 * DAY - one.last_used > days * DAY}
