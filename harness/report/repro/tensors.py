"""Thousands of tensor names in a few lines: names that differ in a part or two share a word, braces stand there."""

from __future__ import annotations

import os.path
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

WIDTH = 118
FAMILY = 2  # parts of a name that others share where there is no number: ``model.vision_tower.``
WEIGHT = ".weight"
A, B, PAIR = ".lora_A.weight", ".lora_B.weight", ".lora.weight"
Rest = tuple[str, ...]
Pattern = tuple[Rest, ...]  # the alternatives of every part of a name


@dataclass(frozen=True)
class Table:
    """The lines of a layout, and the standard deviation of the tensors that name none."""

    lines: tuple[str, ...]
    std: float


def table(tensors: Mapping[str, Sequence[Any]]) -> Table:
    """Return words such as ``mlp.{gate,up}_proj:768x256``, in lines, behind the beginning they share.

    ``tensors`` is name → shape, standard deviation and constant or None. A word without ``:`` is the beginning of the
    names behind it (``model.layers.{0..3}.``), ``/`` none. A name ends with ``.weight``, or with ``!``. ``:256=1`` is a
    constant, ``:256~0.02`` a standard deviation that is not the usual one, ``:`` alone the shape of a scalar.
    ``lora:768x8x256`` are the two weights of an adapter's layer: 8 × 256 and 768 × 8.
    """
    usual = Counter(std for _, std, constant in tensors.values() if constant is None).most_common(1)
    std = usual[0][0] if usual else 0.0
    groups: dict[str, list[Rest]] = {}
    for name, (shape, spread, constant) in paired(tensors).items():
        other = "" if spread == std else f"~{spread!r}"
        form = "x".join(map(str, shape)) + (other if constant is None else f"={constant!r}".removesuffix(".0"))
        groups.setdefault(form, []).append(tuple(name.split(".")))
    by_start: dict[str, list[str]] = {"/": []}
    for form, names in groups.items():
        for size in sorted({len(name) for name in names}):
            for pattern in factored([name for name in names if len(name) == size]):
                for start, rest in _texts(pattern, WIDTH - len(form) - 1):
                    by_start.setdefault(start, []).append(f"{rest}:{form}")
    found: list[str] = []
    for start, words in by_start.items():
        text = " ".join([start, *words] if words else [])
        found += textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return Table(tuple(found), std)


def groups(tensors: Mapping[str, Sequence[Any]]) -> list[tuple[Pattern, Sequence[Any]]]:
    """Return patterns of names with what their tensors are: shape, standard deviation, constant or None."""
    alike: dict[str, tuple[Sequence[Any], list[Rest]]] = {}
    for name, how in tensors.items():
        key = f"{name.count('.')} {how}"
        alike.setdefault(key, (how, []))[1].append(tuple(name.split(".")))
    return [(pattern, how) for how, names in alike.values() for pattern in factored(names)]


def _texts(pattern: Pattern, room: int) -> list[tuple[str, str]]:
    """Write a pattern as the part up to the first range of numbers, and the rest."""
    places = [place for place, part in enumerate(pattern[:-1]) if len(part) > 1 and all(map(_is_number, part))]
    cut = places[0] + 1 if places else FAMILY if len(pattern) > FAMILY + 1 else 0
    start = "".join(f"{_alternatives(part)}." for part in pattern[:cut]) or "/"
    return [(start, _short(text)) for text in _lines(pattern[cut:], room)]


def _short(text: str) -> str:
    return text.removesuffix(WEIGHT) if text.endswith(WEIGHT) else f"{text}!"


def paired(tensors: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Write the two weights of an adapter's layer as one, ``….lora``: rows of B × rank × columns of A."""
    found: dict[str, Sequence[Any]] = {}
    for name, (shape, std, constant) in tensors.items():
        first, second = name.replace(B, A), name.replace(A, B)
        paired = first != second and first in tensors and second in tensors and _fit(tensors[first], tensors[second])
        if paired and name == first:
            found[name.removesuffix(A) + PAIR] = ([tensors[second][0][0], *shape], std, constant)
        elif not paired:
            found[name] = (shape, std, constant)
    return found


def _fit(columns: Sequence[Any], rows: Sequence[Any]) -> bool:
    """Tell whether A (rank × columns) and B (rows × rank) can be multiplied and are drawn alike."""
    matrices = len(columns[0]) == len(rows[0]) == 2  # noqa: PLR2004 - rows and columns
    return matrices and rows[0][1] == columns[0][0] and list(columns[1:]) == list(rows[1:])


def factored(names: Iterable[Rest]) -> list[Pattern]:
    """Return patterns whose products are the names, each once; all names have the same number of parts."""
    by_first: dict[str, dict[Rest, None]] = {}
    for first, *rest in names:
        by_first.setdefault(first, {})[tuple(rest)] = None
    alike: dict[frozenset[Rest], list[str]] = {}
    for first, rests in by_first.items():
        alike.setdefault(frozenset(rests), []).append(first)
    found = []
    for firsts in alike.values():
        ends = list(by_first[firsts[0]])
        tails = factored(ends) if ends != [()] else [()]
        found += [(tuple(firsts), *tail) for tail in tails]
    return found


def _lines(pattern: Pattern, room: int) -> list[str]:
    """Write a pattern, in several lines where it is too long."""
    line = ".".join(_alternatives(part) for part in pattern)
    place = max(range(len(pattern)), key=lambda each: len(_alternatives(pattern[each])))
    widest = pattern[place]
    if len(line) <= room or len(widest) == 1:
        return [line]
    half = len(widest) // 2
    parts = (pattern[:place], pattern[place + 1 :])
    return [text for some in (widest[:half], widest[half:]) for text in _lines((*parts[0], some, *parts[1]), room)]


def _alternatives(part: Sequence[str]) -> str:
    """Write the alternatives of one part, what they share outside of the braces: ``{gate,up}_proj``."""
    if len(part) == 1:
        return part[0]
    numbers = sorted(int(each) for each in part if _is_number(each))
    words = [each for each in part if not _is_number(each)]
    if numbers:
        return "{" + ",".join([*_ranges(numbers), *words]) + "}"
    head = os.path.commonprefix(words)  # noqa: RUF071 - texts, not paths
    tail = os.path.commonprefix([each[len(head) :][::-1] for each in words])[::-1]  # noqa: RUF071
    if not all(each[len(head) : len(each) - len(tail)].isdigit() for each in words):
        head, tail = head[: head.rfind("_") + 1], tail[tail.find("_") :] if "_" in tail else ""
    inside = [each[len(head) : len(each) - len(tail)] for each in words]
    return head + "{" + ",".join(inside) + "}" + tail


def _is_number(text: str) -> bool:
    return text.isdigit() and text == str(int(text))


def _ranges(numbers: Sequence[int]) -> list[str]:
    """Write whole numbers as ``0..3``, ``5``; those next to each other become a range."""
    found = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        some = [number for _, number in run]
        found.append(str(some[0]) if len(some) == 1 else f"{some[0]}..{some[-1]}")
    return found
