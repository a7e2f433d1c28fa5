"""Translate the user's pip configuration to arguments and variables of uv."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from harness.matrix.pip import INSTALL_SECTIONS, read_settings

TRANSLATIONS = {  # pip's setting -> the sentence for the user, and the variables of uv with the same meaning
    "index-url": ("the index {}", ("UV_DEFAULT_INDEX",)),
    "trusted-host": ("hosts trusted without a certificate: {}", ("UV_INSECURE_HOST",)),
    "cert": ("certificates from {}", ("SSL_CERT_FILE",)),
    "client-cert": ("the client certificate {}", ("SSL_CLIENT_CERT",)),
    "proxy": ("the proxy {}", ("HTTP_PROXY", "HTTPS_PROXY")),
    "timeout": ("{} seconds for an answer of the index", ("UV_HTTP_TIMEOUT",)),
    "retries": ("{} retries", ("UV_HTTP_RETRIES",)),
    "keyring-provider": ("passwords from keyring ({})", ("UV_KEYRING_PROVIDER",)),
}
UV_VARIABLES = {  # pip's setting -> variables of the user with the same meaning; if one is set, it wins
    **{name: variables for name, (_, variables) in TRANSLATIONS.items()},
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
    "proxy": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
}
IRRELEVANT = {  # the output of pip and the place of its installations: a resolution does not depend on them
    "break-system-packages",
    "cache-dir",
    "config-file",
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
class UvSettings:
    """Settings with which uv uses the indexes of pip.

    Attributes:
        args: command-line arguments.
        env: variables. Addresses of indexes are here, as they may have a password and arguments end up in logs.
        applied: sentences for ``harness doctor`` about translated settings, without passwords.
        dropped: sentences about settings that cannot be translated.
    """

    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    applied: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Translation:
    """The translation of one setting; without arguments and variables the setting is dropped."""

    sentence: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


def translate(
    settings: Mapping[str, str], own: Mapping[str, str] | None = None, exists: Callable[[str], bool] = os.path.exists
) -> UvSettings:
    """Translate pip's settings.

    Args:
        settings: pip's options without dashes: ``{"index-url": "https://…", "find-links": "/wheels /more", …}``.
        own: the environment that uv will inherit. A variable of uv in it wins over pip's setting.
        exists: returns whether a local folder exists; uv refuses a missing one, pip does not.
    """
    own = own or {}
    parts: list[_Translation] = []
    for name, value in sorted(settings.items()):
        winner = next((variable for variable in UV_VARIABLES.get(name, ()) if own.get(variable)), None)
        if winner is None:
            parts += _translate(name, value, exists)
        elif own[winner] != value:
            parts.append(_Translation(f"pip's {name} is not applied: {winner} is set"))

    if not {"cert", "client-cert"} & settings.keys() and not own.get("SSL_CERT_FILE"):
        parts.append(_Translation("certificates come from the system's store", env=(("UV_SYSTEM_CERTS", "1"),)))
    used = [part for part in parts if part.args or part.env]
    return UvSettings(
        args=tuple(argument for part in used for argument in part.args),
        env=tuple(item for part in used for item in part.env if not own.get(item[0])),
        applied=tuple(part.sentence for part in used),
        dropped=tuple(part.sentence for part in parts if part not in used and part.sentence),
    )


def _translate(name: str, value: str, exists: Callable[[str], bool]) -> list[_Translation]:
    if name in TRANSLATIONS:
        sentence, variables = TRANSLATIONS[name]
        value = " ".join(value.split())
        if name == "proxy" and "://" not in value:
            value = f"http://{value}"
        return [
            _Translation(sentence.format(hide_password(value)), env=tuple((variable, value) for variable in variables))
        ]

    match name:
        case "extra-index-url":
            return _extra_indexes(value.split(), exists)
        case "find-links":
            return [_find_links(location, exists) for location in value.split()]
        case "no-index" if value.lower() in {"1", "true", "yes", "on"}:
            return [_Translation("no index at all, only find-links", args=("--no-index",))]
        case "no-binary" | "only-binary":
            packages = value.replace(",", " ").split()
            return [_Translation(f"{name} {package}", args=(f"--{name}", package)) for package in packages]

    return _untranslated(name, value)


def _untranslated(name: str, value: str) -> list[_Translation]:
    if name in IRRELEVANT or value.lower() in {"0", "false", "no", "off"}:
        return []
    reasons = {"pre": "a matrix names its pre-releases", "constraint": "the pins of the matrix replace it"}
    return [_Translation(f"pip's {name} is not applied: {reasons.get(name, 'uv has no such setting')}")]


def _extra_indexes(addresses: list[str], exists: Callable[[str], bool]) -> list[_Translation]:
    """Translate the extra indexes; pip gives all indexes the same priority, as uv does with ``unsafe-best-match``."""
    missing = [address for address in addresses if not _exists(address, exists)]
    found = [_as_url(address) for address in addresses if address not in missing]
    parts = [_Translation(f"the extra index {address} is not applied: there is no such folder") for address in missing]
    if found:
        variables = (("UV_INDEX", " ".join(found)), ("UV_INDEX_STRATEGY", "unsafe-best-match"))
        listed = ", ".join(hide_password(address) for address in found)
        parts.append(_Translation(f"extra indexes, with the priority of the main one: {listed}", env=variables))
    return parts


def _find_links(location: str, exists: Callable[[str], bool]) -> _Translation:
    location = os.path.expanduser(location)
    if not _exists(location, exists):
        return _Translation(f"find-links {location} is not applied: there is no such folder")
    absolute = location if "://" in location else os.path.abspath(location)
    return _Translation(f"find-links {hide_password(absolute)}", args=("--find-links", absolute))


def _exists(location: str, exists: Callable[[str], bool]) -> bool:
    folder = local_folder(location)
    return folder is None or exists(folder)


def local_folder(location: str) -> str | None:
    """Return the folder of a path or a ``file:`` URL, None for an address on the network."""
    if location.startswith("file:"):
        return unquote(urlsplit(location).path)
    return None if "://" in location else location


def _as_url(location: str) -> str:
    return location if "://" in location or location.startswith("file:") else Path(location).absolute().as_uri()


def hide_password(address: str) -> str:
    """Replace user and password of an address."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", address)


def read_uv_settings() -> UvSettings:
    """Read and translate the configuration of this interpreter's pip, ``PIP_*`` variables included.

    Raises:
        InfrastructureError: pip does not run, or rejects its configuration.
    """
    return translate(read_settings(INSTALL_SECTIONS), os.environ)
