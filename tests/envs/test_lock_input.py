import subprocess
from dataclasses import replace

import pytest

from harness.envs.lock import base_layer, compile_arguments, packages_of, read_lock
from harness.envs.lock_input import PROBE_REQUIREMENTS, content_digest, cutoff, read_lock_input
from harness.envs.pip_config import UvSettings
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin

SIX = Pin("six", "1.17.0", "six==1.17.0")


def digest(cell, uv_settings=None, environ=None):
    return read_lock_input(cell, uv_settings or UvSettings(), environ or {}).digest


def test_a_day_counts_whole_and_in_utc():
    assert cutoff("2026-03-01") == "2026-03-02T00:00:00Z"
    assert cutoff("2026-03-01T12:00:00+02:00") == "2026-03-01T10:00:00Z"
    assert cutoff(None) is None


def test_what_is_no_date_is_a_mistake_of_the_matrix():
    with pytest.raises(ConfigError, match="as_of = 'yesterday'"):
        cutoff("yesterday")


def test_the_probe_is_part_of_every_resolution():
    question = read_lock_input(Cell("3.11", (SIX,)), UvSettings(), {})
    assert question.requirements == ("six==1.17.0", *PROBE_REQUIREMENTS)


def test_variables_do_not_change_an_input_and_everything_else_does():
    cell = Cell("3.11", (SIX,))
    same = replace(cell, variables=(("A", "1"),), reference=True)
    assert digest(cell) == digest(same)
    others = [
        digest(replace(cell, as_of="2026-01-01")),
        digest(replace(cell, pins=(Pin("six", "1.16.0", "six==1.16.0"),))),
        digest(cell, UvSettings(env=(("UV_INDEX", "https://a.example/simple"),))),
        digest(cell, UvSettings(args=("--no-index",))),
        digest(cell, environ={"UV_INDEX_STRATEGY": "first-index"}),
    ]
    assert len({digest(cell), *others}) == 1 + len(others)


def test_being_offline_is_no_other_input():
    cell = Cell("3.11", (SIX,))
    assert digest(cell) == digest(cell, environ={"UV_OFFLINE": "1", "UV_CACHE_DIR": "/elsewhere"})


def test_a_new_wheel_in_a_local_folder_is_another_input(tmp_path):
    uv_settings = UvSettings(args=("--find-links", str(tmp_path)))
    before = digest(Cell("3.11", (SIX,)), uv_settings)
    (tmp_path / "six-1.17.0+local-py3-none-any.whl").touch()
    assert digest(Cell("3.11", (SIX,)), uv_settings) != before


def test_a_changed_working_copy_is_another_input(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    cell = Cell("3.11", (Pin("mine", "path:x", f"mine @ {tmp_path.as_uri()}"),))
    before = digest(cell)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"no content of its own")
    assert digest(cell) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert digest(cell) != before


def test_git_ignored_files_are_no_content(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "a.py").write_text("x = 1\n")
    before = content_digest(tmp_path)
    (tmp_path / "run.log").write_text("noise")
    assert content_digest(tmp_path) == before
    (tmp_path / "new.py").write_text("untracked, and installed all the same")
    assert content_digest(tmp_path) != before


def test_installed_without_a_base_is_a_mistake_of_the_matrix():
    with pytest.raises(ConfigError, match="needs a base interpreter"):
        read_lock_input(Cell("3.11", (Pin("torch", "installed", "torch", installed=True),)), UvSettings(), {})


def test_pinned_packages_stay_available_after_as_of():
    arguments = compile_arguments(read_lock_input(Cell("3.11", (SIX,), as_of="2020-01-01"), UvSettings(), {}))
    assert arguments[arguments.index("--exclude-newer") + 1] == "2020-01-02T00:00:00Z"
    assert arguments[arguments.index("--exclude-newer-package") + 1] == "six=false"


TEXT = """# base: torch==2.11.0+cu130
# content: mine 0123456789abcdef
mine @ file:///work/mine
Six==1.17.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11
extra[one]==2.0 ; python_version < "4"
"""


def test_a_lock_names_packages_of_index_base_and_folder():
    assert packages_of(TEXT) == {
        "extra": "2.0",
        "mine": "file:///work/mine",
        "six": "1.17.0",
        "torch": "2.11.0+cu130",
    }
    assert base_layer(TEXT) == {"torch": "2.11.0+cu130"}


def test_a_locks_hash_covers_what_makes_an_environment_and_no_white_space():
    lock = read_lock(TEXT, "3.11", None, "linux-x86_64")
    assert lock.hash == read_lock(TEXT.replace("\n", "  \n"), "3.11", None, "linux-x86_64").hash
    others = [
        read_lock(TEXT, "3.12", None, "linux-x86_64"),
        read_lock(TEXT, "3.11", "/base/python", "linux-x86_64"),
        read_lock(TEXT, "3.11", None, "linux-aarch64"),
        read_lock(TEXT.replace("0123", "9999"), "3.11", None, "linux-x86_64"),
    ]
    assert len({lock.hash, *(other.hash for other in others)}) == 1 + len(others)
