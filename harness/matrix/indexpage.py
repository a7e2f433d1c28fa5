"""One package's page on the index, read for upload dates and yanked marks; anything unreadable means unknown."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
TIMEOUT_SECONDS = 15.0
SIZE_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True)
class IndexFile:
    """One file of a release: when it was uploaded, and why it was yanked (empty when no reason was given)."""

    version: Version
    uploaded: datetime | None
    yanked: str | None


def fetch(index_url: str, package: str, cert: str | None) -> tuple[IndexFile, ...]:
    """Read one package's page; empty when the index does not answer in a form that is known.

    Args:
        index_url: Base of a simple index (PEP 503, PEP 691); a user and password in it are sent as basic authorization.
        package: Normalized name.
        cert: File of certificates to trust; None for what the TLS library finds (``SSL_CERT_FILE``).
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
            return parse(text, as_json="json" in answer.headers.get_content_type())
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return ()  # the list of versions comes from pip; the page only adds to it


def parse(text: str, *, as_json: bool) -> tuple[IndexFile, ...]:
    """Read the page: PEP 691 JSON, or PEP 503 HTML, where some mirrors add the upload time.

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
        yield from _file(str(entry.get("filename")), entry.get("upload-time"), reason)


class _Links(HTMLParser):
    """Collects the links of a page as (file name, attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the file that a link points to; its text may be shortened by a mirror."""
        values = dict(attrs)
        if tag == "a" and (href := values.get("href")):
            self.found.append((unquote(urlsplit(href).path.rpartition("/")[2]), values))


def _html_files(text: str) -> Iterator[IndexFile]:
    links = _Links()
    links.feed(text)
    for name, attributes in links.found:
        reason = (attributes["data-yanked"] or "") if "data-yanked" in attributes else None
        yield from _file(name, attributes.get("data-upload-time"), reason)


def _file(name: str, uploaded: str | None, yanked: str | None) -> Iterator[IndexFile]:
    try:
        version = parse_wheel_filename(name)[1] if name.endswith(".whl") else parse_sdist_filename(name)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return  # eggs and installers of old days
    yield IndexFile(version, _time(uploaded), yanked)


def _time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
