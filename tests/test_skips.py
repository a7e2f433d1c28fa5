"""A test that was skipped fails the whole run in CI, however many processes share the work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PASSES = "def test_passes():\n    pass\n"
PLANTED = {
    "test_inside.py": "import pytest\ndef test_planted():\n    pytest.skip('no')\n",
    "test_mark.py": "import pytest\n@pytest.mark.skipif(True, reason='no')\ndef test_planted():\n    pass\n",
    "test_fixture.py": (
        "import pytest\n@pytest.fixture\ndef lacking():\n    pytest.importorskip('no_such_module')\n"
        "def test_planted(lacking):\n    pass\n"
    ),
    "test_file.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_planted():\n    pass\n",
}


def run_tests(folder: Path, planted: dict[str, str], ci: str, *arguments: str) -> tuple[int, str]:
    """Run files of tests beside one that passes, under this project's conftest; return exit code and output."""
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    for name, text in {"test_others.py": PASSES, **planted}.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "-p", "no:cacheprovider", *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=folder, env={**kept, "CI": ci}, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("processes", [(), ("-n", "2"), ("-n", "2", "--dist", "loadfile")], ids=" ".join)
def test_planted_skips_of_every_kind_fail_in_ci_and_are_named(tmp_path, processes):
    code, said = run_tests(tmp_path, PLANTED, "true", *processes)
    assert (code, "1 passed, 4 skipped" in said) == (1, True), said
    (named,) = [line for line in said.splitlines() if line.startswith("skipped in CI: ")]
    assert {name for name in PLANTED if name in named} == PLANTED.keys()


def test_elsewhere_it_is_no_failure(tmp_path):
    assert run_tests(tmp_path, PLANTED, "")[0] == 0


def test_nothing_fails_where_nothing_was_skipped(tmp_path):
    assert run_tests(tmp_path, {}, "true", "-n", "2")[0] == 0
