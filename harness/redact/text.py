"""Redact texts and values: replace what is private in them by placeholders."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.redact.addresses import DOMAIN, IPV4, redact_domain, redact_hardware, redact_ipv4
from harness.redact.paths import redact_paths
from harness.redact.private import PUBLIC_HOSTS, Private, is_public

Found = re.Match[str]
KEEP = "keep"  # the group of what is not replaced
TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_(?=[A-Za-z]*[A-Z0-9])[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}|"
    r"(?:pypi-|sk-|xox[abprs]-|npm_)(?=[\w-]*[A-Z0-9])[\w-]{16,}|A[KS]IA[0-9A-Z]{12,}|AIza[\w-]{30,}|"
    r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)(?!\w)"
)
# Numbers, Python names and calls are code, not secrets: a redacted script must still run.
CODE = r"(?!None\b|True\b|False\b|null\b|\d{1,6}\b|<|(?:[a-z]+_)*tokens?\b|(?:os|self|args)\.|[A-Za-z_][\w.]*[(\[])"
VALUE = CODE + r"[^\s'\"`&,;)\]}<>]+"
CREDENTIAL = r"[\w-]*(?:passw(?:or)?d|pwd|api[_-]?key|access[_-]?key(?:[_-]id)?)"
NAMED_KEY = r"(?:(?:hf|hub|access|auth|api|github|gh|gitlab|id|refresh|private|pypi|wandb)[_-])token"
KEYED = (
    re.compile(rf"((?i:(?<![\w-])(?:{CREDENTIAL}|{NAMED_KEY})['\"]?\s*[=:]\s*['\"]?)){VALUE}"),
    re.compile(rf"((?<!\w)(?:[Tt]oken|[A-Z][A-Z0-9_]*_TOKEN)['\"]?(?:=['\"]?|\s*=\s*(?:['\"]|(?=\w*\d)))){VALUE}"),
    re.compile(rf"((?i:(?<![\w-])[\w-]*(?:secret|credentials?)(?:\s*=\s*['\"]?|['\"]\s*:\s*['\"]))){VALUE}"),
    re.compile(rf"((?i:--(?:token|password|api-key|access-key|secret)[ =]['\"]?)){VALUE}"),
    re.compile(rf"((?i:[?&](?:signature|x-amz-[\w-]+|key-pair-id|policy|sig)=)){VALUE}"),
    re.compile(r"(\bBearer\s+)[^\s'\"<>`]+"),
    re.compile(r"((?i:authorization)['\"]?\s*[:=]\s*['\"]?\w+\s+)[^\s'\"<>`]+"),
)
COMMIT = re.compile(r"@[0-9a-f]{40}(?=#|$)")  # a commit alone does not identify the repository
WELL_KNOWN = rf"(?:[\w-]+\.)*(?:{'|'.join(map(re.escape, PUBLIC_HOSTS))})(?![\w.-])"  # hosts
EMAIL = re.compile(rf"(?<![\w.+-])(?!git@{WELL_KNOWN})[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{{2,}}(?![\w-])")
# owner@host:folder/name, an address of git; git@1a2b3c4d is a version built from a commit
SCP = re.compile(rf"(?<![\w.+-])[\w.+-]+@(?!{WELL_KNOWN}|[0-9a-f]{{8}}:)[\w.-]+:(?!//)[\w.~-]*/[^\s'\"<>`|)\]}}\\]*")
URL = r"(?<![\w+.-])(?P<url>[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>`|)\]}\\]*)"
TEMP_FOLDER = re.compile(
    r"(?<![\w.~>*/:\\-])(?:/private)?/(?:tmp|var/tmp|var/folders/[^/\s]+/[^/\s]+/T)(?=/|(?![\w.-]))"
)
ROOT_HOME = re.compile(r"(?<![\w.~>*/:\\-])/root(?=/|(?![\w.-]))")
PYTHON_LIBRARY = re.compile(r"(?<![\w.>~*-])(?:[A-Za-z]:)?(?:[\\/]+[\w.+@-]+)*[\\/]+lib[\\/]+(python3\.\d+t?[\\/])")
SHARED = r"(?:usr|lib|lib32|lib64|bin|sbin|proc|sys|dev|etc)/"  # the same on every machine
POSIX = r"(?<![\w.~>*/:\\)\]}&;-])/(?!" + SHARED + r")(?:[\w.+@=-]+/)+[\w.+@=-]*"
WINDOWS = r"(?<![\w>\\?])(?:[A-Za-z]:[\\/]+|\\{2,4}[\w.-]+\\+)(?:[\w.+@$-]+[\\/]+)*[\w.+@$-]+"
DOMAIN_TAIL = r"(?:\.[A-Za-z][\w-]*)*"  # of a host name
NAME_KEY = r"((?i:\b(?:user|username|user_name|logname|owner|host|hostname)['\"]?\s*[=:]\s*['\"]?))"
FILE_NAME = re.compile(r"[\w.+@-]*\.[A-Za-z]\w{0,11}")


def redact(text: str, private: Private) -> str:
    """Return the text with private parts replaced; redacting the result again changes nothing.

    =========================================================== =============================
    tokens, passwords, ``Bearer``, ``token=``                   ``<token>``, ``<secret>``
    an address of a host that is not public                     ``<private url>``, its commit
    a path of the run, the cache, a home folder, ``/tmp``       ``<run>``, ``<cache>``, ``~``
    any other absolute path                                     ``<path>/file.ext``
    UUID or serial number of a GPU, MAC and IP addresses        ``<gpu>``, ``<mac>``, ``<ip>``
    host and user names, email addresses                        ``<host>``, ``<user>``, …
    =========================================================== =============================

    Links to public hosts, trackers, and module paths and versions of the run's packages are kept. A user or host named
    ``root``, ``test`` or ``transformers`` is replaced only where a name must stand (``user=root``, ``root@``).
    """
    while (redacted := _once(text, private)) != text:  # a replacement can expose what it was joined to
        text = redacted
    return text


@functools.lru_cache(maxsize=20_000)  # a report repeats most of its texts
def _once(text: str, private: Private) -> str:
    text = _redact_secrets(text, private)
    text = SCP.sub("<private url>", _sub(URL, _redact_url, text, private))
    text = _redact_paths(text, private)
    text = redact_hardware(text, private)
    text = _sub(IPV4, functools.partial(redact_ipv4, private=private), text, private)
    text = EMAIL.sub("<email>", text)
    text = _sub(DOMAIN, functools.partial(redact_domain, private=private), text, private)
    text = _redact_names(text, private.hosts, "<host>", DOMAIN_TAIL, private)
    return _redact_names(text, private.users, "<user>", "", private)


def _redact_secrets(text: str, private: Private) -> str:
    for value in private.secrets:
        text = text.replace(value, "<secret>")
    text = TOKENS.sub("<token>", text)
    for pattern in KEYED:
        text = pattern.sub(r"\1<secret>", text)
    return text


def _redact_url(found: Found) -> str:
    """Keep a public link without its password; replace any other."""
    whole = found["url"]
    address = whole.rstrip(".,;:")
    try:
        parts = urlsplit(address)
        host, scheme = parts.hostname or "", parts.scheme.rpartition("+")[2]
    except ValueError:
        return "<private url>"

    if scheme == "hf":
        return whole
    if scheme in {"http", "https", "ssh", "git"} and is_public(host):
        return re.sub(r"(?<=://)[^/@\s]+@", "", whole)
    commit = COMMIT.search(address)
    return f"<private url>{commit[0] if commit else ''}{whole[len(address) :]}"


def _redact_paths(text: str, private: Private) -> str:
    if "/" not in text and "\\" not in text:
        return text
    text = redact_paths(text, dict(private.paths))
    text = PYTHON_LIBRARY.sub(r"\1", text)
    text = ROOT_HOME.sub("~", TEMP_FOLDER.sub("<tmp>", text))
    return _sub(f"(?:{POSIX}|{WINDOWS})", _redact_path, text, private)


def _redact_path(found: Found) -> str:
    last = re.split(r"[\\/]+", found[0])[-1]
    end = "." if last.endswith(".") else ""
    name = last.rstrip(".")
    return f"<path>/{name}{end}" if FILE_NAME.fullmatch(name) else f"<path>{end}"


def _redact_names(text: str, names: Sequence[str], placeholder: str, tail: str, private: Private) -> str:
    """Replace names and what ``tail`` matches after them; allowed words only where a name must stand."""
    unusual = [name for name in names if name not in private.allowed_words]
    if unusual:
        pattern = rf"(?i:(?<!\w)(?:{'|'.join(map(re.escape, unusual))})(?!\w)){tail}"
        text = _sub(pattern, lambda _: placeholder, text, private)
    for name in set(names) - set(unusual):
        text = re.sub(rf"(?i:(?<![\w.-]){re.escape(name)}(?=@[\w<]))", placeholder, text)
        text = re.sub(rf"{NAME_KEY}{re.escape(name)}(?![\w.-])", rf"\1{placeholder}", text)
    return text


def _sub(pattern: str, replacement: Callable[[Found], str], text: str, private: Private) -> str:
    """Replace a pattern outside public links, trackers and module paths of the run's packages."""
    return _pattern(pattern, private.packages).sub(lambda found: found[0] if found[KEEP] else replacement(found), text)


