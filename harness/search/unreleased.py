"""A cell without a resolution because it names a release that nobody offers: a mistake, and no answer of a commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from harness.envs.bundle.stored import opened
from harness.envs.lock import NO_VERSION, Lock, Unsolvable
from harness.envs.places import Places
from harness.errors import ConfigError
from harness.matrix.cell import Cell, Pin
from harness.matrix.model import Matrix
from harness.matrix.places import short
from harness.matrix.plan import Outside
from harness.matrix.releases import list_releases


def insist_on_releases(
    cell: Cell, lock: Lock | Unsolvable, matrix: Matrix, places: Places, typed: Sequence[str] = ()
) -> None:
    """Refuse a cell one of whose pinned releases no index offers; any other reason is left to whoever asks.

    Args:
        cell: the cell as it was asked for.
        lock: what the resolver said; the index is asked only about what it did not find.
        matrix: whose ``as_of`` counts, and where a pin was written that was not typed.
        places: where lists of releases are kept.
        typed: each ``PACKAGE=VERSION`` of ``--with``.

    Raises:
        ConfigError: there is no such release, or no such package; the nearest ones are named.
        InfrastructureError: the index does not answer.
    """
    if isinstance(lock, Lock) or lock.network or opened() is not None:
        return
    missing = {str(canonicalize_name(one or two)) for one, two in NO_VERSION.findall(lock.sentence)}
    there = {str(canonicalize_name(text.partition("=")[0])): text for text in typed}
    for pin in cell.pins:
        if pin.package in missing and pin.requirement.startswith(f"{pin.package}=="):
            where = f"--with {there[pin.package]}" if pin.package in there else f"{short(matrix.path)}, {pin.package}"
            _offered(pin, where, matrix, places)


def _offered(pin: Pin, where: str, matrix: Matrix, places: Places) -> None:
    """Ask the index for one release.

    Raises:
        ConfigError: it has none of this number.
    """
    resolver = replace(
        Outside(matrix, places.releases).resolver(),
        releases=lambda name: list_releases([name], places.releases, matrix.packages).releases[name],
    )
    try:
        resolver(pin.package, f"=={pin.requirement.partition('==')[2]}")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
