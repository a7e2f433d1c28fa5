"""Check what a run needs on this machine; each finding has advice."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.envs import pip_config, uv
from harness.envs.interpreters import find_interpreter
from harness.envs.pip_config import UvSettings
from harness.envs.uv import error_paragraph
from harness.errors import HarnessError
from harness.matrix.base import InterpreterMissing
from harness.runner.gpus import Gpu, UnreadableGpu, list_gpus

MIB, GIB = 2**20, 2**30
DISK_BAD, DISK_WARN = 2 * GIB, 15 * GIB  # bytes; one CUDA torch takes 5.4 GB
BUSY = 500 * MIB  # bytes: more than drivers and desktops use on an idle GPU
PYTHONS = ("3.11", "3.12", "3.13")
INDEX_PACKAGE = "packaging"  # small, and on every mirror
SECONDS = 60.0


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """The state of one thing, and advice if it is not as it should be."""

    level: Level
    what: str
    advice: str = ""


def examine_machine(cache: Path) -> list[Finding]:
    """Check uv, pip's configuration, the index, disk, Pythons, git and GPUs."""
    program = uv.find_uv()
    try:
        uv_settings = pip_config.read_uv_settings()
        configuration = configuration_findings(uv_settings)
    except HarnessError as error:
        uv_settings, configuration = (
            UvSettings(),
            [Finding(Level.BAD, str(error), "python -m pip install --upgrade pip")],
        )

    return [
        uv_finding(None if program is None else uv.uv_version(program)),
        *configuration,
        _pip_index(),
        *([] if program is None else [_uv_index(uv_settings), *_links(program, cache)]),
        disk_finding(_existing(cache), shutil.disk_usage(_existing(cache)).free),
        *(_python(version) for version in PYTHONS),
        git_finding(shutil.which("git")),
        *gpu_findings(list_gpus()),
    ]


def uv_finding(version: str | None) -> Finding:
    """Return the finding about uv; ``version`` is None without it."""
    if version is None:
        return Finding(Level.BAD, "uv is missing: cells cannot be locked", "python -m pip install 'nox[uv]'")
    return Finding(Level.OK, f"uv {version}")


def configuration_findings(uv_settings: UvSettings) -> list[Finding]:
    """Return findings about the settings of pip that are applied to uv, and those that are not."""
    kept = [Finding(Level.OK, f"applied from pip's configuration: {sentence}") for sentence in uv_settings.applied]
    return kept + [
        Finding(Level.WARN, sentence, "set uv's own variable if it matters") for sentence in uv_settings.dropped
    ]


def index_finding(tool: str, error: str | None) -> Finding:
    """Return the finding about a tool and the index; ``error`` is its output if it does not reach the index."""
    if error is None:
        return Finding(Level.OK, f"{tool} reaches the package index")
    return Finding(
        Level.BAD,
        f"{tool} does not reach the package index: {error_paragraph(error)}",
        "see docs/environments.md#package-indexes-and-mirrors",
    )


def disk_finding(folder: Path, free: int) -> Finding:
    """Return the finding about disk space for environments; ``free`` in bytes."""
    what = f"{free / GIB:.1f} GiB free at {folder}"
    if free < DISK_WARN:
        advice = "harness gc, or HARNESS_CACHE=<a folder on another disk>"
        return Finding(Level.BAD if free < DISK_BAD else Level.WARN, what, advice)
    return Finding(Level.OK, what)


def link_finding(cache: Path, uv_cache: Path, *, same: bool) -> Finding:
    """Return the finding about the file systems of environments and of uv's cache."""
    if same:
        return Finding(Level.OK, "environments and uv's cache share a file system: files are linked, not copied")
    return Finding(
        Level.WARN,
        f"{cache} and uv's cache {uv_cache} are on different file systems: every environment is a full copy",
        "put both on one: HARNESS_CACHE or UV_CACHE_DIR",
    )


def git_finding(git: str | None) -> Finding:
    """Return the finding about git."""
    if git is None:
        return Finding(Level.WARN, "git is missing: no dev, git: or pr: versions", "install git")
    return Finding(Level.OK, "git is installed")


def gpu_findings(gpus: Sequence[Gpu | UnreadableGpu]) -> list[Finding]:
    """Return a finding for each GPU."""
    if not gpus:
        return [Finding(Level.WARN, "no GPU: scenarios run on the CPU", "check `nvidia-smi` if there should be one")]
    return [_gpu_finding(gpu) for gpu in gpus]


def _gpu_finding(gpu: Gpu | UnreadableGpu) -> Finding:
    if isinstance(gpu, UnreadableGpu):
        return Finding(Level.WARN, f"GPU {gpu.index}: the driver does not report its memory ({gpu.reason})")
    memory = f"{gpu.used // MIB} of {gpu.total // MIB} MiB in use"
    what = f"GPU {gpu.index}: {gpu.name}, driver {gpu.driver}, {memory}"
    if gpu.used < BUSY:
        return Finding(Level.OK, what)
    advice = "memory figures need a free GPU: wait, or choose another with CUDA_VISIBLE_DEVICES"
    return Finding(Level.WARN, f"{what} by other processes", advice)


def _pip_index() -> Finding:
    command = [sys.executable, "-m", "pip", "index", "versions", INDEX_PACKAGE, "--retries", "0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return index_finding("pip", f"error: no answer within {SECONDS:.0f} s")
    return index_finding("pip", None if done.returncode == 0 else done.stderr)


def _uv_index(uv_settings: UvSettings) -> Finding:
    with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
        (Path(folder) / "one.in").write_text(f"{INDEX_PACKAGE}\n", encoding="utf-8")
        arguments = ["pip", "compile", "one.in", "--quiet", "--refresh-package", INDEX_PACKAGE, *uv_settings.args]
        arguments += ["--python", sys.executable]
        answer = uv.run_uv(arguments, uv.environment(uv_settings), Path(folder), SECONDS)
    return index_finding("uv", None if answer.code == 0 else answer.errors)


def _links(uv: str, cache: Path) -> list[Finding]:
    done = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, timeout=SECONDS, check=False)
    uv_cache = Path(done.stdout.strip())
    if done.returncode != 0 or not done.stdout.strip():
        return []
    same = _existing(cache).stat().st_dev == _existing(uv_cache).stat().st_dev
    return [link_finding(cache, uv_cache, same=same)]


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest parent that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _python(version: str) -> Finding:
    try:
        found = find_interpreter(version)
    except InterpreterMissing:
        return Finding(Level.OK, f"no Python {version}: for a matrix that needs it, `uv python install {version}`")
    return Finding(Level.OK, f"Python {found.version} for matrices that ask for {version}")
