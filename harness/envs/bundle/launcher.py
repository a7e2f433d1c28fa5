"""Run the matrix of this bundle without a package index: ``run [--base PYTHON] [options of harness run]``.

Any other command of the harness can follow ``--``: ``run -- checkpoint build qwen2.5-7b --size full``.

This file is at the top of a bundle and needs only Python. It makes an environment for the harness in the folder of the
bundle, from its wheels, with uv if there is one, else with venv and the pip in the bundle. Then it calls
``harness run``, which builds the environments of the cells in the same way.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ASK = """
import json, os, sys
paths = [p for p in sys.path if os.path.basename(p.rstrip("/")) in ("site-packages", "dist-packages")]
print(json.dumps(["%d.%d" % sys.version_info[:2], paths]))
"""
DROPPED_VARIABLES = ("PIP_", "UV_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "NOX")
USAGE = 2


class Refused(Exception):
    """One sentence for the user; the exit code is 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environment of the harness, run the matrix, and return the exit code of ``harness run``."""
    own = list(sys.argv[1:] if arguments is None else arguments)
    own, other = (own[: own.index("--")], own[own.index("--") + 1 :]) if "--" in own else (own, [])
    options, rest = read_arguments(own)
    try:
        base = find_base(options.base)
        manifest = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
        paths = base_paths(base, manifest["python"])
        work = (options.work or HERE / "work").absolute()
        variables = environment(os.environ, base, work, manifest)
        python = harness_python(base, paths, work, variables)
        link_checkpoints(Path(variables["HARNESS_CACHE"]))
    except Refused as error:
        sys.stderr.write(f"run: {error}\n")
        return USAGE

    reports = options.reports.absolute()
    command = other or run_arguments(manifest, options.scenarios, reports, rest)
    code = subprocess.call([str(python), "-m", "harness.cli.main", *command], cwd=HERE, env=variables)
    finish(newest_run(reports), options.pack)
    return code


def run_arguments(manifest: dict[str, Any], scenarios: list[str], reports: Path, rest: list[str]) -> list[str]:
    """Return the command that runs the matrix of the bundle with the scenarios of the bundle, or the given ones."""
    entries = [absolute_scenario(entry) for entry in scenarios] or manifest["selection"]
    chosen = [argument for entry in entries for argument in ("--scenarios", entry)]
    return ["run", manifest["matrix"], "--reports", str(reports), *chosen, *rest]


def read_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the options of this program and return them with the rest, which are options of ``harness run``."""
    parser = argparse.ArgumentParser(prog="run", description=__doc__.split("\n", 1)[0], allow_abbrev=False)
    parser.add_argument("--base", default="python3", help="the Python that has torch (default: python3)")
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder for environments and checkpoints (default: work/ in the bundle)",
    )
    parser.add_argument("--pack", type=Path, metavar="FILE", help="also write the run folder as one .tar.gz")
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="folder of the run folder")
    parser.add_argument(
        "--scenarios", action="append", default=[], metavar="FILE[::TEST]", help="run these instead of the matrix's"
    )
    parser.epilog = "Other options are those of `harness run`: --cells, -k, --repeat, --jobs, --timeout, …"
    return parser.parse_known_args(arguments)


def find_base(given: str) -> str:
    """Return the path of the interpreter; a link is not resolved, as it may make a virtual environment."""
    found = shutil.which(given) or (given if Path(given).is_file() else None)
    if found is None:
        raise Refused(f"--base {given} is neither a file nor a command on the search path")
    return os.path.abspath(found)


def base_paths(base: str, wanted: str) -> list[str]:
    """Return the package folders of the base.

    Raises:
        Refused: it does not start, or has not the version of the wheels.
    """
    try:
        done = subprocess.run([base, "-c", ASK], capture_output=True, text=True, check=True)
        version, paths = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise Refused(f"{base} is not a Python that answers ({type(error).__name__})") from None
    if version != wanted:
        raise Refused(f"the bundle is for Python {wanted}, and {base} is Python {version}; name another with --base")
    return list(paths)


