"""Translate the user's pip configuration to what uv understands, and say what was carried and what was not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from harness.matrix.pip import INSTALL_SECTIONS, read_settings

OWN = {  # pip's setting -> the uv variables that say the same and win, because they were written for uv
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "retries": ("UV_HTTP_RETRIES",),
    "keyring-provider": ("UV_KEYRING_PROVIDER",),
}
AS_VARIABLES = {  # pip's setting -> the sentence for the user, and the variables that tell uv the same
    "index-url": ("the index {}", ("UV_DEFAULT_INDEX",)),
    "trusted-host": ("hosts trusted without a certificate: {}", ("UV_INSECURE_HOST",)),
    "cert": ("certificates from {}", ("SSL_CERT_FILE",)),
    "client-cert": ("the client certificate {}", ("SSL_CLIENT_CERT",)),
    "proxy": ("the proxy {}", ("HTTP_PROXY", "HTTPS_PROXY")),
    "timeout": ("{} seconds for an answer of the index", ("UV_HTTP_TIMEOUT",)),
    "retries": ("{} retries", ("UV_HTTP_RETRIES",)),
    "keyring-provider": ("passwords from keyring, by {}", ("UV_KEYRING_PROVIDER",)),
}
HARMLESS = {  # how pip looks and where it installs: nothing that a resolution depends on
    "break-system-packages",
    "cache-dir",
    "disable-pip-version-check",
    "log",
    "no-cache-dir",
    "no-color",
    "no-input",
    "no-python-version-warning",
    "no-warn-script-location",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "root-user-action",
    "user",
    "verbose",
}


@dataclass(frozen=True)
class Carried:
    """What uv is given so that it looks where pip looks.

    Index addresses go by ``env``, because they may hold a password and arguments end up in logs. ``carried`` and
    ``dropped`` are sentences for ``harness doctor``, passwords blanked.
    """

    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    carried: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """The translation of one setting; a part with neither arguments nor variables is a dropped one."""

    sentence: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


def translate(
    settings: Mapping[str, str], own: Mapping[str, str] | None = None, exists: Callable[[str], bool] = os.path.exists
) -> Carried:
    """Translate pip's settings, named as pip names its options, without the dashes.

    Args:
        settings: ``{"index-url": "https://…", "find-links": "/wheels /more", …}``.
        own: the environment that uv will inherit. A variable in it that means the same as a setting wins.
        exists: tells whether a local folder is there; uv refuses a missing one, pip does not.
    """
    own = own or {}
    parts: list[_Part] = []
    for name, value in sorted(settings.items()):
        winner = next((variable for variable in OWN.get(name, ()) if own.get(variable)), None)
        if winner is None:
            parts += _translate(name, value, exists)
        elif own[winner] != value:
            parts.append(_Part(f"pip's {name} gives way to {winner}, which is set for uv"))
    if not {"cert", "client-cert"} & settings.keys() and not own.get("SSL_CERT_FILE"):
        parts.append(_Part("certificates come from the system's store", env=(("UV_SYSTEM_CERTS", "1"),)))
    kept = [part for part in parts if part.args or part.env]
    return Carried(
        args=tuple(argument for part in kept for argument in part.args),
        env=tuple(item for part in kept for item in part.env if not own.get(item[0])),
        carried=tuple(part.sentence for part in kept),
        dropped=tuple(part.sentence for part in parts if part not in kept and part.sentence),
    )


def _translate(name: str, value: str, exists: Callable[[str], bool]) -> list[_Part]:
    if name in AS_VARIABLES:
        sentence, variables = AS_VARIABLES[name]
        value = _with_scheme(value) if name == "proxy" else " ".join(value.split())
        return [_Part(sentence.format(blank(value)), env=tuple((variable, value) for variable in variables))]
    match name:
        case "extra-index-url":
            return _extra_indexes(value.split(), exists)
        case "find-links":
            return [_find_links(place, exists) for place in value.split()]
        case "no-index" if _true(value):
            return [_Part("no index at all, only find-links", args=("--no-index",))]
        case "no-binary" | "only-binary":
            packages = value.replace(",", " ").split()
            return [_Part(f"{name} {package}", args=(f"--{name}", package)) for package in packages]
    return _not_carried(name, value)


def _not_carried(name: str, value: str) -> list[_Part]:
    if name in HARMLESS or value.lower() in {"0", "false", "no", "off"}:
        return []
    reasons = {"pre": "a matrix names its pre-releases", "constraint": "the pins of the matrix are the constraints"}
    return [_Part(f"pip's {name} is not carried: {reasons.get(name, 'uv has nothing that means the same')}")]


def _extra_indexes(addresses: list[str], exists: Callable[[str], bool]) -> list[_Part]:
    """Give uv all indexes at once; pip holds them equal, which uv calls ``unsafe-best-match``."""
    missing = [address for address in addresses if not _there(address, exists)]
    found = [_as_address(address) for address in addresses if address not in missing]
    parts = [_Part(f"the extra index {address} is not carried: there is no such folder") for address in missing]
    if found:
        variables = (("UV_INDEX", " ".join(found)), ("UV_INDEX_STRATEGY", "unsafe-best-match"))
        words = ", ".join(blank(address) for address in found)
        parts.append(_Part(f"extra indexes, equal to the main one: {words}", env=variables))
    return parts


def _find_links(place: str, exists: Callable[[str], bool]) -> _Part:
    place = os.path.expanduser(place)
    if not _there(place, exists):
        return _Part(f"find-links {place} is not carried: there is no such folder")
    absolute = place if "://" in place else os.path.abspath(place)
    return _Part(f"find-links {blank(absolute)}", args=("--find-links", absolute))


def _there(place: str, exists: Callable[[str], bool]) -> bool:
    folder = local_folder(place)
    return folder is None or exists(folder)


def local_folder(place: str) -> str | None:
    """Return the folder that a path or a ``file:`` address names, None for anything on the network."""
    if place.startswith("file:"):
        return unquote(urlsplit(place).path)
    return None if "://" in place else place


def _with_scheme(address: str) -> str:
    return address if "://" in address else f"http://{address}"


def _as_address(place: str) -> str:
    return place if "://" in place or place.startswith("file:") else Path(place).absolute().as_uri()


def _true(value: str) -> bool:
    return value.lower() in {"1", "true", "yes", "on"}


def blank(address: str) -> str:
    """Blank user and password of an address."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", address)


def read() -> Carried:
    """Read and translate pip's configuration as this interpreter sees it, ``PIP_*`` variables included.

    Raises:
        InfrastructureError: pip does not run, or rejects its configuration.
    """
    return translate(read_settings(INSTALL_SECTIONS), os.environ)
