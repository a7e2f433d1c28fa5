"""The releases of a package according to the user's pip, with upload times and yanked marks of the index."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from harness.errors import ConfigError, InfrastructureError
from harness.matrix.answer_cache import AnswerCache, format_age
from harness.matrix.expression import label_version
from harness.matrix.paths import nearest
from harness.matrix.pip import INDEX_SECTIONS, read_settings, run_pip

# The page is read here and not by pypi-simple. That package takes the name of a file from the text of its link, which
# mirrors shorten, leaves out their upload times, and reads certificates of certifi instead of the system's, so that an
# index that pip reaches would have no dates. With requests and Beautiful Soup it also takes half a second to import.
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
TIMEOUT_SECONDS = 15.0
SIZE_LIMIT_BYTES = 64 << 20
DEFAULT_INDEX = "https://pypi.org/simple"


@dataclass(frozen=True)
class IndexFile:
    """One file of a release: its upload time, and why it was yanked (empty: without a reason; None: not yanked)."""

    version: Version
    uploaded: datetime | None
    yanked: str | None


def fetch_page(index_url: str, package: str, cert: str | None) -> tuple[IndexFile, ...]:
    """Return the files of a package's page; empty if the page cannot be read.

    Args:
        index_url: URL of a simple index (PEP 503, PEP 691); its user and password are sent as basic authorization.
        package: Normalized name.
        cert: File of trusted certificates; None for those of the TLS library (``SSL_CERT_FILE``, the system's store).
    """
    parts = urlsplit(index_url)
    if parts.scheme not in {"http", "https"}:
        return ()
    host = parts.netloc.rpartition("@")[2]
    address = urlunsplit((parts.scheme, host, f"{parts.path.rstrip('/')}/{package}/", "", ""))
    request = urllib.request.Request(address, headers={"Accept": ACCEPT})  # noqa: S310 - the scheme is checked above
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    try:
        trust = ssl.create_default_context(cafile=cert)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=trust) as answer:  # noqa: S310 - as above
            text = answer.read(SIZE_LIMIT_BYTES).decode()
            return parse_page(text, as_json="json" in answer.headers.get_content_type())
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return ()  # the versions come from pip; the page only adds upload times and yanked marks


def parse_page(text: str, *, as_json: bool) -> tuple[IndexFile, ...]:
    """Read a page in JSON (PEP 691) or HTML (PEP 503), to which some mirrors add upload times.

    Raises:
        ValueError: the text is not JSON.
    """
    return tuple(_json_files(text) if as_json else _html_files(text))


def _json_files(text: str) -> Iterator[IndexFile]:
    page = json.loads(text)
    files = page.get("files") if isinstance(page, dict) else None
    for entry in files if isinstance(files, list) else ():
        yanked = entry.get("yanked", False)
        reason = None if yanked is False else "" if yanked is True else str(yanked)
        yield from _index_file(str(entry.get("filename")), entry.get("upload-time"), reason)


class _Links(HTMLParser):
    """Collect the links of a page as (file name, attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the name of the file from the address of a link; a mirror may shorten its text."""
        values = dict(attrs)
        if tag == "a" and (href := values.get("href")):
            self.found.append((unquote(urlsplit(href).path.rpartition("/")[2]), values))


def _html_files(text: str) -> Iterator[IndexFile]:
    links = _Links()
    links.feed(text)
    for name, attributes in links.found:
        reason = (attributes["data-yanked"] or "") if "data-yanked" in attributes else None
        yield from _index_file(name, attributes.get("data-upload-time"), reason)


def _index_file(name: str, uploaded: str | None, yanked: str | None) -> Iterator[IndexFile]:
    try:
        version = parse_wheel_filename(name)[1] if name.endswith(".whl") else parse_sdist_filename(name)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return  # an egg or an installer
    yield IndexFile(version, _upload_time(uploaded), yanked)


def _upload_time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Release:
    """One release: its version, the upload time of its first file (None: unknown), why it was yanked (None: not)."""

    version: Version
    uploaded: datetime | None = None
    yanked: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether it is neither yanked nor a pre-release."""
        return self.yanked is None and not self.version.is_prerelease


@dataclass(frozen=True)
class Listing:
    """Releases by package, ascending by version (not by date), and warnings for the user."""

    releases: Mapping[str, tuple[Release, ...]]
    warnings: tuple[str, ...] = ()


def list_releases(packages: Iterable[str], folder: Path, known: Iterable[str] = ()) -> Listing:
    """Return the releases of several packages, asked at once; answers are cached for an hour.

    Args:
        packages: Names on the index.
        folder: The folder of the cache.
        known: Names from which the nearest is suggested if a package does not exist.

    Raises:
        ConfigError: no index has a package of this name.
        InfrastructureError: the index cannot be reached and no answer is cached.
    """
    names = tuple(dict.fromkeys(canonicalize_name(package) for package in packages))
    answers = AnswerCache(folder)
    suggestions = tuple(known)

    def ask(name: str) -> tuple[tuple[Release, ...], str | None]:
        answer = answers.ask(_cache_key(name), lambda: _encode(fetch_releases(name, suggestions)))
        if answer.stale is None:
            return _decode(answer.value), None
        warning = f"the package index does not answer; the list of {name} releases is {format_age(answer.stale)} old"
        return _decode(answer.value), warning

    with ThreadPoolExecutor(max_workers=max(1, min(8, len(names)))) as pool:
        found = dict(zip(names, pool.map(ask, names), strict=True))
    return Listing(
        {name: releases for name, (releases, _) in found.items()},
        tuple(warning for _, warning in found.values() if warning),
    )


def cached_releases(package: str, folder: Path) -> tuple[tuple[Release, ...], float] | None:
    """Return the releases of a cached answer, and its age in seconds (0 within the first hour); None without one."""
    answer = AnswerCache(folder).cached(_cache_key(package))
    return None if answer is None else (_decode(answer.value), answer.stale or 0.0)


def _cache_key(package: str) -> str:
    """Return the key of a question: the package, this Python, and the indexes of the environment."""
    sources = [os.environ.get(name, "") for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")]
    return " ".join(("releases", package, *map(str, sys.version_info[:2]), *sources))


def fetch_releases(package: str, known: Iterable[str] = ()) -> tuple[Release, ...]:
    """Return one package's releases from the index, ascending by version.

    The releases come from pip with the user's settings (indexes, mirrors, find-links). pip hides yanked releases: these
    and the upload times come from the page of the index.

    Raises:
        ConfigError: no index has a package of this name.
        InfrastructureError: the index cannot be reached.
    """
    settings = read_settings(INDEX_SECTIONS)
    versions = _pip_versions(package, known)
    files = fetch_page(settings.get("index-url", DEFAULT_INDEX), package, settings.get("cert"))
    return combine(versions, files)


def combine(versions: Iterable[Version], files: Iterable[IndexFile]) -> tuple[Release, ...]:
    """Join the versions of pip with the files of the page; a release is yanked if all its files are."""
    by_version: dict[Version, list[IndexFile]] = {}
    for file in files:
        by_version.setdefault(file.version, []).append(file)
    listed = set(versions)
    yanked = {version for version, group in by_version.items() if all(file.yanked is not None for file in group)}
    return tuple(_release(version, by_version.get(version, [])) for version in sorted(listed | yanked))


def _release(version: Version, files: list[IndexFile]) -> Release:
    dates = [file.uploaded for file in files if file.uploaded is not None]
    reasons = [file.yanked for file in files if file.yanked is not None]
    yanked = reasons[0] if files and len(reasons) == len(files) else None
    return Release(version, min(dates, default=None), yanked)


def _pip_versions(package: str, known: Iterable[str]) -> tuple[Version, ...]:
    with tempfile.TemporaryDirectory(prefix="harness-pip-") as folder:
        log = Path(folder, "log.txt")
        arguments = ("index", "versions", package, "--json", "--pre", "--retries", "2", "--no-input", "--log", str(log))
        done = run_pip(*arguments)
        unreachable = _unreachable(log)

    if unreachable:
        # pip continues with the other sources, and its list may lack releases without a message
        raise InfrastructureError(f"the package index does not answer for {package} ({unreachable}).")
    if done.returncode:
        near = nearest(package, (name for name in known if name != package))
        hint = f'; did you mean "{near}"?' if near else "."
        raise ConfigError(f'no index in pip\'s configuration has a release of "{package}" for this Python{hint}')

    found = json.loads(done.stdout)["versions"]
    return tuple(version for text in found if (version := label_version(text)) is not None)


def _unreachable(log: Path) -> str | None:
    """Return why pip left a source out, from its log; None if every source answered, with or without the package."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    for line in text.splitlines():
        _, found, rest = line.partition("Could not fetch URL ")
        if found and "404 Client Error" not in rest:
            return rest.partition(": ")[2].removesuffix(" - skipping") or "no reason given"
    return None


def _encode(releases: Iterable[Release]) -> list[list[Any]]:
    return [[str(one.version), one.uploaded and one.uploaded.isoformat(), one.yanked] for one in releases]


def _decode(rows: Iterable[tuple[str, str | None, str | None]]) -> tuple[Release, ...]:
    return tuple(
        Release(Version(version), datetime.fromisoformat(uploaded) if uploaded else None, yanked)
        for version, uploaded, yanked in rows
    )
