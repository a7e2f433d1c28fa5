"""Read the packages of an environment from a file that describes it: a lock, requirements, a listing; pure."""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from packaging.markers import InvalidMarker, Marker
from packaging.pylock import Package, Pylock, PylockValidationError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.errors import ConfigError
from harness.matrix.cell import Pin

HARNESS = frozenset(  # what the probe installs in every cell, with its dependencies
    {"pytest", "pytest-json-report", "pytest-metadata", "pluggy", "iniconfig", "exceptiongroup", "tomli", "pygments"}
)
INSTALLERS = frozenset({"pip", "uv", "wheel", "conda"})
TORCH_DEPENDENCY = re.compile(r"nvidia-(?!ml-py$)|cuda-|triton$|pytorch-triton")  # pinned by a build of torch
OPTION = re.compile(r"--?[A-Za-z]")
CONDA_EXPORT = re.compile(r"([A-Za-z0-9_.-]+)=([^=\s]+)=(\S+)$")
PIP_BUILD = "pypi_0"  # the build string that conda gives to a package installed by pip
LISTED = re.compile(r"([A-Za-z0-9][\w.-]*)\s+v?(\d\S*)(\s+\S.*)?$")
HEADING = re.compile(r"(Package\s+Version\b.*|[-\s]+)$")
TOML_LOCK = re.compile(r"^\s*\[\[\s*packages?\s*\]\]", re.MULTILINE)
CONDA_ENVIRONMENT = re.compile(r"""^(["']?)dependencies\1\s*:""", re.MULTILINE)
FROM_CONDA = "left out, installed by conda"
FROM_WORKING_COPY = "left out, installed from a working copy"


@dataclass(frozen=True)
class Pinned:
    """The packages of a file.

    Attributes:
        pins: requirements with an exact version or an address.
        open: requirements without an exact version: the resolver decides.
        notes: what was left out or changed, one sentence for each reason.
        conda: packages that were installed by conda, from other builds than those of the index; left out.
    """

    pins: tuple[Pin, ...]
    open: tuple[Pin, ...]
    notes: tuple[str, ...]
    conda: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """One package of a file: its pin, whether the pin is exact, and a note. Without a pin it is left out."""

    pin: Pin | None = None
    exact: bool = True
    reason: str = ""


def read_pinned(text: str, source: str = "the text") -> Pinned:
    """Read the packages of a file.

    ==========================  =================================================================
    form                        recognized by
    ==========================  =================================================================
    ``pylock.toml``             TOML with a list ``packages`` (PEP 751)
    ``uv.lock, poetry.lock``    TOML with a list ``package``
    ``environment.yml``         a YAML mapping with the key ``dependencies``
    a list of packages          anything else: a lock or requirements of pip, ``pip freeze``,
                                ``pip list``, ``conda list``; one package a line
    ==========================  =================================================================

    Args:
        text: the content of the file.
        source: the name of the file, for messages.

    Raises:
        ConfigError: the file is not valid TOML or YAML, or a value is of the wrong type.
    """
    entries = dict(_entries(text.removeprefix("\ufeff"), source))
    reasons: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if entry.reason:
            reasons.setdefault(entry.reason, []).append(name)
    return Pinned(
        pins=tuple(entry.pin for entry in entries.values() if entry.pin and entry.exact),
        open=tuple(entry.pin for entry in entries.values() if entry.pin and not entry.exact),
        notes=tuple(f"{reason}: {', '.join(names)}" for reason, names in reasons.items()),
        conda=tuple(reasons.get(FROM_CONDA, ())),
    )


def _entries(text: str, source: str) -> Iterable[tuple[str, _Entry]]:
    lock = _toml_lock(text, source)
    if lock is not None:
        return _pylock(lock, source) if "packages" in lock else _project_lock(lock, source)
    environment = _conda_environment(text, source)
    if environment is not None:
        return _conda_entries(environment, source)
    return ((line, _read_line(line)) for line in _lines(text))


