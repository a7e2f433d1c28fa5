"""Measure what the harness saves in one run: a fork against a fresh interpreter, uv's links against pip.

``python benchmarks/overhead.py [--json FILE]`` from a checkout, with the harness's dependencies installed. It takes
the first cell of the quickstart, so the releases are real; everything it builds is removed at its end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from harness.envs import pip_config
from harness.envs.build import Environment, build
from harness.envs.cache_dir import CacheDir
from harness.envs.disk_usage import env_size
from harness.envs.interpreters import find_interpreter
from harness.envs.lock import Lock, resolve_cells
from harness.errors import ConfigError, HarnessError, InfrastructureError
from harness.matrix.plan import plan_cells
from harness.matrix.schema import Matrix, load_matrix
from harness.runner.isolation import Isolation, open_launcher
from harness.runner.probe_path import probe_path
from harness.runner.process import Launcher, Request, environment
from harness.runner.spawn import SpawnLauncher
from harness.session.begin import describe_host
from harness.session.plan import read_scenarios

INSTALLS = 3  # environments built each way
ATTEMPTS = 7  # attempts made each way
INSTALL_SECONDS = 1800.0
SCENARIO = '''
import peft
import torch
import transformers


def test_tiny_forward(probe):
    """A one-layer decoder with an adapter answers."""
    config = transformers.Qwen2Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1,
    )
    model = peft.get_peft_model(transformers.Qwen2ForCausalLM(config), peft.LoraConfig(target_modules=["q_proj"]))
    with probe.phase("forward"), torch.no_grad():
        logits = model(input_ids=torch.arange(8).unsqueeze(0)).logits
    probe.expect("one row of logits a token", logits.shape == (1, 8, 64), logits.shape)
'''


@dataclass(frozen=True)
class Way:
    """One way of doing a thing: seconds of each repetition; bytes beyond the cache, where it makes an environment."""

    name: str
    seconds: tuple[float, ...]
    size: int | None = None

    @property
    def median(self) -> float:
        """The middle of the repetitions, in seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Server:
    """The fork server's own start, in seconds, and over how many attempts of one cell it is spread."""

    start: float
    attempts: int

    def amortized(self, fork: Way) -> float:
        """Return the seconds of an attempt with its share of the server's start."""
        return fork.median + self.start / self.attempts


@dataclass(frozen=True)
class Measured:
    """Everything one run of this script found."""

    packages: int
    ways: tuple[Way, ...]
    server: Server
    with_bytecode: int  # bytes beyond the cache of uv's environment once an attempt has compiled what it imports

    def ratios(self) -> dict[str, float]:
        """Return how many times dearer the other way is."""
        fork, fresh, bare, uv, pip, plain = self.ways
        shared = self.server.amortized(fork)
        return {
            "fresh interpreter : fork, seconds": fresh.median / fork.median,
            "fresh interpreter : fork with its share of the server, seconds": fresh.median / shared,
            "fresh interpreter that preloads nothing : fork, seconds": bare.median / fork.median,
            "fresh interpreter that preloads nothing : fork with its share, seconds": bare.median / shared,
            "pip : uv, seconds": pip.median / uv.median,
            "pip --no-compile : uv, seconds": plain.median / uv.median,
            "pip : uv, bytes": (pip.size or 0) / (uv.size or 1),
            "pip : uv after the attempts, bytes": (pip.size or 0) / self.with_bytecode,
        }


