"""What to search for a new regression: one package's releases or commits, or which of several changes it was. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.envs.pinned import is_brought
from harness.matrix.cell import readable
from harness.nightly.claim import Claim
from harness.nightly.look import Place
from harness.search.commits import Built, built_from
from harness.store.voices import function


@dataclass(frozen=True)
class Suspect:
    """One search to make: for which claims, of which package between which versions; none where several changed.

    Where the package moved between two commits, ``versions`` are their addresses and ``commits`` what these say.
    """

    claims: tuple[Claim, ...]
    package: str = ""
    versions: tuple[str, str] = ("", "")
    why_not: str = ""  # why nothing can be searched

    @property
    def commits(self) -> tuple[Built, Built] | None:
        """The two commits to search between; None where these are releases."""
        older, newer = map(built_from, self.versions)
        return (older, newer) if older and newer else None

    @property
    def claim(self) -> Claim:
        """The claim that is searched; the others have the same signature and the same change behind them."""
        return self.claims[0]

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that the answer is for."""
        return tuple((claim.line, claim.scenario) for claim in self.claims)

    @property
    def key(self) -> str:
        """Name it within its night."""
        return f"{self.claim.line} {self.claim.scenario} {self.claim.figure}".strip()

    @property
    def words(self) -> str:
        """Say what changed."""
        if self.package:
            return f"{self.package} {_pair(self.versions)}"
        named = [f"{name} {_pair(pair)}" for name, pair in self.claim.changed.items()]
        return f"{len(named)} packages: {', '.join(named[:4])}{' …' if len(named) > 4 else ''}"  # noqa: PLR2004


def suspects(claims: Iterable[Claim], tested: Sequence[str]) -> list[Suspect]:
    """Return the searches for some regressions, one for all that look alike.

    A package under test that alone changed is searched, also where packages that nobody pinned changed beside it: a
    good end that is then not good is said. Where several under test changed, or none and several others, it is asked
    which of them it was.

    Args:
        claims: the regressions.
        tested: the packages that the matrix names.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        package, versions, why_not = _one(claim, tested)
        what = claim.figure or claim.signature or function(claim.scenario)
        rest = (why_not,) if why_not else (package, *versions) if package else (claim.line,)
        groups.setdefault((what, *rest), []).append(claim)
    return [Suspect(tuple(alike), *_one(alike[0], tested)) for alike in groups.values()]


def _one(claim: Claim, tested: Sequence[str]) -> tuple[str, tuple[str, str], str]:
    """Return the package to search and its two versions, or why there is nothing to search."""
    changed = {name: pair for name, pair in claim.changed.items() if not is_brought(name) and name != "python"}
    pinned = {name: pair for name, pair in changed.items() if name in tested}
    if not changed:
        return "", ("", ""), "no package changed since it was green"
    chosen = pinned or changed
    if len(chosen) > 1:
        return "", ("", ""), ""
    name, pair = next(iter(chosen.items()))
    if not all(pair):
        moved = "added" if pair[1] else "removed"
        return "", ("", ""), f"{name} was {moved}: there are no two versions of it to search"
    if any("://" in version for version in pair):
        why_not = _no_history(name, pair)
        return ("", ("", ""), why_not) if why_not else (name, pair, "")
    return name, (pair[0].partition("+")[0], pair[1].partition("+")[0]), ""  # 2.13.0+cpu is one build of 2.13.0


def _no_history(name: str, pair: tuple[str, str]) -> str:
    """Say why there are no commits between two states, of which one at least is no release; empty where there are."""
    older, newer = map(built_from, pair)
    if older is None or newer is None:
        return f"{name} moved from {readable(pair[0])} to {readable(pair[1])}, neither two releases nor two commits"
    if (older.address, older.subfolder) != (newer.address, newer.subfolder):
        return f"{name} moved from one repository to another: {older.address} → {newer.address}"
    return ""


def _pair(versions: tuple[str, str]) -> str:
    return " → ".join(readable(version) or "none" for version in versions)
