"""Environments in a cache, made up: a stamp and a file in place of an interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.envs.build import LAST_USED, write_stamp
from harness.envs.interpreters import Interpreter

HERE = Interpreter(path=sys.executable, version="3.11.7")


def make_environment(root: Path, name: str, used: float = 0.0) -> Path:
    """Write the environment of a lock below ``root``; ``used`` is when it was used last, in seconds."""
    python = root / name / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("an interpreter")
    write_stamp(root / name, name, HERE, python)
    (root / name / LAST_USED).touch()
    os.utime(root / name / LAST_USED, (used, used))
    return root / name