def main() -> int:
    """Measure, print the table, write the JSON file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args()
    cache_dir = CacheDir.of_user()
    cache_dir.root.mkdir(parents=True, exist_ok=True)
    try:
        # below the cache, so that environments lie on the file system on which the harness itself puts them
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=cache_dir.root) as scratch:
            measured = measure(cache_dir, Path(scratch))
    except HarnessError as error:
        sys.stderr.write(f"overhead: {error}\n")
        return int(error.exit_code)
    print(render(measured))
    if options.json is not None:
        host = describe_host().model_dump(mode="json", exclude={"gpus": {"__all__": {"uuid"}}})
        answer = {"host": host, **asdict(measured), "ratios": measured.ratios()}
        options.json.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(cache_dir: CacheDir, scratch: Path) -> Measured:
    """Build the cell both ways, then run the same attempt both ways."""
    matrix = load_matrix("quickstart")
    lock = lock_of(matrix, cache_dir)
    installs, built = install_ways(lock, scratch)
    attempts, start = attempt_ways(matrix, built, cache_dir, scratch)
    server = Server(start, len(read_scenarios(matrix)[1]))
    return Measured(len(lock.packages), (*attempts, *installs), server, env_size(built.folder))


def lock_of(matrix: Matrix, cache_dir: CacheDir) -> Lock:
    """Lock the first cell of the matrix.

    Raises:
        ConfigError: it resolves to a CUDA build of torch, of which pip would unpack gigabytes each time.
        InfrastructureError: it has no resolution.
    """
    cell = plan_cells(matrix, cache=cache_dir.releases).cells[0]
    lock = resolve_cells([cell], cache=cache_dir.locks, jobs=1)[cell.id]
    if not isinstance(lock, Lock):
        raise InfrastructureError(f"{cell.id} cannot be resolved: {lock.sentence}")
    cuda = [name for name in lock.packages if name.startswith("nvidia-")]
    if cuda:
        raise ConfigError(f"{cell.id} resolves to {len(cuda)} nvidia packages: set pip's find-links to a CPU torch")
    return lock


def install_ways(lock: Lock, scratch: Path) -> tuple[tuple[Way, ...], Environment]:
    """Install the lock by the harness and by pip in turn, each time into a new folder, all caches warm.

    Returns:
        The ways, and the last environment that the harness built.
    """
    uv_settings, log = pip_config.read_uv_settings(), scratch / "install.log"
    python = find_interpreter(lock.python).path
    (scratch / "lock.txt").write_text(lock.text, encoding="utf-8")
    ways: dict[str, list[tuple[float, int]]] = {"uv (harness)": [], "pip": [], "pip --no-compile": []}
    for turn in range(INSTALLS + 1):  # the first turn fills the caches
        flush()
        built = build(lock, scratch / f"uv-{turn}", log, uv_settings=uv_settings)
        ways["uv (harness)"].append((built.seconds, env_size(built.folder)))
        for way, options in (("pip", ()), ("pip --no-compile", ("--no-compile",))):
            flush()
            folder = scratch / "pip"
            seconds = pip_install(python, folder, scratch / "lock.txt", options, log)
            ways[way].append((seconds, env_size(folder)))
            shutil.rmtree(folder)
        if turn < INSTALLS:
            shutil.rmtree(built.folder)
    found = [(name, done[1:]) for name, done in ways.items()]
    return tuple(
        Way(f"environment by {name}", tuple(one[0] for one in done), done[-1][1]) for name, done in found
    ), built


def pip_install(python: Path, folder: Path, lock: Path, options: Sequence[str], log: Path) -> float:
    """Make a venv and install the lock into it, as a person without the harness would; return the seconds."""
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    started = time.monotonic()
    run([str(python), "-m", "venv", str(folder)], log)
    run([str(inside), "-m", "pip", "install", "--require-hashes", "--no-deps", *options, "-r", str(lock)], log)
    return time.monotonic() - started


def attempt_ways(
    matrix: Matrix, built: Environment, cache_dir: CacheDir, scratch: Path
) -> tuple[tuple[Way, ...], float]:
    """Run the scenario by fork and in fresh interpreters in turn, byte code compiled.

    Returns:
        The ways, and the seconds until the fork server was ready.

    Raises:
        InfrastructureError: a clean fork cannot be promised here.
    """
    scenario = scratch / "tiny.py"
    scenario.write_text(SCENARIO, encoding="utf-8")
    variables = environment(probe_path(cache_dir.probe), {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})
    fresh = SpawnLauncher(built.python, variables, matrix.preload.modules)
    attempt(fresh, scenario, scratch / "warm")
    started = time.monotonic()
    opened = open_launcher(
        built.python,
        variables,
        scratch / "server",
        wanted=Isolation.FORK,
        preload=matrix.preload.modules,
        never=matrix.preload.never,
        cancel=threading.Event(),
    )
    start = time.monotonic() - started
    ways: dict[str, Launcher] = {
        "by fork": opened.launcher,
        "in a fresh interpreter": fresh,
        "in one that preloads nothing": SpawnLauncher(built.python, variables),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    try:
        if opened.fallback:
            raise InfrastructureError(f"no clean fork here: {opened.fallback}")
        for turn in range(ATTEMPTS + 1):  # the first turn is a warm-up
            for number, (name, launcher) in enumerate(ways.items()):
                seconds[name].append(attempt(launcher, scenario, scratch / f"attempt-{turn}-{number}"))
    finally:
        opened.launcher.close()
    return tuple(Way(f"attempt {name}", tuple(done[1:])) for name, done in seconds.items()), start


def attempt(launcher: Launcher, scenario: Path, folder: Path) -> float:
    """Run the scenario once and return its seconds.

    Raises:
        InfrastructureError: it did not pass, so that its time means nothing.
    """
    request = Request("run", folder, str(scenario.parent), 600.0, nodeid=f"{scenario}::test_tiny_forward")
    done = launcher.run(request, threading.Event())
    if done.exit.code != 0:
        tail = (folder / "output.log").read_text(encoding="utf-8", errors="replace")[-600:]
        raise InfrastructureError(f"the attempt did not pass: {tail}")
    return done.seconds


def run(command: Sequence[str], log: Path) -> None:
    """Run one command of pip's way.

    Raises:
        InfrastructureError: it failed.
    """
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    with log.open("ab") as output:
        done = subprocess.run(
            command, env=variables, stdout=output, stderr=output, timeout=INSTALL_SECONDS, check=False
        )
    if done.returncode != 0:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
        raise InfrastructureError(f"{' '.join(command[1:4])} failed: {last}")


def flush() -> None:
    """Have what was written so far go to the disk, so that nobody pays for another's writes."""
    if hasattr(os, "sync"):
        os.sync()


def render(measured: Measured) -> str:
    """Write the figures as a Markdown table and a list of ratios."""
    lines = ["| what | median s | from–to s | n | MB beyond the cache |", "|---|--:|--:|--:|--:|"]
    for way in measured.ways:
        size = "" if way.size is None else f"{way.size / 1e6:.0f}"
        spread = f"{min(way.seconds):.2f}–{max(way.seconds):.2f}"
        lines.append(f"| {way.name} | {way.median:.2f} | {spread} | {len(way.seconds)} | {size} |")
    fork, server = measured.ways[0], measured.server
    share = f"{server.amortized(fork):.2f} s an attempt with its share over {server.attempts} scenarios"
    lines += [
        "",
        f"fork server: ready in {server.start:.2f} s, once a cell; {share}",
        f"uv's environment after the attempts, with the byte code they compiled: {measured.with_bytecode / 1e6:.0f} MB",
        f"packages in the environment: {measured.packages}",
        "",
        *(f"{name}: {ratio:.1f}" for name, ratio in measured.ratios().items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
