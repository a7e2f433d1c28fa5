"""What is private, what this machine adds to it, and the names and hosts that are never private."""

from __future__ import annotations

import contextlib
import functools
import getpass
import keyword
import os
import re
import socket
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from harness.redact.paths import path_placeholders

_ALLOWLIST = tomllib.loads(Path(__file__).with_name("allowlist.toml").read_text(encoding="utf-8"))
PUBLIC_HOSTS = tuple(_ALLOWLIST["hosts"])
COMMON_WORDS = frozenset(_ALLOWLIST["words"]) | frozenset(keyword.kwlist)


def is_public(host: str) -> bool:
    """Tell whether a host is well known, or a subdomain of one that is."""
    return any(host == known or host.endswith(f".{known}") for known in PUBLIC_HOSTS)


USER_VARIABLES = ("USER", "LOGNAME", "USERNAME", "SUDO_USER", "SLURM_JOB_USER")
HOST_VARIABLES = ("HOSTNAME", "HOST", "COMPUTERNAME", "SLURMD_NODENAME", "SLURM_SUBMIT_HOST")
NODE_LISTS = ("SLURM_JOB_NODELIST", "SLURM_NODELIST")
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
SECRET_VARIABLE = re.compile(r"(?:TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY)(?:_ID)?$", re.IGNORECASE)
SHORTEST_NAME = 3
SHORTEST_SECRET = 6
MOST_NODES = 512


@dataclass(frozen=True)
class Private:
    """What is private about a machine and a run on it.

    ``packages``, ``versions`` and ``words`` are public: a user or host of the same name is replaced only where a name
    must stand, and ``10.3.9.90`` is kept if it is a version.
    """

    paths: tuple[tuple[str, str], ...] = ()  # path, placeholder
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()  # UUIDs
    packages: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()  # lower case
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @functools.cached_property
    def allowed_words(self) -> frozenset[str]:
        """Return the words that are kept on their own, even if a user or host has that name."""
        return COMMON_WORDS | self.words | self.packages

    def joined(self, other: Private) -> Private:
        """Return what is private according to either; the placeholders of ``other`` win."""
        return Private(
            paths=tuple({**dict(self.paths), **dict(other.paths)}.items()),
            users=_longest_first({*self.users, *other.users}),
            hosts=_longest_first({*self.hosts, *other.hosts}),
            gpus=tuple(dict.fromkeys((*self.gpus, *other.gpus))),
            packages=self.packages | other.packages,
            versions=self.versions | other.versions,
            words=self.words | other.words,
            secrets=_longest_first({*self.secrets, *other.secrets}),
        )


def of_machine(environ: Mapping[str, str] = os.environ) -> Private:
    """Describe this machine: home and temporary folder, users, host names, index hosts, secrets in variables."""
    folders = ((Path.home(), "~"), (Path(tempfile.gettempdir()), "<tmp>"))
    return Private(
        paths=path_placeholders(folders),
        users=as_names(_users(environ)),
        hosts=as_names([*_hosts(environ), *index_hosts(environ.get(name, "") for name in INDEX_VARIABLES)]),
        secrets=secrets_in(environ.items()),
    )


def as_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names among texts, in lower case, longest first; numbers and very short texts are left out."""
    return _longest_first({name for text in texts if _is_name(name := text.strip().lower())})


def owner_of(path: Path) -> tuple[str, ...]:
    """Return the user to whom a file or folder belongs; empty if it does not exist or has no named owner."""
    try:
        return as_names([path.owner()])
    except (OSError, KeyError, NotImplementedError):
        return ()  # no such folder, a number without a name, or Windows


def index_hosts(settings: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts in settings that hold addresses separated by spaces; public hosts are left out."""
    found = [_host_of(word) for text in settings for word in text.split()]
    return as_names(host for host in found if host and not is_public(host))


def secrets_in(variables: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the values of variables whose names are those of secrets, longest first."""
    return _longest_first(
        {value for name, value in variables if SECRET_VARIABLE.search(name) and len(value) >= SHORTEST_SECRET}
    )


def slurm_nodes(text: str) -> tuple[str, ...]:
    """Expand a list of nodes: ``gpu-a[01-03,7],login1`` → four names; at most ``MOST_NODES``."""
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


def _longest_first(texts: set[str]) -> tuple[str, ...]:
    return tuple(sorted(texts, key=lambda each: (-len(each), each)))


def _is_name(text: str) -> bool:
    return len(text) >= SHORTEST_NAME and re.fullmatch(r"[\w.$-]*[^\W\d_][\w.$-]*", text) is not None


def _users(environ: Mapping[str, str]) -> list[str]:
    found = [environ.get(name, "") for name in USER_VARIABLES] + [Path.home().name]
    with contextlib.suppress(OSError, KeyError, ImportError):  # a container's number without a name
        found.append(getpass.getuser())
    return found


def _hosts(environ: Mapping[str, str]) -> list[str]:
    """Return this machine's names, with and without their domain; no name server is asked."""
    whole = [socket.gethostname(), *(environ.get(name, "") for name in HOST_VARIABLES)]
    whole += [node for name in NODE_LISTS for node in slurm_nodes(environ.get(name, ""))]
    return [*whole, *(name.partition(".")[0] for name in whole)]


def _host_of(word: str) -> str:
    if word.startswith("/"):
        return ""
    try:
        return urlsplit(word if "://" in word else f"//{word}").hostname or ""
    except ValueError:
        return ""
