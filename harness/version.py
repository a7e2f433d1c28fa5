"""The installed version of the harness."""

from __future__ import annotations

from importlib import metadata

DISTRIBUTION = "hf-regression-matrix"


def harness_version() -> str:
    """Return the installed version, or ``checkout`` when the harness runs from a checkout that is not installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "checkout"
