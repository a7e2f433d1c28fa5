"""The releases that a search may take: what the index lists, or what the open bundle brought along."""

from __future__ import annotations

from packaging.version import Version

from harness.envs.bundle.stored import opened
from harness.envs.places import Places
from harness.errors import ConfigError
from harness.matrix.releases import Listing, Release, list_releases


def released(package: str, places: Places) -> Listing:
    """Return the releases of one package, ascending; a bundle's have no dates.

    Raises:
        ConfigError: no index has the package, or no cell of the bundle varies it.
    """
    bundle = opened()
    if bundle is None:
        return list_releases([package], places.releases)
    labels = {cell.label(package) for cell in bundle.cells() if package in cell.axes}
    if not labels:
        raise ConfigError(f"the bundle holds {package} in one version only: nothing to search")
    return Listing({package: tuple(Release(version) for version in sorted(map(Version, labels)))})
