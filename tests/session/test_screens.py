"""The screens of ``harness run`` and ``harness plan``: renew them with ``--inline-snapshot=fix``."""

import re
import signal

import pytest
from inline_snapshot import snapshot

SCENARIOS = """
import os


def test_a():
    pass


def test_b():
    assert os.environ["LEVEL"] == "1"
"""
TYPO = """
from harness.probe import scenario


@scenario(checkpoints=["qwen2.5-7"])
def test_a(checkpoint):
    pass
"""
HANG = "import pathlib, time; pathlib.Path({file!r}).write_text('yes\\n'); time.sleep(60)"
MATRIX = """
name = "m"
title = "Two releases of six"
scenarios = ["own.py"]
reference = { six = "1", LEVEL = "1" }
[axes]
six = ["1", "0"]
[variables]
LEVEL = ["1", "2"]
[preload]
modules = ["pytest"]
"""


@pytest.fixture
def matrix(project):
    """A matrix of two cells that run and two that cannot be resolved; one test fails at the second level."""
    project.write_scenarios(SCENARIOS)
    (project.folder / "m.toml").write_text(MATRIX)
    return project


def screen(output):
    """Return an output without what differs between runs: times, digests, and the order of environments."""
    lines = [line.rstrip() for line in output.splitlines() if ": preparing environment " not in line]
    text = "\n".join(line for line in lines if not re.search(r": environment (reused|built)", line))
    text = re.sub(r"\d{8}T\d{6}Z-m-[0-9a-f]{6}", "RUN", text)
    text = re.sub(r"(six-\d-LEVEL-\d)-[0-9a-f]{6}", r"\1-abc123", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "0123456789abcdef", text)
    return re.sub(r"\b\d+\.\d s", "N s", text)


def test_plan(matrix):
    assert screen(matrix.harness("plan", "m.toml")) == snapshot("""\
Two releases of six

 cell                               lock               environment
 ─────────────────────────────────────────────────────────────────
 six-1-LEVEL-1-abc123 (reference)   0123456789abcdef   to be built
 six-1-LEVEL-2-abc123               0123456789abcdef   to be built
 six-0-LEVEL-1-abc123               –                  unavailable
 six-0-LEVEL-2-abc123               –                  unavailable

six-0-LEVEL-1-abc123 is unavailable: there is no version of six==0
six-0-LEVEL-2-abc123 is unavailable: there is no version of six==0
4 cells, 1 environment, 2 scenarios in 1 file\
""")


def test_run_with_a_failure_and_an_unavailable_cell(matrix):
    output = matrix.harness("run", "m.toml", "--jobs", "1", code=4)
    assert screen(output) == snapshot("""\
4 cells, 2 scenarios → reports/RUN
[1/~8] pass:check own::test_a in six-1-LEVEL-1-abc123 N s
[2/~8] pass:check own::test_b in six-1-LEVEL-1-abc123 N s
[3/~8] pass:check own::test_a in six-1-LEVEL-2-abc123 N s
[4/~8] fail:check:assertion own::test_b in six-1-LEVEL-2-abc123 N s: AssertionError: assert '2' == '1' - 1 + 2
[4/~6] unavailable:resolve:unsolvable six-0-LEVEL-1-abc123: there is no version of six==0
[4/4] unavailable:resolve:unsolvable six-0-LEVEL-2-abc123: there is no version of six==0

 cell                            ✔ pass   ✘ fail   ⊘ unavailable
 ───────────────────────────────────────────────────────────────
 six 1 · LEVEL 1 (reference)          2        ·               ·
 six 1 · LEVEL 2                      1        1               ·
 six 0 · LEVEL 1 (unavailable)        ·        ·               2
 six 0 · LEVEL 2 (unavailable)        ·        ·               2

new failure     LEVEL  own::test_b  passes in 1, fails from 2 on (with six 1)
HTML      reports/RUN/matrix.html
Markdown  reports/RUN/matrix.md\
""")


def test_run_that_fails_on_a_regression(matrix):
    output = matrix.harness("run", "m.toml", "--jobs", "1", "--cells", "six-1*", "--fail-on", "regression", code=1)
    assert screen(output) == snapshot("""\
2 cells, 2 scenarios → reports/RUN
[1/~4] pass:check own::test_a in six-1-LEVEL-1-abc123 N s
[2/~4] pass:check own::test_b in six-1-LEVEL-1-abc123 N s
[3/4] pass:check own::test_a in six-1-LEVEL-2-abc123 N s
[4/4] fail:check:assertion own::test_b in six-1-LEVEL-2-abc123 N s: AssertionError: assert '2' == '1' - 1 + 2

 cell                          ✔ pass   ✘ fail
 ─────────────────────────────────────────────
 six 1 · LEVEL 1 (reference)        2        ·
 six 1 · LEVEL 2                    1        1

new failure     LEVEL  own::test_b  passes in 1, fails from 2 on
1 regression: own::test_b in six-1-LEVEL-2-abc123
HTML      reports/RUN/matrix.html
Markdown  reports/RUN/matrix.md\
""")


