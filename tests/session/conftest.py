"""A project in which tests run real processes of the harness that install nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.store.runs import find_run

COMMAND = Path(__file__).with_name("harness_without_installs.py")
SECONDS = 60.0
MATRIX = """
name = "m"
scenarios = ["own.py"]
reference = { six = "1" }
[axes]
six = ["1", "2"]
[preload]
modules = ["pytest"]
"""


class Project:
    """A folder with a matrix of two cells, six 1 and six 2, and a file of scenarios."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        (folder / "m.toml").write_text(MATRIX)

    def write_scenarios(self, text):
        (self.folder / "own.py").write_text(text)

    def start(self, *arguments):
        """Start the harness and return its process."""
        root = str(COMMAND.parents[2])
        variables = {**os.environ, "HARNESS_CACHE": str(self.folder / "cache"), "PYTHONPATH": root, "COLUMNS": "200"}
        command = [sys.executable, str(COMMAND), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, cwd=self.folder, env=variables, **pipes)
        self.started.append(process)
        return process

    def harness(self, *arguments, code=0):
        """Run the harness to its end, check its exit code and return its output."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == code, output
        return output

    def kill(self, process):
        """Kill a process of the harness and close its pipe."""
        process.kill()
        process.wait()
        process.stdout.close()

    def wait_for(self, name):
        """Wait until a scenario has written a file, and return the text."""
        path = self.folder / name
        deadline = time.monotonic() + SECONDS
        while not (path.exists() and path.read_text().endswith("\n")):
            assert time.monotonic() < deadline, f"no scenario wrote {name}"
            time.sleep(0.05)
        return path.read_text()

    @property
    def run(self):
        """The newest run."""
        return find_run("latest", self.folder / "reports")

    def attempts(self):
        """The attempts of the newest run in their order: (version of six, test, number, outcome)."""
        cells = {cell.id: cell.pins["six"] for cell in self.run.read_record().cells}
        return [
            (cells[one.cell], one.scenario.partition("::")[2], one.attempt, str(one.outcome))
            for one in self.run.attempts()
        ]


@pytest.fixture
def project(tmp_path):
    created = Project(tmp_path)
    yield created
    for process in created.started:
        if process.poll() is None:
            created.kill(process)
