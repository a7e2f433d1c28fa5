"""Build the environment of a lock through Nox; processes that need the same environment share one build."""

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
from harness.envs.interpreters import Interpreter, ask_version, find_interpreter, unmet_requirements, write_pth
from harness.envs.lock import Lock, base_layer
from harness.envs.pip_config import UvSettings
from harness.envs.uv import explain_log, is_network
from harness.errors import HarnessError
from harness.matrix.base import InterpreterMissing, list_packages, read_base

BUILDER_VERSION = 1  # to be raised when older environments must not be used any more
STAMP, LAST_USED = "stamp.json", "last-used"
BYTECODE_FOLDER = "__pycache__"
SOURCES = 3  # the number of last used environments whose byte code is linked: 0.1 s each
NOXFILE = Path(__file__).with_name("nox_build.py")
BACKEND = "HARNESS_VENV_BACKEND"
BUILD_SECONDS = 3600.0  # a CUDA torch is a download of 3 GB
LOCK_TEXT = "lock.txt"
LOCATION = "location.json"


class BuildStamp(BaseModel):
    """The inputs of an environment; ``python`` is its interpreter, relative to its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lock: str
    python_version: str
    builder: int
    python: str


def write_stamp(folder: Path, lock_hash: str, interpreter: Interpreter, python: Path) -> None:
    """Write the stamp of a finished environment."""
    stamp = BuildStamp(
        lock=lock_hash,
        python_version=interpreter.version,
        builder=BUILDER_VERSION,
        python=python.relative_to(folder).as_posix(),
    )
    (folder / STAMP).write_text(stamp.model_dump_json(), encoding="utf-8")


def usable_python(folder: Path, lock_hash: str, interpreter: Interpreter) -> Path | None:
    """Return the interpreter of the environment in ``folder`` if its stamp has these inputs, else None."""
    try:
        stamp = BuildStamp.model_validate_json((folder / STAMP).read_bytes())
    except (OSError, ValidationError):
        return None
    wanted = (lock_hash, interpreter.version, BUILDER_VERSION)
    python = folder / stamp.python
    return python if (stamp.lock, stamp.python_version, stamp.builder) == wanted and python.exists() else None


def finished_environments(root: Path) -> list[Path]:
    """Return the finished environments below ``root``, the last used first."""
    found = [stamp.parent for stamp in root.glob(f"*/{STAMP}")]
    used = [path for path in found if (path / LAST_USED).exists()]
    return sorted(used, key=lambda path: (path / LAST_USED).stat().st_mtime, reverse=True)


def mismatches(python: Path, packages: Mapping[str, str]) -> list[str]:
    """Return a sentence for every locked package that is missing or has another version.

    The version of a commit or a folder is not in the lock and is not checked.
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


def link_bytecode(folder: Path) -> int:
    """Link byte code of other environments into ``folder`` for files that they share; return the number of files.

    Takes a fraction of a second. Links nothing if Pythons differ or files were copied instead of linked.
    """
    linked = 0
    for source in [path for path in finished_environments(folder.parent) if path != folder][:SOURCES]:
        for compiled in _compiled(source):
            linked += _link(compiled, source, folder)
    return linked


