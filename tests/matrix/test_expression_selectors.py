import pytest

from harness.matrix.cell import Cell, Pin
from harness.matrix.expression import pin_matches, python_matches, selector_matches


def release(text):
    return Pin("torch", text, f"torch=={text}")


def resolve(package, text):
    return {
        "latest": (release("2.15.0"),),
        "latest:2": (release("2.14.1"), release("2.15.0")),
        "path:work": (Pin("torch", "path:work", "torch @ file:///work"),),
        "path:other/work": (Pin("torch", "path:work", "torch @ file:///other/work"),),
    }[text]


COMMIT = Pin("torch", "dev@1a2b3c4d", "torch @ git+https://host.invalid/x@" + "1a2b3c4d" * 5)
FOLDER = Pin("torch", "path:work", "torch @ file:///work")
BASE = Pin("torch", "installed@2.13.0+cpu", "torch==2.13.0+cpu", installed=True)


@pytest.mark.parametrize(
    ("value", "pin", "holds"),
    [
        ("2.13.0", release("2.13.0"), True),
        ("2.13", release("2.13.0"), True),
        ("2.13.0", release("2.13.0+cpu"), True),
        ("2.13.0+cpu", release("2.13.0"), False),
        ("2.13.0", release("2.13.1"), False),
        ("2.13.0", BASE, True),
        (">=2.13,<2.14", BASE, True),
        (">=2.13,<2.14", release("2.13.1"), True),
        (">=2.13,<2.14", release("2.14.0"), False),
        (">=2.13", release("2.14.0rc1"), True),
        ("2.13.x", release("2.13.4"), True),
        (">=0", COMMIT, False),
        (">=0", FOLDER, False),
        ("2.13.0", COMMIT, False),
        ("dev", COMMIT, True),
        ("dev@1a2b3c4d", COMMIT, True),
        ("dev@00000000", COMMIT, False),
        ("git:main", COMMIT, False),
        ("latest", release("2.15.0"), True),
        ("latest", release("2.14.1"), False),
        ("latest:2", release("2.14.1"), True),
        ("path:work", FOLDER, True),
        ("path:other/work", FOLDER, False),
        ("installed", BASE, True),
        ("installed", release("2.13.0+cpu"), False),
        ("installed@2.13.0+cpu", BASE, True),
    ],
)
def test_a_value_matches_a_pin(value, pin, holds):
    assert pin_matches(value, pin, resolve) is holds


@pytest.mark.parametrize(
    ("value", "python", "holds"),
    [
        ("3.11", "3.11", True),
        ("3.11", "3.11.7", True),
        ("3.11.7", "3.11", False),
        ("3.1", "3.11", False),
        (">=3.12", "3.12", True),
        (">=3.12", "3.11", False),
    ],
)
def test_a_value_matches_a_python(value, python, holds):
    assert python_matches(value, python) is holds


def test_every_key_of_a_row_must_hold():
    cell = Cell("3.11", (release("2.13.0"), Pin("peft", "0.19.1", "peft==0.19.1")), (("MODE", "a"), ("EMPTY", "")))
    assert selector_matches({"torch": "2.13.0", "MODE": "a", "python": "3.11", "EMPTY": ""}, cell, resolve)
    assert not selector_matches({"torch": "2.13.0", "MODE": "b"}, cell, resolve)
    assert not selector_matches({"torch": "2.13.0", "peft": "0.20.0"}, cell, resolve)
    assert not selector_matches({"absent": "1"}, cell, resolve)
