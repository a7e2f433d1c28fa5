"""What must not leave the machine, as a frozen description, and how it is gathered: the only part that looks around."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import InfrastructureError
from harness.matrix.index import pip_settings
from harness.report.ordinary import is_public, ordinary_words
from harness.report.paths import paths_to_hide
from harness.store.records import RunRecord
from harness.verdict.signature import import_names

USER_VARIABLES = ("USER", "LOGNAME", "USERNAME", "SUDO_USER", "SLURM_JOB_USER")
HOST_VARIABLES = ("HOSTNAME", "HOST", "COMPUTERNAME", "SLURMD_NODENAME", "SLURM_SUBMIT_HOST")
NODE_LISTS = ("SLURM_JOB_NODELIST", "SLURM_NODELIST")
INDEX_SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy")
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
SECRET_VARIABLE = re.compile(r"(?:TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY)(?:_ID)?$", re.IGNORECASE)
SHORTEST_NAME = 3
SHORTEST_SECRET = 6
MOST_NODES = 512


@dataclass(frozen=True)
class Private:
    """What is private about one run on one machine.

    ``paths`` are pairs of a path and what is written instead. ``packages`` and ``versions`` are the run's own: what is
    named so is no user, and ``10.3.9.90`` may be a release as well as an address.
    """

    paths: tuple[tuple[str, str], ...] = ()
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()  # UUIDs
    packages: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @functools.cached_property
    def ordinary(self) -> frozenset[str]:
        """Return the words that stay where they stand alone, though a user or a machine may be called so."""
        return ordinary_words() | self.packages


def private_of(run: RunRecord, folder: Path) -> Private:
    """Gather what is private about a run folder and about this machine."""
    environ = os.environ
    return Private(
        paths=tuple(paths_to_hide(run, folder).items()),
        users=_names([*_users(environ), *_owner(folder)]),
        hosts=_names([*_hosts(environ), *_index_hosts(environ)]),
        gpus=tuple(gpu.uuid for host in (run.host, *(part.host for part in run.parts)) for gpu in host.gpus),
        packages=import_names(names := _packages(run)) | frozenset(names),
        versions=frozenset(version for cell in run.cells for version in (*cell.versions.values(), *cell.pins.values())),
        secrets=_secrets([*environ.items(), *(pair for cell in run.cells for pair in cell.variables.items())]),
    )


def slurm_nodes(text: str) -> tuple[str, ...]:
    """Write a list of nodes out: ``gpu-a[01-03,7],login1`` → four names; at most ``MOST_NODES``."""
    found: list[str] = []
    for entry in re.findall(r"[^,\[\]]+(?:\[[^\]]*\])?[^,\[\]]*", text):
        head, bracket, tail = re.match(r"([^\[]*)(?:\[([^\]]*)\])?(.*)", entry).groups()  # type: ignore[union-attr]
        for part in (bracket or "").split(","):
            first, _, last = part.partition("-")
            if first.isdigit() and (last or first).isdigit():
                span = range(int(first), min(int(last or first), int(first) + MOST_NODES) + 1)
                found += [f"{head}{number:0{len(first)}}{tail}" for number in span]
            else:
                found.append(f"{head}{part}{tail}")
    return tuple(found[:MOST_NODES])


def _names(found: Iterable[str]) -> tuple[str, ...]:
    """Drop what is too short, or a number, to be told from other words; the longest first."""
    kept = {each.strip().lower() for each in found}
    return tuple(sorted((each for each in kept if _is_name(each)), key=lambda each: (-len(each), each)))


def _is_name(text: str) -> bool:
    return len(text) >= SHORTEST_NAME and re.fullmatch(r"[\w.$-]*[^\W\d_][\w.$-]*", text) is not None


def _secrets(variables: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the values of variables that are named like a secret, the machine's and the cells', longest first."""
    found = {value for name, value in variables if SECRET_VARIABLE.search(name) and len(value) >= SHORTEST_SECRET}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def _users(environ: Mapping[str, str]) -> list[str]:
    found = [environ.get(name, "") for name in USER_VARIABLES] + [Path.home().name]
    with contextlib.suppress(OSError, KeyError, ImportError):  # a container's number without a name
        found.append(getpass.getuser())
    return found


def _owner(folder: Path) -> list[str]:
    try:
        return [folder.owner()]
    except (OSError, KeyError, NotImplementedError):
        return []  # no such folder, a number without a name, or Windows


def _hosts(environ: Mapping[str, str]) -> list[str]:
    """Return this machine's names, whole and without their domain; no name server is asked."""
    whole = [socket.gethostname(), *(environ.get(name, "") for name in HOST_VARIABLES)]
    whole += [node for name in NODE_LISTS for node in slurm_nodes(environ.get(name, ""))]
    return [*whole, *(name.partition(".")[0] for name in whole)]


def _index_hosts(environ: Mapping[str, str]) -> list[str]:
    """Return the hosts of the indexes, page of links and proxy that are configured; addresses go as addresses."""
    settings = _pip()
    text = [settings.get(name, "") for name in INDEX_SETTINGS] + [environ.get(name, "") for name in INDEX_VARIABLES]
    found = [_host_of(word) for word in " ".join(text).split()]
    return [host for host in found if host and not is_public(host)]


def _host_of(word: str) -> str:
    try:
        return urlsplit(word if "://" in word else f"//{word}").hostname or "" if not word.startswith("/") else ""
    except ValueError:
        return ""


def _pip() -> Mapping[str, str]:
    try:
        return pip_settings()
    except InfrastructureError:
        return {}  # without pip there is no configuration of pip to hide


def _packages(run: RunRecord) -> set[str]:
    return {name for cell in run.cells for name in (*cell.versions, *cell.pins)}