def is_implicit(package: str) -> bool:
    """Tell whether a package comes with another one: with the harness, with an installer, or with a build of torch."""
    return package in HARNESS or package in INSTALLERS or TORCH_DEPENDENCY.match(package) is not None


def exact_pin(package: str, version: str, *, transitive: bool = False) -> Pin:
    """Return the pin of a locked package; ``version`` is an address, or a version, whose local part is dropped."""
    if "://" in version:
        commit = re.search(r"@([0-9a-f]{7,40})(?:#|$)", version)
        label = f"git@{commit[1][:8]}" if commit else version.rpartition("/")[2]
        return Pin(package, label, f"{package} @ {version}", transitive=transitive)
    public = _public(version)
    return Pin(package, public, f"{package}=={public}", transitive=transitive)


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _lines(text: str) -> Iterator[str]:
    """Yield requirements without comments, hashes and continuation marks."""
    joined = re.sub(r"\\\s*\n", " ", text)
    for line in joined.splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line)
        bare = re.sub(r"\s+--(hash|config-settings|global-option)[= ]\S+", "", bare).strip()
        if bare and not HEADING.match(bare):
            yield bare


def _toml_lock(text: str, source: str) -> Mapping[str, Any] | None:
    """Return the content of a lock in TOML, None for a text of another form."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if TOML_LOCK.search(text):
            raise ConfigError(f"{source}: invalid TOML: {error}") from None
        return None
    return found if isinstance(found.get("packages", found.get("package")), list) else None


def _pylock(content: Mapping[str, Any], source: str) -> Iterator[tuple[str, _Entry]]:
    """Yield the packages of a ``pylock.toml``; of its extras none, of its dependency groups the default ones."""
    try:
        lock = Pylock.from_dict(content)
    except PylockValidationError as error:
        raise ConfigError(f"{source}: {error.context or 'lock-version'}: {error.message}") from None

    groups = frozenset(lock.default_groups or ())
    for package in lock.packages:
        version = None if package.version is None else str(package.version)
        name = _shown(package.name, version)
        marker = package.marker
        if marker is not None and re.search(r"\b(extras|dependency_groups)\b", str(marker)):  # not known to installers
            if not marker.evaluate({"extras": frozenset(), "dependency_groups": groups}, context="lock_file"):
                yield (
                    name,
                    _Entry(reason="left out, of an extra or a dependency group that is not installed by default"),
                )
                continue
            marker = None
        if package.directory is not None:
            yield name, _Entry(reason=FROM_WORKING_COPY)
        else:
            yield name, _locked(package.name, version, _commit_address(package), marker)


def _commit_address(package: Package) -> str | None:
    vcs = package.vcs
    if vcs is None or vcs.url is None:
        return None
    return _address(f"{vcs.type}+{vcs.url}", vcs.commit_id, vcs.subdirectory)


def _project_lock(content: Mapping[str, Any], source: str) -> Iterator[tuple[str, _Entry]]:
    """Yield the packages of a ``uv.lock`` or a ``poetry.lock``."""
    packages = [_checked(entry, source) for entry in content["package"]]
    edges = _edge_markers(packages)
    for package in packages:
        name, version, origin = package["name"], package.get("version"), package.get("source", {})
        shown = _shown(name, version)
        if origin.keys() & {"virtual", "editable", "directory"} or origin.get("type") == "directory":
            yield shown, _Entry(reason=FROM_WORKING_COPY)
            continue
        try:
            marker = _joined(_markers(package) or edges.get(name, []))
        except InvalidMarker:
            yield shown, _Entry(reason="left out, its environment marker cannot be read")
            continue
        yield shown, _locked(name, version, _origin_address(origin), marker)


def _checked(package: Any, source: str) -> Mapping[str, Any]:
    """Return a ``[[package]]`` table with a name, a version of type string if any, and a table ``source`` if any."""
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        raise ConfigError(f"{source}: package = {reprlib.repr(package)} is not a table with a name")
    for key, kind, name in (("version", str, "a string"), ("source", dict, "a table")):
        if not isinstance(package.get(key, kind()), kind):
            value = reprlib.repr(package[key])
            raise ConfigError(f"{source}: {key} = {value} of the package {package['name']} is not {name}")
    return package


def _markers(package: Mapping[str, Any]) -> list[str]:
    """Return the environment markers that a package bears itself: any of them is enough."""
    poetry = package.get("markers", [])  # a text, or one for each dependency group
    if isinstance(poetry, str):
        return [poetry]
    return [
        str(one) for one in (poetry.values() if isinstance(poetry, dict) else package.get("resolution-markers", []))
    ]


def _edge_markers(packages: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the packages of a ``uv.lock`` that are needed under a marker only, with the markers.

    uv keeps the marker of a platform (``sys_platform == 'win32'``) with the dependency. A marker of an extra counts as
    none, as whether the extra is installed is not recorded.
    """
    markers: dict[str, list[str]] = {}
    always = set()
    for edge in (edge for package in packages for edge in _edges(package)):
        name, marker = str(edge.get("name")), str(edge.get("marker", ""))
        markers.setdefault(name, []).append(marker)
        if not marker or "extra" in marker:
            always.add(name)
    return {name: found for name, found in markers.items() if name not in always}


