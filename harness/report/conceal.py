"""Conceal what is private in a text that leaves the machine: text → text, given the description; pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from harness.report.addresses import DOMAIN, IPV4, domain, hide_parts, ipv4
from harness.report.ordinary import PUBLIC, is_public
from harness.report.paths import redact
from harness.report.private import Private

Found = re.Match[str]
KEEP = "keep"  # the group of what must stay as it is
TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_(?=[A-Za-z]*[A-Z0-9])[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}|"
    r"(?:pypi-|sk-|xox[abprs]-|npm_)(?=[\w-]*[A-Z0-9])[\w-]{16,}|A[KS]IA[0-9A-Z]{12,}|AIza[\w-]{30,}|"
    r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)(?!\w)"
)
# A number, a name of Python and a call are code, not a secret: a script has to run after this.
CODE = r"(?!None\b|True\b|False\b|null\b|\d{1,6}\b|<|(?:[a-z]+_)*tokens?\b|(?:os|self|args)\.|[A-Za-z_][\w.]*[(\[])"
VALUE = CODE + r"[^\s'\"`&,;)\]}<>]+"
SECRETIVE = r"[\w-]*(?:passw(?:or)?d|pwd|api[_-]?key|access[_-]?key(?:[_-]id)?)"
SPECIFIC = r"(?:(?:hf|hub|access|auth|api|github|gh|gitlab|id|refresh|private|pypi|wandb)[_-])token"
KEYED = (
    re.compile(rf"((?i:(?<![\w-])(?:{SECRETIVE}|{SPECIFIC})['\"]?\s*[=:]\s*['\"]?)){VALUE}"),
    re.compile(rf"((?<!\w)(?:[Tt]oken|[A-Z][A-Z0-9_]*_TOKEN)['\"]?(?:=['\"]?|\s*=\s*(?:['\"]|(?=\w*\d)))){VALUE}"),
    re.compile(rf"((?i:(?<![\w-])[\w-]*(?:secret|credentials?)(?:\s*=\s*['\"]?|['\"]\s*:\s*['\"]))){VALUE}"),
    re.compile(rf"((?i:--(?:token|password|api-key|access-key|secret)[ =]['\"]?)){VALUE}"),
    re.compile(rf"((?i:[?&](?:signature|x-amz-[\w-]+|key-pair-id|policy|sig)=)){VALUE}"),
    re.compile(r"(\bBearer\s+)[^\s'\"<>`]+"),
    re.compile(r"((?i:authorization)['\"]?\s*[:=]\s*['\"]?\w+\s+)[^\s'\"<>`]+"),
)
COMMIT = re.compile(r"@[0-9a-f]{40}(?=#|$)")  # tells nobody where the repository lies
WELL_KNOWN = rf"(?:[\w-]+\.)*(?:{'|'.join(map(re.escape, PUBLIC))})(?![\w.-])"  # hosts
EMAIL = re.compile(rf"(?<![\w.+-])(?!git@{WELL_KNOWN})[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{{2,}}(?![\w-])")
# owner@host:folder/name, as git takes it; git@1a2b3c4d is how a commit is called here
SCP = re.compile(rf"(?<![\w.+-])[\w.+-]+@(?!{WELL_KNOWN}|[0-9a-f]{{8}}:)[\w.-]+:(?!//)[\w.~-]*/[^\s'\"<>`|)\]}}\\]*")
URL = r"(?<![\w+.-])(?P<url>[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>`|)\]}\\]*)"
TEMPORARY = re.compile(r"(?<![\w.~>*/:\\-])(?:/private)?/(?:tmp|var/tmp|var/folders/[^/\s]+/[^/\s]+/T)(?=/|(?![\w.-]))")
ROOT = re.compile(r"(?<![\w.~>*/:\\-])/root(?=/|(?![\w.-]))")
LIBRARY = re.compile(r"(?<![\w.>~*-])(?:[A-Za-z]:)?(?:[\\/]+[\w.+@-]+)*[\\/]+lib[\\/]+(python3\.\d+t?[\\/])")
SHARED = r"(?:usr|lib|lib32|lib64|bin|sbin|proc|sys|dev|etc)/"  # the same on every machine
POSIX = r"(?<![\w.~>*/:\\)\]}&;-])/(?!" + SHARED + r")(?:[\w.+@=-]+/)+[\w.+@=-]*"
WINDOWS = r"(?<![\w>\\?])(?:[A-Za-z]:[\\/]+|\\{2,4}[\w.-]+\\+)(?:[\w.+@$-]+[\\/]+)*[\w.+@$-]+"
FILE_NAME = re.compile(r"[\w.+@-]*\.[A-Za-z]\w{0,11}")


def conceal(text: str, private: Private) -> str:
    """Return the text without what is private; a second time changes nothing more.

    ================================================ =============================
    tokens, passwords, ``Bearer``, ``token=``        ``<token>``, ``<secret>``
    an address that is not of a public host          ``<private url>``, with its commit
    a path of the run, the cache, a home, ``/tmp``   ``<run>``, ``<cache>``, ``~``
    any other absolute path                          ``<path>/file.ext``
    UUID or serial of a GPU, MAC and IP addresses    ``<gpu>``, ``<mac>``, ``<ip>``
    host and user names, electronic mail             ``<host>``, ``<user>``, ``<email>``
    ================================================ =============================

    Links to public hosts, trackers, and module paths and versions of the run's packages are kept. A user or a host
    with a name like ``root``, ``test`` or ``transformers`` is hidden only where a name must stand (``user=root``,
    ``root@``), not wherever the word does.
    """
    while (concealed := _once(text, private)) != text:  # what was replaced can lay bare what stood behind it
        text = concealed
    return text


@functools.lru_cache(maxsize=20_000)  # a report says most of its texts many times
def _once(text: str, private: Private) -> str:
    text = _secrets(text, private)
    text = SCP.sub("<private url>", _sub(URL, _url, text, private))
    text = _paths(text, private)
    text = hide_parts(text, private)
    text = _sub(IPV4, functools.partial(ipv4, private=private), text, private)
    text = EMAIL.sub("<email>", text)
    text = _sub(DOMAIN, functools.partial(domain, private=private), text, private)
    return _names(text, private)


def _secrets(text: str, private: Private) -> str:
    for value in private.secrets:
        text = text.replace(value, "<secret>")
    text = TOKENS.sub("<token>", text)
    for pattern in KEYED:
        text = pattern.sub(r"\1<secret>", text)
    return text


def _url(found: Found) -> str:
    """Keep a public link, without a password in it; hide any other."""
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


def _paths(text: str, private: Private) -> str:
    if "/" not in text and "\\" not in text:
        return text
    text = redact(text, dict(private.paths))
    text = LIBRARY.sub(r"\1", text)
    text = ROOT.sub("~", TEMPORARY.sub("<tmp>", text))
    return _sub(f"(?:{POSIX}|{WINDOWS})", _path, text, private)


def _path(found: Found) -> str:
    last = re.split(r"[\\/]+", found[0])[-1]
    end = "." if last.endswith(".") else ""
    name = last.rstrip(".")
    return f"<path>/{name}{end}" if FILE_NAME.fullmatch(name) else f"<path>{end}"


def _names(text: str, private: Private) -> str:
    for names, stand_in in ((private.hosts, "<host>"), (private.users, "<user>")):
        plain = [name for name in names if name not in private.ordinary]
        tail = r"(?:\.[A-Za-z][\w-]*)*" if stand_in == "<host>" else ""
        if plain:
            told = "|".join(map(re.escape, plain))
            text = _sub(rf"(?i:(?<!\w)(?:{told})(?!\w)){tail}", functools.partial(_put, stand_in), text, private)
        for name in set(names) - set(plain):
            text = re.sub(rf"(?i:(?<![\w.-]){re.escape(name)}(?=@[\w<]))", stand_in, text)
            told = r"((?i:\b(?:user|username|user_name|logname|owner|host|hostname)['\"]?\s*[=:]\s*['\"]?))"
            text = re.sub(rf"{told}{re.escape(name)}(?![\w.-])", rf"\1{stand_in}", text)
    return text


def _put(stand_in: str, _: Found) -> str:
    return stand_in


def _sub(pattern: str, replacement: Callable[[Found], str], text: str, private: Private) -> str:
    """Replace a pattern, but for what lies inside a public link, a tracker or a module path of the run's packages."""
    return _pattern(pattern, private.packages).sub(lambda found: found[0] if found[KEEP] else replacement(found), text)


@functools.lru_cache(maxsize=100)
def _pattern(pattern: str, packages: frozenset[str]) -> re.Pattern[str]:
    names = "|".join(map(re.escape, sorted(packages, key=len, reverse=True))) or r"(?!)"
    kept = (
        r"(?<![\w.-])[\w.-]+/[\w.-]+#\d+",  # a tracker
        rf"(?<![\w./\\~>-])(?:{names})(?:/[\w.-]+)+\.py(?::[\w.<>]+)?",
        rf"(?<![\w./\\~>-])(?:{names})(?:\.[A-Za-z_]\w*)+",
    )
    hosts = "|".join(map(re.escape, PUBLIC))
    links = rf"https?://(?:[\w-]+\.)*(?:{hosts})(?![\w.-])[^\s'\"<>`|)\]}}]*"
    whole = () if pattern == URL else (links,)
    return re.compile(f"(?P<{KEEP}>{'|'.join((*whole, *kept))})|{pattern}")