@functools.lru_cache(maxsize=100)
def _pattern(pattern: str, packages: frozenset[str]) -> re.Pattern[str]:
    names = "|".join(map(re.escape, sorted(packages, key=len, reverse=True))) or r"(?!)"
    kept = (
        r"(?<![\w.-])[\w.-]+/[\w.-]+#\d+",  # a tracker
        rf"(?<![\w./\\~>-])(?:{names})(?:/[\w.-]+)+\.py(?::[\w.<>]+)?",
        rf"(?<![\w./\\~>-])(?:{names})(?:\.[A-Za-z_]\w*)+",
    )
    hosts = "|".join(map(re.escape, PUBLIC_HOSTS))
    links = rf"https?://(?:[\w-]+\.)*(?:{hosts})(?![\w.-])[^\s'\"<>`|)\]}}]*"
    whole = () if pattern == URL else (links,)
    return re.compile(f"(?P<{KEEP}>{'|'.join((*whole, *kept))})|{pattern}")


Value = TypeVar("Value")


def redact_value(value: Value, private: Private) -> Value:
    """Return a value of the same type with every text in it redacted.

    Dataclasses, tuples, lists and mappings are walked, mappings with their keys. An enumeration is not a text.
    """
    return _walk(value, private)  # type: ignore[no-any-return]


def _walk(value: Any, private: Private) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return redact(value, private)
    if isinstance(value, tuple | list):
        return type(value)(_walk(each, private) for each in value)
    if isinstance(value, dict):
        return {_walk(name, private): _walk(each, private) for name, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _walk(getattr(value, each.name), private) for each in fields(value)})
    return value
