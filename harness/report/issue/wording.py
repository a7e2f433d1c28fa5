"""The sentences of a draft: what was seen, in how many cells of how many, and what is not proven. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import InvalidVersion, Version

from harness.report.issue.model import Change, Contrast, Evidence, Searched
from harness.report.issue.repository import frame_of

FEW = 4
TITLE = 240  # characters; GitHub takes 256


def listed(names: Sequence[str], few: int = FEW, total: int | None = None) -> str:
    """Join names, the rest as a count: ``a, b and 3 more``; ``total`` counts those that are not among the names."""
    shown = ", ".join(names[:few])
    rest = (len(names) if total is None else total) - min(few, len(names))
    return f"{shown} and {rest} more" if rest > 0 else shown


def counted(number: int, noun: str) -> str:
    """Write ``1 cell``, ``2 cells``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def failure_words(signature: str) -> str:
    """Return a signature without its place."""
    place = frame_of(signature)
    return signature.removesuffix(f" @ {place}") if place else signature


NOT_HELD = (
    "expectation: ",
    "ExpectationFailed: ",
    "does not hold: ",
)  # how signatures and details of a broken expectation begin


def without_name(failure: str) -> tuple[bool, str]:
    """Tell whether a failure is an expectation that does not hold, and return what it says."""
    for name in NOT_HELD:
        if failure.startswith(name):
            return True, failure.removeprefix(name)
    return False, failure


def title(summary: str, contrast: Contrast | None, searched: Searched | None, cell: str, *, meant: bool = False) -> str:
    """Return the title: what happens, and the release if the evidence names one.

    =================================================== ==============================================
    a bisect found the first bad release                ``[Regression in transformers 5.4.0] …``
    … or the first bad commit                           ``[Regression in transformers 1a2b3c4d5e] …``
    … and with it other packages differ                 ``[Regression with transformers 5.4.0] …``
    a blame found one upgrade                           ``[Regression between transformers A and B] …``
    … or several that are needed together               ``[Regression with transformers A and peft B together] …``
    … or a package that went back                       ``… (seen with transformers 5.6.2 and accelerate 1.13.0)``
    one package alone differs, red is the newer         ``[Regression between transformers A and B] …``
    anything else                                       ``… (seen with transformers 5.6.2)``
    … and the green cell has the newer release          ``… (seen with transformers 5.6.2, not with 5.7.0)``
    ``meant``: upstream changed it on purpose           ``[Changed …] …`` instead of ``[Regression …] …``
    =================================================== ==============================================
    """
    said, word = " ".join(summary.split()), "Changed" if meant else "Regression"
    change = regression(contrast)
    if searched and searched.culprit:
        said = f"[{word} {'in' if searched.alone else 'with'} {searched.package} {searched.culprit}] {said}"
    elif searched and searched.regression:
        said = f"[{word} {searched.regression}] {said}"
    elif change and not (searched and searched.settled):
        said = f"[{word} between {change.name} {change.green} and {change.red}] {said}"
    else:
        newer = contrast.packages[0].green if contrast and mended(contrast) else None
        cell = (searched.where if searched else "") or cell
        where = f"(seen with {cell}{f', not with {newer}' if newer else ''})"
        said = f"{said if len(said) < TITLE - len(where) else said[: TITLE - len(where)] + '…'} {where}"
    return said if len(said) <= TITLE else said[: TITLE - 1] + "…"


def regression(contrast: Contrast | None) -> Change | None:
    """Return the package that alone differs, in the newer release of which it is red; None where more differs."""
    if contrast is None or len(contrast.changes) != 1 or not contrast.packages:
        return None
    change = contrast.changes[0]
    return change if older(change.green, change.red) else None


def older(one: str | None, other: str | None) -> bool:
    """Tell whether one version is there, is a version, and is older than the other."""
    try:
        return bool(one and other) and Version(one or "") < Version(other or "")
    except InvalidVersion:
        return False