def test_run_without_a_selected_scenario(matrix):
    output = matrix.harness("run", "m.toml", "--jobs", "1", "--cells", "six-1*", "-k", "nothing", code=3)
    assert screen(output) == snapshot("""\
2 cells, 2 scenarios → reports/RUN
No scenario is selected in any cell.
HTML      reports/RUN/matrix.html
Markdown  reports/RUN/matrix.md\
""")


def test_interrupted_run(matrix):
    begun = matrix.folder / "begun"
    matrix.write_scenarios(f"{SCENARIOS}\n\ndef test_c():\n    {HANG.format(file=str(begun))}\n")
    process = matrix.start("run", "m.toml", "--jobs", "1", "--cells", "six-1-LEVEL-1*")
    matrix.wait_for("begun")
    process.send_signal(signal.SIGINT)
    assert screen(process.communicate()[0]) == snapshot("""\
1 cell, 3 scenarios → reports/RUN
[1/3] pass:check own::test_a in six-1-LEVEL-1-abc123 N s
[2/3] pass:check own::test_b in six-1-LEVEL-1-abc123 N s
[3/3] miss:run:interrupted own::test_c in six-1-LEVEL-1-abc123 N s: interrupted before it ended

 cell                          ✔ pass   ✘ fail   ? miss
 ──────────────────────────────────────────────────────
 six 1 · LEVEL 1 (reference)        2        ·        1

No scenario changes between adjacent releases.
interrupted; continue with: harness run --resume reports/RUN
HTML      reports/RUN/matrix.html
Markdown  reports/RUN/matrix.md\
""")
    assert process.returncode == 130


def test_failed_scenarios_are_retried_in_both_isolations(matrix):
    matrix.harness("run", "m.toml", "--jobs", "1", "--cells", "six-1*")
    output = matrix.harness("run", "--retry-failed", "m.toml", "--jobs", "1", "--check-isolation")
    assert screen(output) == snapshot("""\
2 cells, 2 scenarios → reports/RUN
[1/~6] pass:check own::test_a in six-1-LEVEL-1-abc123 N s
[2/~6] pass:check own::test_b in six-1-LEVEL-1-abc123 N s
[3/~5] fail:check:assertion own::test_b in six-1-LEVEL-2-abc123 N s: AssertionError: assert '2' == '1' - 1 + 2
[4/5] pass:check own::test_a in six-1-LEVEL-2-abc123 N s
[5/5] fail:check:assertion own::test_b in six-1-LEVEL-2-abc123 N s: AssertionError: assert '2' == '1' - 1 + 2

 cell                          ✔ pass   ✘ fail
 ─────────────────────────────────────────────
 six 1 · LEVEL 1 (reference)        2        ·
 six 1 · LEVEL 2                    1        1

new failure     LEVEL  own::test_b  passes in 1, fails from 2 on
isolation: fork and fresh interpreter agree in every outcome and metric
HTML      reports/RUN/matrix.html
Markdown  reports/RUN/matrix.md\
""")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("m.toml", "--cells", "six"), snapshot("harness: no cell matches six; '*six*' matches 4 cells")),
        (
            ("m.toml", "--cells", "six-1-level-3"),
            snapshot("harness: no cell matches six-1-level-3; the nearest is six-1-LEVEL-2-abc123"),
        ),
        (
            ("m.toml", "--cells", "nothing"),
            snapshot("harness: no cell matches nothing; the cells are six-1-LEVEL-1-abc123, six-1-LEVEL-2-abc123 …"),
        ),
        (
            ("m.toml", "--scenarios", "own.py::test_aa"),
            snapshot("harness: own.py has no test test_aa; the nearest is test_a"),
        ),
        (
            ("m.toml", "--scenarios", "typo.py"),
            snapshot("harness: there is no checkpoint named qwen2.5-7; the nearest is qwen2.5-7b"),
        ),
        (("--resume", "latest~1"), snapshot("harness: there is no run below reports")),
        (("--resume", "n.toml"), snapshot("harness: there is no matrix file n.toml")),
    ],
)
def test_refusals(matrix, arguments, text):
    (matrix.folder / "typo.py").write_text(TYPO)
    process = matrix.start("run", *arguments)
    assert screen(process.communicate()[0]) == text
    assert process.returncode in {2, 3}
    assert not (matrix.folder / "reports").exists()