def environment(
    own: os._Environ[str] | dict[str, str], base: str, work: Path, manifest: dict[str, Any]
) -> dict[str, str]:
    """Return variables with which pip and uv use the wheels of this bundle only.

    If the bundle has no builder of checkpoints, the base builds them, unless the user names another interpreter.
    """
    variables = {name: value for name, value in own.items() if not name.startswith(DROPPED_VARIABLES)}
    variables.setdefault("HARNESS_CACHE", str(work / "cache"))
    if manifest.get("builder") is None and not variables.get("HARNESS_BUILDER_PYTHON"):
        variables["HARNESS_BUILDER_PYTHON"] = base
    return {
        **variables,
        "HARNESS_BUNDLE": str(HERE),
        "HARNESS_BUNDLE_BASE": base,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": (HERE / "wheels").as_uri(),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_CACHE_DIR": str(work / "uv"),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
    }


def harness_python(base: str, paths: list[str], work: Path, variables: dict[str, str]) -> Path:
    """Return the interpreter of the environment of the harness; make it if it is not there.

    The packages of the base are visible behind its own, so that tables are written if the base has pandas.
    """
    folder = work / "host"
    python = folder / "bin" / "python"
    stamp = folder / "made-from"
    wanted = hashlib.sha256((HERE / "host.txt").read_bytes() + f"{base}{HERE}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python

    shutil.rmtree(folder, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    sys.stderr.write("making the harness's environment\n")

    install = ["--no-deps", "--require-hashes", "--no-index", "--find-links", str(HERE / "wheels")]
    install += ["-r", str(HERE / "host.txt")]

    uv = shutil.which("uv")
    if uv is not None:
        run_step([uv, "venv", "--quiet", "--no-project", "--python", base, str(folder)], variables)
        run_step([uv, "pip", "install", "--quiet", "--python", str(python), *install], variables)
    else:
        run_step([base, "-m", "venv", "--without-pip", str(folder)], variables)
        pip = next((HERE / "wheels").glob("pip-*.whl"))
        run_step([str(python), str(pip / "pip"), "install", "--quiet", *install], variables)

    site = next(folder.glob("lib/python3*/site-packages"))
    (site / "harness-bundle.pth").write_text(f"{HERE / 'app'}\n", encoding="utf-8")
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in paths)
    (site / "zz-harness-base.pth").write_text(lines, encoding="utf-8")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def run_step(command: list[str], variables: dict[str, str]) -> None:
    """Run a step of the installation.

    Raises:
        Refused: it failed; the sentence has its output.
    """
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        text = " ".join((done.stderr.strip() or done.stdout.strip() or "no reason given").split())
        raise Refused(f"{Path(command[0]).name} could not make the harness's environment: {text[:1000]}")


def link_checkpoints(cache: Path) -> None:
    """Link the checkpoints of the bundle into the cache of the harness; copy them if links are not possible."""
    for folder in sorted((HERE / "checkpoints").glob("*")):
        target = cache / "checkpoints" / folder.name
        if target.exists():
            continue
        scratch = target.with_name(f"{folder.name}.part")
        shutil.rmtree(scratch, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(folder, scratch, copy_function=os.link)
        except (OSError, shutil.Error):
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(folder, scratch)
        scratch.rename(target)


def absolute_scenario(entry: str) -> str:
    """Return a scenario in the current folder as an absolute path: the harness runs in the folder of the bundle."""
    name, separator, test = entry.partition("::")
    return f"{Path(name).absolute()}{separator}{test}" if Path(name).exists() else entry


def newest_run(reports: Path) -> Path | None:
    """Return the newest run folder."""
    runs = sorted(reports.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return runs[-1].parent if runs else None


def finish(run: Path | None, archive: Path | None) -> None:
    """Print the next steps, and pack the run folder if an archive is asked for."""
    if run is None:
        return
    if not (run / "results.csv").exists():
        sys.stderr.write(f"no pandas here, so no tables: `harness report {run.name}` writes them at home\n")
    if archive is not None:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(run, run.name)
        sys.stderr.write(f"packed {run.name} into {archive}\n")


if __name__ == "__main__":
    sys.exit(main())
