"""Cached resolutions: fresh for a day, with as_of for ever, and old ones if the index does not answer."""

import json
import threading

import pytest

from harness.envs.lock import LIFETIME, Unsolvable, cached_resolution
from harness.envs.lock_input import read_lock_input
from harness.envs.pip_config import UvSettings
from harness.matrix.cell import Cell, Pin

PINS = (Pin("six", "1.17.0", "six==1.17.0"),)
OFFLINE = Unsolvable("no route to the index", network=True)


@pytest.fixture
def asked(tmp_path):
    """Return a function that asks for the resolution of a cell; its answers are given."""
    calls = []

    def ask(answer, as_of=None, unreachable=None):
        question = read_lock_input(Cell("3.11", PINS, as_of=as_of), UvSettings(), {})
        resolve = lambda: calls.append(answer) or answer  # noqa: E731
        return cached_resolution(question, tmp_path, resolve, unreachable or threading.Event())

    ask.calls = calls
    return ask


def make_old(folder):
    for file in folder.glob("*.json"):
        content = json.loads(file.read_text())
        file.write_text(json.dumps(content | {"asked": content["asked"] - LIFETIME - 1}))


@pytest.mark.parametrize("answer", ["six==1.17.0\n", Unsolvable("there is no version of six==1.17.0")])
def test_a_resolution_or_the_reason_against_it_is_asked_for_once_a_day(asked, tmp_path, answer):
    assert asked(answer) == asked("another") == answer
    make_old(tmp_path)
    assert asked("another") == "another"
    assert asked.calls == [answer, "another"]


def test_with_as_of_a_resolution_is_used_for_ever(asked, tmp_path):
    asked("six==1.17.0\n", as_of="2026-03-01")
    make_old(tmp_path)
    assert asked("another", as_of="2026-03-01") == "six==1.17.0\n"


def test_an_index_that_does_not_answer_is_asked_once_where_an_old_resolution_is_there(asked, tmp_path):
    unreachable = threading.Event()
    assert asked(OFFLINE, unreachable=unreachable) == OFFLINE
    assert unreachable.is_set()
    assert asked("six==1.17.0\n", unreachable=unreachable) == "six==1.17.0\n", "no old one: asked nevertheless"
    make_old(tmp_path)
    assert asked("another", unreachable=unreachable) == "six==1.17.0\n"
    assert len(asked.calls) == 2
    assert asked(OFFLINE) == "six==1.17.0\n"
    assert not list(tmp_path.glob("*.part"))


def test_a_truncated_file_is_no_resolution(asked, tmp_path):
    asked("six==1.17.0\n")
    (file,) = tmp_path.glob("*.json")
    file.write_text('{"asked": 1, "val')
    assert asked("another") == "another"