def seen(found: Evidence) -> str:
    """Say in how many cells of how many a scenario shows the failure, and what it does in the others."""
    if found.ran == 1:
        text = "It ran in one cell only"
        text += ", where its attempts disagree (flaky)." if found.flaky else ", and fails there."
    else:
        cells = f"{found.ran} cells (sets of pinned versions) in which it ran"
        text = f"It fails this way in {len(found.red)} of the {cells}"
        parts = [f"is flaky in {len(found.flaky)} (attempts disagree: {listed(found.flaky)})"] if found.flaky else []
        parts += (
            [f"fails in another way in {len(found.otherwise)} ({listed(found.otherwise)})"] if found.otherwise else []
        )
        parts += [f"passes in {len(found.green)} ({listed(found.green)})"] if found.green else ["passes in none"]
        text += f"; it {', '.join(parts)}."
    if found.unjudged:
        text = f"{text[:-1]}; in {counted(len(found.unjudged), 'more cell')} it could not be judged or does not apply."
    return text


def contrasted(contrast: Contrast | None, found: Evidence, *, settled: bool = False, searched: bool = False) -> str:
    """Say what differs between the closest red and green cell, whether that names the culprit, and which is newer.

    ``settled``: a blame says what makes the difference, so that nobody need be told that the pair does not.
    ``searched``: what a search says comes next, so that only the run alone says nothing.
    """
    newer = " The green one has the newer release: it may be mended there." if contrast and mended(contrast) else ""
    return (_contrasted(contrast, settled=settled) if contrast else _alone(found, searched=searched)) + newer


def _alone(found: Evidence, *, searched: bool) -> str:
    """Say why no green cell stands beside the red one."""
    if not found.green and searched:
        return "It passes in no cell of this run, which alone does not tell which package it is."
    if not found.green:
        return "It passes in no cell of this run, so nothing is said about which package it is."
    if not found.red:
        return "Where it shows, attempts disagree, so no red cell is set against a green one."
    return "What is installed is not known of a red and a green cell, so they are not compared."


def gone(contrast: Contrast | None) -> str:
    """Say that a newer release passes; empty where none is known to."""
    if contrast is None or not mended(contrast):
        return ""
    pin = next(each for each in contrast.packages if each.pinned)
    newer = f"{pin.name} {pin.green}, which is newer than {pin.red}"
    return f"It passes in {newer}: it may be mended, and nothing left to post"


def mended(contrast: Contrast) -> bool:
    """Tell whether one pin alone differs, and the green cell has the newer release of it."""
    pins = [each for each in contrast.packages if each.pinned]
    return len(pins) == 1 and older(pins[0].red, pins[0].green)


def _contrasted(contrast: Contrast, *, settled: bool) -> str:
    packages = contrast.packages
    others = [each for each in contrast.changes if each.kind != "package"]
    beside = f"; besides, {'; '.join(map(change_words, others))}" if others else ""
    closest = "Compared are" if settled else "The closest pair is"
    pair = f"{closest} {contrast.red} (red) and {contrast.green} (green)"
    if not packages:
        only = "; ".join(map(change_words, others)) or "nothing that was recorded"
        return f"{pair}: the packages are the same, what differs is: {only}."
    if len(packages) == 1 and not others:
        return f"{pair}: one package alone differs, {change_words(packages[0])}."
    pins = [change_words(each) for each in packages if each.pinned]
    rest = [change_words(each) for each in packages if not each.pinned]
    if len(pins) == 1 and rest:
        came = f"with it {counted(len(rest), 'other package')} resolved otherwise ({listed(rest, 1)})"
        came += "" if settled else ", so it is not proven that it is the cause"
        return f"{pair}: one pin alone differs, {pins[0]}{beside}; {came}."
    what = listed([*pins, *rest])
    proven = "" if settled else "; which of these makes the difference is not proven"
    return f"{pair}: {counted(len(packages), 'package')} differ, {what}{beside}{proven}."


def change_words(change: Change) -> str:
    """Write ``transformers 5.6.2 instead of 4.57.6``."""
    if change.kind == "machine":
        return f"the red one ran {change.red}, the green one {change.green}"
    if change.red is None:
        return f"{change.name} is missing (green: {change.green})"
    if change.green is None:
        return f"{change.name} {change.red} is there in the red one alone"
    red, green = (each or "(empty)" for each in (change.red, change.green))
    return f"{change.name} {red} instead of {green}"


RAN = {"cuda": "on a GPU", "cpu": "on the CPU", "simulated": "partly simulated"}


def ran(where: str, simulated: str | None) -> str:
    """Say on what an attempt ran."""
    if simulated:
        return f"It is partly simulated: {simulated}."
    return {"cuda": "It ran on a GPU.", "cpu": "It ran on the CPU; nothing was simulated."}.get(where, "")
