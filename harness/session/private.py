"""What is private about a run: paths, users, hosts, GPUs and secrets, from its record and the settings of pip."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from harness.envs.cache_dir import CacheDir
from harness.errors import InfrastructureError
from harness.matrix.paths import install_root
from harness.matrix.pip import INDEX_SECTIONS, read_settings
from harness.redact.paths import path_placeholders
from harness.redact.private import Private, index_hosts, of_machine, owner_of, secrets_in
from harness.store.records import RunRecord
from harness.verdict.signature import import_names, rules

INDEX_SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy")


def private_of(run: RunRecord, folder: Path) -> Private:
    """Return what is private about a run and about this machine.

    Of another machine, only the record of its run is known.
    """
    packages = {name for cell in run.cells for name in (*cell.versions, *cell.pins)}
    known = Private(
        paths=path_placeholders(_paths(run, folder)),
        users=owner_of(folder),
        hosts=index_hosts(_pip_settings().get(name, "") for name in INDEX_SETTINGS),
        gpus=tuple(gpu.uuid for host in (run.host, *(part.host for part in run.parts)) for gpu in host.gpus),
        packages=import_names(packages) | frozenset(packages),
        versions=frozenset(version for cell in run.cells for version in (*cell.versions.values(), *cell.pins.values())),
        words=_rule_words(),
        secrets=secrets_in(pair for cell in run.cells for pair in cell.variables.items()),
    )
    return of_machine().joined(known)


def _paths(run: RunRecord, folder: Path) -> list[tuple[Path, str]]:
    scenarios = {Path(info.nodeid.split("::", 1)[0]).parent for info in run.scenarios}
    return [
        (install_root(), "<harness>"),
        (Path.cwd(), "."),
        *((path, "<scenarios>") for path in sorted(scenarios)),
        (CacheDir.of_user().root, "<cache>"),
        (folder, "<run>"),
    ]


def _pip_settings() -> Mapping[str, str]:
    try:
        return read_settings(INDEX_SECTIONS)
    except InfrastructureError:
        return {}  # without pip there is no pip configuration


@functools.cache
def _rule_words() -> frozenset[str]:
    """Return the words of the signature rules, which are never redacted: a draft needs them."""
    text = " ".join(f"{rule.name} {rule.summary}" for rule in rules()).lower()
    return frozenset(re.findall(r"[a-z]{3,}", text))
