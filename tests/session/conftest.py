"""Real processes of the harness, in a folder of their own, that install nothing: see ``stand_in.py``."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.store.runs import find_run

STAND_IN = Path(__file__).with_name("stand_in.py")
SECONDS = 60.0
MATRIX = """
name = "m"
scenarios = ["planted.py"]
reference = { six = "1" }
[axes]
six = ["1", "2"]
[preload]
modules = ["pytest"]
"""


class Desk:
    """A folder with a matrix of two cells, six 1 and six 2, and a file of scenarios."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        (folder / "m.toml").write_text(MATRIX)

    def plant(self, text):
        (self.folder / "planted.py").write_text(text)

    def start(self, *arguments):
        """Start the harness and return its process."""
        root = str(STAND_IN.parents[2])
        variables = {**os.environ, "HARNESS_CACHE": str(self.folder / "cache"), "PYTHONPATH": root, "COLUMNS": "200"}
        command = [sys.executable, str(STAND_IN), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, cwd=self.folder, env=variables, **pipes)
        self.started.append(process)
        return process

    def harness(self, *arguments, code=0):
        """Run the harness to its end, insist on its exit code and return what it said."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == code, said
        return said

    def kill(self, process):
        """Kill a harness and take back its pipe."""
        process.kill()
        process.wait()
        process.stdout.close()

    def wait_for(self, name):
        """Wait until a scenario has made a file, and return what it wrote."""
        path = self.folder / name
        deadline = time.monotonic() + SECONDS
        while not (path.exists() and path.read_text().endswith("\n")):
            assert time.monotonic() < deadline, f"no scenario has written {name}"
            time.sleep(0.05)
        return path.read_text()

    @property
    def run(self):
        """The newest run."""
        return find_run("latest", self.folder / "reports")

    def made(self):
        """What was made: (six's version, test, attempt, outcome), in its order."""
        cells = {cell.id: cell.pins["six"] for cell in self.run.read_record().cells}
        return [
            (cells[one.cell], one.scenario.partition("::")[2], one.attempt, str(one.outcome))
            for one in self.run.attempts()
        ]


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            made.kill(process)
