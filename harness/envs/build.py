"""Build the environment of a lock through Nox, once, whoever asks and however often."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from harness.envs import pipconfig, uvcommand
from harness.envs.base import list_packages, read_base, unmet, write_pth
from harness.envs.bytecode import borrow_bytecode
from harness.envs.explain import from_log, is_network
from harness.envs.interpreters import Interpreter, ask, find_interpreter
from harness.envs.lock import Lock, base_layer
from harness.envs.pipconfig import Carried
from harness.envs.stamp import LAST_USED, usable, write_stamp
from harness.envs.verify import disagreements
from harness.errors import HarnessError

NOXFILE = Path(__file__).with_name("nox_build.py")
BACKEND = "HARNESS_VENV_BACKEND"
BUILD_SECONDS = 3600.0  # a CUDA torch is 3 GB to download
LOCK_TEXT = "lock.txt"


class InstallFailed(HarnessError):
    """An environment could not be built; ``network`` when the index could not be reached."""

    def __init__(self, sentence: str, log: Path, *, network: bool = False) -> None:
        """Say why, and where the installer's own words are."""
        super().__init__(f"{sentence} (log: {log})")
        self.sentence = sentence
        self.log = log
        self.network = network


@dataclass(frozen=True)
class Environment:
    """A built environment: its interpreter, its folder, and what it took (seconds) to have it now."""

    python: Path
    folder: Path
    lock_hash: str
    reused: bool
    seconds: float


def build(
    lock: Lock, root: Path, log: Path, *, python: Path | None = None, carried: Carried | None = None
) -> Environment:
    """Return the environment of ``lock`` below ``root``, built now if need be.

    A second caller, in this process or another, waits for the first and then reuses what it built.

    Args:
        lock: what to install.
        root: the folder of all environments (:attr:`harness.envs.places.Places.envs`).
        log: file for the installer's output; appended to.
        python: the interpreter to build with; by default the one that the lock's Python or base asks for.
        carried: index settings; by default those of pip's configuration.

    Raises:
        InstallFailed: a package could not be installed, or is not what the lock says.
        InterpreterMissing: there is no such Python here.
    """
    started = time.monotonic()
    folder = (root / lock.hash).absolute()
    interpreter = ask(str(python)) if python is not None else find_interpreter(lock.python, lock.base)
    for needed in (root, log.parent):
        needed.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        found = usable(folder, lock.hash, interpreter)
        if found is None:
            settings = pipconfig.read() if carried is None else carried
            made = _make(lock, folder, log.absolute(), interpreter, settings)
        else:
            _note(log, f"reused {folder}")
        (folder / LAST_USED).touch()
    return Environment(found or made, folder, lock.hash, found is not None, time.monotonic() - started)


def _make(lock: Lock, folder: Path, log: Path, interpreter: Interpreter, carried: Carried) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / LOCK_TEXT).write_text(lock.text, encoding="utf-8")
    request = _write_request(lock, folder, interpreter, carried)
    _run_nox(request, folder, log, carried)
    place = Path(json.loads((folder / "place.json").read_text(encoding="utf-8")))
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wrong = [] if lock.base is None else _put_on_base(python, lock.base, base_layer(lock.text))
    wrong += disagreements(python, lock.packages)
    if wrong:
        raise InstallFailed(f"installed, but not as locked: {'; '.join(wrong)}", log)
    write_stamp(folder, lock.hash, interpreter, python)
    borrow_bytecode(folder)
    return python


def _write_request(lock: Lock, folder: Path, interpreter: Interpreter, carried: Carried) -> Path:
    hashed, direct = split(lock.text)
    files = {"hashed.txt": hashed, "direct.txt": direct}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    content = {
        "python": str(interpreter.path),
        "backend": os.environ.get(BACKEND) or "uv|virtualenv",
        "arguments": list(carried.args),
        "binary": [str(folder / "hashed.txt")] if hashed else [],
        "direct": [str(folder / "direct.txt")] if direct else [],
        "refresh": [line.split()[2] for line in lock.text.splitlines() if line.startswith("# content: ")],
        "result": str(folder / "place.json"),
    }
    request = folder / "request.json"
    request.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return request


def split(text: str) -> tuple[str, str]:
    """Split a lock into what has hashes and what has none (commits and folders); installers refuse a mixture."""
    hashed: list[str] = []
    direct: list[str] = []
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            (direct if " @ " in line else hashed).append(line)
    return "".join(hashed), "".join(direct)


def _run_nox(request: Path, folder: Path, log: Path, carried: Carried) -> None:
    command = [sys.executable, "-m", "nox", "-f", str(NOXFILE), "--envdir", str(folder), "-s", "env", "-v"]
    command += ["--no-reuse-existing-virtualenvs", "--error-on-missing-interpreters", "--download-python", "never"]
    variables = {**uvcommand.environment(carried), "HARNESS_BUILD_REQUEST": str(request)}
    start = log.stat().st_size if log.exists() else 0
    code = _run(command, variables, log)
    if code == 0:
        return
    with log.open("rb") as file:
        file.seek(start)
        printed = file.read().decode("utf-8", "replace")
    sentence = f"not finished after {BUILD_SECONDS:.0f} s" if code is None else from_log(printed)
    raise InstallFailed(sentence, log, network=is_network(printed))


def _run(command: Sequence[str], variables: dict[str, str], log: Path) -> int | None:
    """Run to the end or the deadline and return the code, None when it was late; leave no process behind."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=variables
        )
        try:  # that its input is open tells it that we live
            return process.wait(BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                _end(process)
            if process.stdin is not None:
                process.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def _put_on_base(python: Path, base: str, layer: dict[str, str]) -> list[str]:
    """Make the child see its base, and list what its packages miss in what the base gives it."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    own = list_packages(str(python))  # before it sees the base: what the base's packages miss is not the cell's fault
    write_pth(Path(done.stdout.strip()), read_base(base))
    return unmet(own, layer)


def _note(log: Path, line: str) -> None:
    with log.open("a", encoding="utf-8") as output:
        output.write(f"{line}\n")
