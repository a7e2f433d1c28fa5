"""The known issues of several runs as one file: every entry once, and what not all of them knew. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import ConfigError

HEAD = "# The parts of this run did not know the same issues; these are the entries of all of them.\n"
Entry = dict[str, Any]


def united_issues(texts: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the text of one ``known_issues.toml``, and a sentence where the parts disagree.

    ``texts`` maps a part's name to what it kept. Where all have the same entries, the first text stays as it is, with
    its comments.

    Raises:
        ConfigError: a text is not one of entries.
    """
    entries = {name: _entries(text, name) for name, text in texts.items()}
    found = {key: entry for of_part in entries.values() for key, entry in of_part.items()}
    partial = {key: [name for name in entries if key in entries[name]] for key in found}
    partial = {key: names for key, names in partial.items() if len(names) < len(entries)}
    if not partial:
        return next(iter(texts.values()), ""), ()
    listed = "; ".join(f"{_called(found[key])} only in {', '.join(names)}" for key, names in partial.items())
    note = f"the parts did not know the same issues, so the entries of all of them hold ({listed})"
    return HEAD + as_toml(found.values()), (note,)


def as_toml(entries: Iterable[Entry]) -> str:
    """Write entries as ``[[issue]]`` tables: texts, numbers, dates, lists and inner tables."""
    return "".join(
        "\n[[issue]]\n" + "".join(f"{_key(key)} = {_value(value)}\n" for key, value in entry.items())
        for entry in entries
    )


def _entries(text: str, name: str) -> dict[str, Entry]:
    """Read a part's entries, by their content."""
    try:
        issues = tomllib.loads(text).get("issue", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the known_issues.toml of {name} is not valid TOML: {error}") from error
    if not isinstance(issues, list) or not all(isinstance(issue, dict) for issue in issues):
        raise ConfigError(f"the known_issues.toml of {name}: issue is not known here; entries are [[issue]]")
    return {json.dumps(issue, sort_keys=True, default=str): issue for issue in issues}


def _called(entry: Entry) -> str:
    return " ".join(str(entry[key]) for key in ("scenario", "signature", "tracker") if key in entry)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    """Write a value as TOML does, on one line."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)  # dates write themselves
