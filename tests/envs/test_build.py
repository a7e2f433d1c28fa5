"""Parts of a build: stamps, byte code, the two halves of a lock."""

import os

from harness.envs.build import STAMP, link_bytecode, split_lock, usable_python
from harness.envs.interpreters import Interpreter
from tests.environments import HERE, make_environment


def test_a_stamp_counts_only_for_its_lock_python_and_builder(tmp_path, monkeypatch):
    folder = make_environment(tmp_path, "abc")
    assert usable_python(folder, "abc", HERE) == folder / "env" / "bin" / "python"
    assert usable_python(folder, "other", HERE) is None
    assert usable_python(folder, "abc", Interpreter(HERE.path, "3.11.8")) is None
    monkeypatch.setattr("harness.envs.build.BUILDER_VERSION", 999)
    assert usable_python(folder, "abc", HERE) is None


def test_without_a_valid_stamp_and_an_interpreter_there_is_no_environment(tmp_path):
    folder = make_environment(tmp_path, "abc")
    text = (folder / STAMP).read_text()
    (folder / STAMP).write_text(text[:20])
    assert usable_python(folder, "abc", HERE) is None
    (folder / STAMP).unlink()
    assert usable_python(folder, "abc", HERE) is None
    (folder / STAMP).write_text(text)
    (folder / "env" / "bin" / "python").unlink()
    assert usable_python(folder, "abc", HERE) is None


def test_bytecode_is_linked_for_the_same_file_only(tmp_path):
    one, two = make_environment(tmp_path, "one"), make_environment(tmp_path, "two")
    for name in ("shared", "equal"):
        (one / f"{name}.py").write_text("x = 1\n")
        (one / "__pycache__").mkdir(exist_ok=True)
        (one / "__pycache__" / f"{name}.cpython-311.pyc").write_bytes(b"compiled")
    os.link(one / "shared.py", two / "shared.py")
    (two / "equal.py").write_text("x = 2\n")  # same size and, to the second, same time: a .pyc could not tell
    assert link_bytecode(two) == 1
    assert [path.name for path in (two / "__pycache__").iterdir()] == ["shared.cpython-311.pyc"]
    assert link_bytecode(two) == 0


def test_a_lock_is_split_where_installers_need_it():
    text = "# base: a==1\nb==1 \\\n    --hash=sha256:00\nc @ git+https://example.org/c@0123\n"
    assert split_lock(text) == ("b==1 \\\n    --hash=sha256:00\n", "c @ git+https://example.org/c@0123\n")