def _edges(package: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the dependencies of a package in a ``uv.lock``, with those of its extras and dependency groups."""
    lists = [package.get("dependencies")]
    for key in ("optional-dependencies", "dev-dependencies"):
        groups = package.get(key)
        lists += groups.values() if isinstance(groups, dict) else ()
    for edges in lists:
        yield from (edge for edge in (edges if isinstance(edges, list) else ()) if isinstance(edge, dict))


def _joined(markers: Iterable[str]) -> Marker | None:
    """Return the marker that holds where one of these does, None without any."""
    texts = list(dict.fromkeys(markers))
    return Marker(" or ".join(f"({text})" for text in texts)) if texts else None


def _origin_address(origin: Mapping[str, Any]) -> str | None:
    """Return the address of a package that was installed from a commit."""
    if origin.get("type") == "git":  # poetry
        return _address(f"git+{origin.get('url')}", str(origin.get("resolved_reference")), origin.get("subdirectory"))
    if "git" not in origin:
        return None
    url, _, commit = str(origin["git"]).partition("#")  # uv
    url, _, query = url.partition("?")
    subdirectory = re.search(r"(?:^|&)subdirectory=([^&]+)", query)
    return _address(f"git+{url}", commit, subdirectory[1] if subdirectory else None)


def _address(url: str, commit: str, subdirectory: str | None) -> str:
    return f"{url}@{commit}{f'#subdirectory={subdirectory}' if subdirectory else ''}"


def _shown(name: str, version: str | None) -> str:
    return name if version is None else f"{name}=={version}"


def _locked(name: str, version: str | None, address: str | None, marker: Marker | None) -> _Entry:
    """Read a locked package like a line of requirements."""
    condition = f" ; {marker}" if marker else ""
    if address is not None:
        return _read_line(f"{name} @ {address}{condition}")
    if version is None:
        return _Entry(reason="left out, the lock names no version")
    return _read_line(f"{name}=={version}{condition}")


class _StrictLoader(yaml.SafeLoader):
    """Refuses a mapping with a key that occurs twice, as YAML does; PyYAML itself keeps the last value."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping."""
        node = super().compose_mapping_node(anchor)
        known = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in known:
                problem = f"the key {key.value} occurs twice"
                raise yaml.composer.ComposerError(problem=problem, problem_mark=key.start_mark)
            known.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return node


def _conda_environment(text: str, source: str) -> Mapping[Any, Any] | None:
    """Return the content of conda's ``environment.yml``, None for a text of another form."""
    if "dependencies" not in text:
        return None
    try:
        found = yaml.load(text, _StrictLoader)  # noqa: S506  # a subclass of SafeLoader
    except yaml.YAMLError as error:
        if not CONDA_ENVIRONMENT.search(text):
            return None
        position = getattr(error, "problem_mark", None)
        where = "" if position is None else f" in line {position.line + 1}"
        raise ConfigError(f"{source}: invalid YAML{where}: {getattr(error, 'problem', None) or error}") from None

    return found if isinstance(found, dict) and "dependencies" in found else None


def _conda_entries(content: Mapping[Any, Any], source: str) -> Iterator[tuple[str, _Entry]]:
    """Yield the packages of an ``environment.yml``: those of ``pip`` are read, those of conda are left out."""
    for item in _strings_or_tables(content["dependencies"], "dependencies", source):
        if isinstance(item, str):
            yield item, _Entry(reason=FROM_CONDA)
            continue
        for installer, packages in item.items():
            for line in _strings_or_tables(packages, str(installer), source):
                if not isinstance(line, str):
                    raise ConfigError(f"{source}: {installer} = {reprlib.repr(line)} is not a requirement")
                if installer == "pip":
                    yield from ((one, _read_line(one)) for one in _lines(line))
                else:
                    yield line, _Entry(reason=f"left out, installed by {installer}")


def _strings_or_tables(value: Any, key: str, source: str) -> list[str | dict[Any, Any]]:
    """Return the items of a list; an empty value has none."""
    if not isinstance(value, list | None):
        raise ConfigError(f"{source}: {key} = {reprlib.repr(value)} is not a list")
    for item in value or ():
        if not isinstance(item, str | dict):
            raise ConfigError(f"{source}: {key} = {reprlib.repr(item)} is not a requirement")
    return value or []


def _read_line(line: str) -> _Entry:
    if line.startswith(("-e ", "-e=", "--editable")):
        return _Entry(reason=FROM_WORKING_COPY)
    if OPTION.match(line):
        return _Entry(reason="left out, an option of pip (the index is the one that pip is configured to use)")
    conda = CONDA_EXPORT.match(line)
    if conda:
        from_pip = conda[3] == PIP_BUILD
        return _read_line(f"{conda[1]}=={conda[2]}") if from_pip else _Entry(reason=FROM_CONDA)
    listed = LISTED.match(line)
    third = (listed[3] or "").split()[:1] if listed else []  # a folder (pip list), or a build (conda list)
    if third and third[0] != PIP_BUILD:
        local = "/" in third[0] or "\\" in third[0]
        return _Entry(reason=FROM_WORKING_COPY if local else FROM_CONDA)
    try:
        found = Requirement(f"{listed[1]}=={listed[2]}" if listed else line)
    except InvalidRequirement:
        return _Entry(reason="left out, not a requirement")

    return _requirement(found)


def _requirement(found: Requirement) -> _Entry:
    name = str(canonicalize_name(found.name))
    if TORCH_DEPENDENCY.match(name):
        return _Entry(reason="left out, comes with torch")
    if is_implicit(name):
        return _Entry(reason="left out, comes with the harness")
    if found.url is not None and found.url.startswith("file:"):
        return _Entry(reason="left out, a file of another machine (`pip list --format=freeze` prints its version)")
    if found.url is not None:
        return _Entry(exact_pin(name, found.url))
    extras = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
    marker = f"; {found.marker}" if found.marker else ""
    exact = re.fullmatch(r"={2,3}([^*,]+)", str(found.specifier))
    if exact is None:
        pin = Pin(name, str(found.specifier) or "any", f"{name}{extras}{found.specifier}{marker}")
        return _Entry(pin, exact=False, reason="no exact version, resolved now")
    public = _public(exact[1])
    reason = "" if public == exact[1] else "the build that fits this machine is used"
    return _Entry(Pin(name, public, f"{name}{extras}=={public}{marker}"), reason=reason)
