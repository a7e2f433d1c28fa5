"""The sentences of a draft: the cells that fail, what differs, and what is not proven."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from harness.report.issue.model import CellComparison, CellDifference, ScenarioCounts, SearchEvidence
from harness.report.issue.repository import frame_of
from harness.reporter import counted, listed

TITLE = 240  # characters; GitHub takes 256
EXPECTATION = ("expectation: ", "ExpectationFailed: ", "does not hold: ")  # prefixes of signatures and details
RAN_ON = {"cuda": "on a GPU", "cpu": "on the CPU", "simulated": "partly simulated"}


def without_frame(signature: str) -> str:
    """Return a signature without its frame."""
    frame = frame_of(signature)
    return signature.removesuffix(f" @ {frame}") if frame else signature


def split_expectation(failure: str) -> tuple[bool, str]:
    """Tell whether a failure is an expectation that did not hold, and return its text."""
    for prefix in EXPECTATION:
        if failure.startswith(prefix):
            return True, failure.removeprefix(prefix)
    return False, failure


def title(
    headline: str,
    comparison: CellComparison | None,
    searched: SearchEvidence | None,
    cell: str,
    *,
    intended: bool = False,
) -> str:
    """Return the title: what happens, and the release if the evidence names one.

    =================================================== ==============================================
    a bisect found the first bad release                ``[Regression in transformers 5.4.0] …``
    … or the first bad commit                           ``[Regression in transformers 1a2b3c4d5e] …``
    … and other packages differ too                     ``[Regression with transformers 5.4.0] …``
    a blame found one upgrade                           ``[Regression between transformers A and B] …``
    … or several that are needed together               ``[Regression with transformers A and peft B together] …``
    … or a downgrade                                    ``… (seen with transformers 5.6.2 and accelerate 1.13.0)``
    only one package differs, failing is the newer      ``[Regression between transformers A and B] …``
    anything else                                       ``… (seen with transformers 5.6.2)``
    … and the passing cell has the newer release        ``… (seen with transformers 5.6.2, not with 5.7.0)``
    ``intended``: upstream changed it on purpose        ``[Changed …] …`` instead of ``[Regression …] …``
    =================================================== ==============================================
    """
    text, word = " ".join(headline.split()), "Changed" if intended else "Regression"
    change, blame = regression(comparison), searched.blame if searched else None
    if searched and searched.culprit:
        text = f"[{word} {'in' if searched.only_difference else 'with'} {searched.package} {searched.culprit}] {text}"
    elif blame and blame.regression:
        text = f"[{word} {blame.regression}] {text}"
    elif change and not (searched and searched.settled):
        text = f"[{word} between {change.name} {change.passing} and {change.failing}] {text}"
    else:
        newer = comparison.packages[0].passing if comparison and passes_in_newer(comparison) else None
        cell = (blame.where if blame else "") or cell
        where = f"(seen with {cell}{f', not with {newer}' if newer else ''})"
        text = f"{text if len(text) < TITLE - len(where) else text[: TITLE - len(where)] + '…'} {where}"

    return text if len(text) <= TITLE else text[: TITLE - 1] + "…"


def regression(comparison: CellComparison | None) -> CellDifference | None:
    """Return the only difference if it is a package whose newer release fails, else None."""
    if comparison is None or len(comparison.differences) != 1 or not comparison.packages:
        return None
    change = comparison.differences[0]
    return change if older(change.passing, change.failing) else None


def older(one: str | None, other: str | None) -> bool:
    """Tell whether one version is known, valid and older than the other."""
    try:
        return bool(one and other) and Version(one or "") < Version(other or "")
    except InvalidVersion:
        return False


def counts_sentence(counts: ScenarioCounts) -> str:
    """Describe in how many cells a scenario shows the failure, and what it does in the others."""
    if counts.decided == 1:
        text = "It ran in one cell only"
        text += ", where its attempts disagree (flaky)" if counts.flaky else ", and fails there"
    else:
        parts = []
        if counts.flaky:
            parts.append(f"is flaky in {len(counts.flaky)} (attempts disagree: {listed(counts.flaky)})")
        if counts.other_failure:
            parts.append(f"fails in another way in {len(counts.other_failure)} ({listed(counts.other_failure)})")
        passing = f"passes in {len(counts.passing)} ({listed(counts.passing)})" if counts.passing else "passes in none"
        cells = f"{counts.decided} cells (sets of pinned versions) in which it ran"
        text = f"It fails this way in {len(counts.failing)} of the {cells}; it {', '.join([*parts, passing])}"

    if counts.undecided:
        text += f"; in {counted(len(counts.undecided), 'more cell')} it was skipped, did not run or gave no verdict"
    return f"{text}."


def comparison_sentence(
    comparison: CellComparison | None, counts: ScenarioCounts, *, settled: bool = False, searched: bool = False
) -> str:
    """Describe what differs between the closest failing and passing cell, and whether that proves the cause.

    Args:
        comparison: the closest pair, None without one.
        counts: the cells of the scenario.
        settled: a blame proves what makes the difference.
        searched: the result of a search follows.
    """
    if comparison is None:
        return _no_pair(counts, searched=searched)
    newer = " The passing one has the newer release: it may be fixed there." if passes_in_newer(comparison) else ""
    intro = "Compared are" if settled else "The closest pair is"
    pair = f"{intro} {comparison.failing} (failing) and {comparison.passing} (passing)"
    return f"{pair}: {_differences(comparison, settled=settled)}.{newer}"


def _no_pair(counts: ScenarioCounts, *, searched: bool) -> str:
    if not counts.passing and searched:
        return "It passes in no cell of this run, which by itself does not identify the package."
    if not counts.passing:
        return "It passes in no cell of this run, so the package is not identified."
    if not counts.failing:
        return "Attempts disagree in every cell that shows it, so no failing cell is compared with a passing one."
    return "No failing and passing cell with known packages can be compared."


def _differences(comparison: CellComparison, *, settled: bool) -> str:
    packages = comparison.packages
    others = [difference_text(each) for each in comparison.differences if each.kind != "package"]
    besides = f"; besides, {'; '.join(others)}" if others else ""
    if not packages:
        return f"the packages are the same, what differs is: {'; '.join(others) or 'nothing that was recorded'}"
    if len(packages) == 1 and not others:
        return f"only one package differs, {difference_text(packages[0])}"
    pins = [difference_text(each) for each in packages if each.pinned]
    rest = [difference_text(each) for each in packages if not each.pinned]
    if len(pins) == 1 and rest:
        resolved = f"{counted(len(rest), 'other package')} resolved differently with it ({listed(rest, 1)})"
        proven = "" if settled else ", so it is not proven to be the cause"
        return f"only one pin differs, {pins[0]}{besides}; {resolved}{proven}"

    proven = "" if settled else "; which of these makes the difference is not proven"
    return f"{counted(len(packages), 'package')} differ, {listed([*pins, *rest])}{besides}{proven}"


def difference_text(change: CellDifference) -> str:
    """Write ``transformers 5.6.2 instead of 4.57.6``, from the failing cell's point of view."""
    if change.kind == "machine":
        return f"the failing one ran {change.failing}, the passing one {change.passing}"
    if change.failing is None:
        return f"{change.name} is missing (passing: {change.passing})"
    if change.passing is None:
        return f"{change.name} {change.failing} is only in the failing one"
    return f"{change.name} {change.failing or '(empty)'} instead of {change.passing or '(empty)'}"


def fixed_note(comparison: CellComparison | None) -> str:
    """Return a note if a newer release passes; empty if none is known to."""
    if comparison is None or not passes_in_newer(comparison):
        return ""
    pin = next(each for each in comparison.packages if each.pinned)
    return f"It passes in {pin.name} {pin.passing}, which is newer than {pin.failing}: it may be fixed already"


def passes_in_newer(comparison: CellComparison) -> bool:
    """Tell whether only one pin differs, and the passing cell has its newer release."""
    pins = [each for each in comparison.packages if each.pinned]
    return len(pins) == 1 and older(pins[0].failing, pins[0].passing)


def ran_on_sentence(ran_on: str, simulated: str | None) -> str:
    """Return a sentence on what an attempt ran; empty if unknown."""
    if simulated:
        return f"It is partly simulated: {simulated}."
    return {"cuda": "It ran on a GPU.", "cpu": "It ran on the CPU; nothing was simulated."}.get(
        ran_on,
        "",
    )
