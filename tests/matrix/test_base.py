import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.matrix.base import ask_interpreter, read_base


@pytest.fixture(autouse=True)
def _ask_again():
    read_base.cache_clear()
    yield
    read_base.cache_clear()


def test_an_interpreter_is_asked_for_its_packages_and_its_version(tmp_path):
    base = ask_interpreter(sys.executable, tmp_path)
    assert base.packages["pytest"].version == version("pytest")
    assert base.python == ".".join(map(str, sys.version_info[:3]))


def test_a_link_to_an_interpreter_is_kept_as_it_is(tmp_path):
    (tmp_path / "python-link").symlink_to(sys.executable)
    assert ask_interpreter("python-link", tmp_path).executable == tmp_path / "python-link"


def test_a_command_is_found_on_the_search_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert ask_interpreter(Path(sys.executable).name, tmp_path).executable == Path(sys.executable)


def test_the_first_copy_on_the_path_is_the_one_that_counts(tmp_path, monkeypatch):
    for place, number in (("first", "1.0"), ("second", "2.0")):
        info = tmp_path / place / f"twice-{number}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: Twice\nVersion: {number}\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    assert ask_interpreter(sys.executable, tmp_path).packages["twice"].version == "1.0"


@pytest.mark.parametrize("name", ["no-such-python", "./no/python"])
def test_a_missing_interpreter_is_a_mistake(name, tmp_path):
    with pytest.raises(ConfigError, match="is neither a file nor a command on the search path"):
        ask_interpreter(name, tmp_path)


@pytest.mark.parametrize(
    ("text", "mode"), [("#!/bin/sh\nexit 3\n", 0o755), ("#!/bin/sh\necho hi\n", 0o755), ("x", 0o644)]
)
def test_a_program_that_is_no_interpreter_is_a_mistake(text, mode, tmp_path):
    program = tmp_path / "program"
    program.write_text(text)
    program.chmod(mode)
    with pytest.raises(ConfigError, match="is not a Python interpreter that answers"):
        ask_interpreter("program", tmp_path)