def _compiled(folder: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(folder):
        if os.path.basename(directory) == BYTECODE_FOLDER:
            names.clear()
            yield from (Path(directory, name) for name in files if name.endswith(".pyc") and "-pytest-" not in name)


def _link(compiled: Path, source_environment: Path, folder: Path) -> bool:
    """Link one file if its source is the same file in both environments.

    A ``.pyc`` identifies its source by time (in seconds) and size, which may be equal in two releases.
    """
    target = folder / compiled.relative_to(source_environment)
    source = f"{compiled.name.split('.', 1)[0]}.py"
    try:
        same = os.path.samefile(compiled.parent.parent / source, target.parent.parent / source)
        if not same or target.exists():
            return False
        target.parent.mkdir(exist_ok=True)
        os.link(compiled, target)
    except OSError:  # no such module, a file system without links, or another process was first
        return False

    return True


class InstallFailed(HarnessError):
    """An environment could not be built; ``network`` if the index could not be reached."""

    def __init__(self, sentence: str, log: Path, *, network: bool = False) -> None:
        """Take the reason and the log of the installer."""
        super().__init__(f"{sentence} (log: {log})")
        self.network = network


@dataclass(frozen=True)
class Environment:
    """A built environment: its interpreter, its folder, whether it was reused, and the seconds of this call."""

    python: Path
    folder: Path
    reused: bool
    seconds: float


def build(
    lock: Lock, root: Path, log: Path, *, python: Path | None = None, uv_settings: UvSettings | None = None
) -> Environment:
    """Return the environment of ``lock`` below ``root``; build it if it is not there.

    A second caller, in this process or another, waits for the first and reuses its environment.

    Args:
        lock: the packages to install.
        root: the folder of all environments (:attr:`harness.envs.cache_dir.CacheDir.envs`).
        log: the file to which the installer's output is appended.
        python: the interpreter to build with; by default that of the lock's Python or base.
        uv_settings: index settings; by default those of pip's configuration.

    Raises:
        InstallFailed: a package could not be installed, or differs from the lock.
        InterpreterMissing: there is no such Python on this machine.
    """
    started = time.monotonic()
    folder = (root / lock.hash).absolute()
    interpreter = ask_version(str(python)) if python is not None else find_interpreter(lock.python, lock.base)
    for needed in (root, log.parent):
        needed.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        found = usable_python(folder, lock.hash, interpreter)
        if found is None:
            settings = pip_config.read_uv_settings() if uv_settings is None else uv_settings
            made = _make(lock, folder, log.absolute(), interpreter, settings)
        else:
            with log.open("a", encoding="utf-8") as output:
                output.write(f"reused {folder}\n")
        (folder / LAST_USED).touch()

    return Environment(found or made, folder, found is not None, time.monotonic() - started)


def _make(lock: Lock, folder: Path, log: Path, interpreter: Interpreter, uv_settings: UvSettings) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / LOCK_TEXT).write_text(lock.text, encoding="utf-8")
    request = _write_request(lock, folder, interpreter, uv_settings)
    _run_nox(request, folder, log, uv_settings)
    location = Path(json.loads((folder / LOCATION).read_text(encoding="utf-8")))
    python = location / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wrong = [] if lock.base is None else _add_base(python, lock.base, base_layer(lock.text))
    wrong += mismatches(python, lock.packages)
    if wrong:
        raise InstallFailed(f"installed, but not as locked: {'; '.join(wrong)}", log)
    write_stamp(folder, lock.hash, interpreter, python)
    link_bytecode(folder)
    return python


def _write_request(lock: Lock, folder: Path, interpreter: Interpreter, uv_settings: UvSettings) -> Path:
    hashed, direct = split_lock(lock.text)
    files = {"hashed.txt": hashed, "direct.txt": direct}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    content = {
        "python": str(interpreter.path),
        "backend": os.environ.get(BACKEND) or "uv|virtualenv",
        "arguments": list(uv_settings.args),
        "binary": [str(folder / "hashed.txt")] if hashed else [],
        "direct": [str(folder / "direct.txt")] if direct else [],
        "refresh": [line.split()[2] for line in lock.text.splitlines() if line.startswith("# content: ")],
        "result": str(folder / LOCATION),
    }
    request = folder / "request.json"
    request.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return request


def split_lock(text: str) -> tuple[str, str]:
    """Split a lock into entries with hashes and without (commits and folders); installers refuse a mixture."""
    hashed: list[str] = []
    direct: list[str] = []
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            (direct if " @ " in line else hashed).append(line)
    return "".join(hashed), "".join(direct)


def _run_nox(request: Path, folder: Path, log: Path, uv_settings: UvSettings) -> None:
    command = [sys.executable, "-m", "nox", "-f", str(NOXFILE), "--envdir", str(folder), "-s", "env", "-v"]
    command += ["--no-reuse-existing-virtualenvs", "--error-on-missing-interpreters", "--download-python", "never"]
    variables = {**uv.environment(uv_settings), "HARNESS_BUILD_REQUEST": str(request)}
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
    """Run a command to its end or the deadline; return its exit code, None at the deadline. No process is left."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=variables
        )
        try:  # its open input tells it that this process is running
            return process.wait(BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                _kill(process)
            if process.stdin is not None:
                process.stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
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


def _add_base(python: Path, base: str, layer: dict[str, str]) -> list[str]:
    """Add the base to the child, and return the child's requirements that the layer of the base does not meet."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    own = list_packages(str(python))  # before the base is added: unmet requirements of its packages do not count
    write_pth(Path(done.stdout.strip()), read_base(base))
    return unmet_requirements(own, layer)
