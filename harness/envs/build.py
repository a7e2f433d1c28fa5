"""Build the environment of a lock through Nox, once, whoever asks and however often."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.envs import pip_config, uv
from harness.envs.interpreters import Interpreter, ask, find_interpreter, unmet, write_pth
from harness.envs.lock import Lock, base_layer
from harness.envs.pip_config import Carried
from harness.envs.uv import explain_log, is_network
from harness.errors import HarnessError
from harness.matrix.base import InterpreterMissing, list_packages, read_base

BUILDER_VERSION = 1  # raise it when environments built by an older harness must not be used any more


STAMP, LAST_USED = "stamp.json", "last-used"


class BuildStamp(BaseModel):
    """What an environment was built from; ``python`` is its interpreter, relative to the environment's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lock: str
    python_version: str
    builder: int
    python: str


def write_stamp(folder: Path, lock_hash: str, interpreter: Interpreter, python: Path) -> None:
    """Declare the environment in ``folder`` finished."""
    stamp = BuildStamp(
        lock=lock_hash,
        python_version=interpreter.version,
        builder=BUILDER_VERSION,
        python=python.relative_to(folder).as_posix(),
    )
    (folder / STAMP).write_text(stamp.model_dump_json(), encoding="utf-8")


def usable(folder: Path, lock_hash: str, interpreter: Interpreter) -> Path | None:
    """Return the interpreter inside ``folder`` when the stamp there is the one that would be written today."""
    try:
        stamp = BuildStamp.model_validate_json((folder / STAMP).read_bytes())
    except (OSError, ValidationError):
        return None
    wanted = (lock_hash, interpreter.version, BUILDER_VERSION)
    python = folder / stamp.python
    return python if (stamp.lock, stamp.python_version, stamp.builder) == wanted and python.exists() else None


def finished(root: Path) -> list[Path]:
    """Return the finished environments below ``root``, the last used first."""
    found = [stamp.parent for stamp in root.glob(f"*/{STAMP}")]
    used = [path for path in found if (path / LAST_USED).exists()]
    return sorted(used, key=lambda path: (path / LAST_USED).stat().st_mtime, reverse=True)


def disagreements(python: Path, packages: Mapping[str, str]) -> list[str]:
    """List, in words, every locked package that is missing or of another version.

    Of commits and folders it is enough that they are there: their version is not in the lock.
    """
    try:
        found = list_packages(str(python), isolated=True).packages
    except InterpreterMissing as error:
        return [str(error)]
    wrong = []
    for name, version in packages.items():
        if name not in found:
            wrong.append(f"{name} is missing")
        elif "://" not in version and not _same(found[name].version, version):
            wrong.append(f"{name} is {found[name].version} instead of {version}")
    return wrong


def _same(found: str, locked: str) -> bool:
    try:
        return Version(found) == Version(locked)
    except InvalidVersion:
        return found == locked


CACHE = "__pycache__"


NEIGHBOURS = 3  # the last used environments that are looked at: 0.1 s each


def borrow_bytecode(folder: Path) -> int:
    """Link into the environment ``folder`` what its neighbours have compiled from the same files; return how many.

    Worth calling before the first process of a cell starts: it takes a fraction of a second and does nothing where
    there is nothing to borrow (other Python, environments that are copies and not links).
    """
    linked = 0
    for neighbour in [path for path in finished(folder.parent) if path != folder][:NEIGHBOURS]:
        for compiled in _compiled(neighbour):
            linked += _borrow(compiled, neighbour, folder)
    return linked


def _compiled(folder: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(folder):
        if os.path.basename(directory) == CACHE:
            names.clear()
            yield from (Path(directory, name) for name in files if name.endswith(".pyc") and "-pytest-" not in name)


def _borrow(compiled: Path, neighbour: Path, folder: Path) -> bool:
    """Link one file if both environments hold the same source, not merely an equal looking one.

    A ``.pyc`` knows its source by time (in seconds) and size, which two releases can have in common.
    """
    target = folder / compiled.relative_to(neighbour)
    source = f"{compiled.name.split('.', 1)[0]}.py"
    try:
        same = os.path.samefile(compiled.parent.parent / source, target.parent.parent / source)
        if not same or target.exists():
            return False
        target.parent.mkdir(exist_ok=True)
        os.link(compiled, target)
    except OSError:  # no such module there, no links on this file system, or another process was first
        return False
    return True


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
        root: the folder of all environments (:attr:`harness.envs.cache_dir.CacheDir.envs`).
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
            settings = pip_config.read() if carried is None else carried
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
    variables = {**uv.environment(carried), "HARNESS_BUILD_REQUEST": str(request)}
    start = log.stat().st_size if log.exists() else 0
    code = _run(command, variables, log)
    if code == 0:
        return
    with log.open("rb") as file:
        file.seek(start)
        printed = file.read().decode("utf-8", "replace")
    sentence = f"not finished after {BUILD_SECONDS:.0f} s" if code is None else explain_log(printed)
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
