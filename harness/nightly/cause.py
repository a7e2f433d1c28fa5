"""What to search for a new regression: one package's releases, or which of several changes it was. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.envs.pinned import is_brought
from harness.nightly.claim import Claim
from harness.nightly.look import Place
from harness.store.voices import function


@dataclass(frozen=True)
class Suspect:
    """One search to make: for which claims, of which package between which versions; none where several changed."""

    claims: tuple[Claim, ...]
    package: str = ""
    versions: tuple[str, str] = ("", "")
    why_not: str = ""  # why nothing can be searched

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
            return f"{self.package} {' → '.join(self.versions)}"
        named = [f"{name} {' → '.join(pair)}" for name, pair in self.claim.changed.items()]
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
    if any("://" in version for version in pair):
        return "", ("", ""), f"{name} moved between commits or folders: harness bisect searches releases here"
    if not all(pair):
        return (
            "",
            ("", ""),
            f"{name} was {'added' if pair[1] else 'removed'}: there are no two releases of it to search",
        )
    return name, (pair[0].partition("+")[0], pair[1].partition("+")[0]), ""  # 2.13.0+cpu is one build of 2.13.0
