from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.cell import Pin
from harness.matrix.expand import PythonContext, expand, varying
from harness.matrix.expression import Range, parse, selector_matches
from harness.matrix.schema import MatrixFile

KNOWN = tuple(f"{major}.{minor}.0" for major in (4, 5) for minor in range(3))


def resolve(package, text):
    """Know six releases of every package, and one base interpreter."""
    wanted = parse(text)
    if text == "installed":
        return (Pin(package, "installed@5.0.0", f"{package}==5.0.0", installed=True),)
    if isinstance(wanted, Range):
        return tuple(pin for known in KNOWN if wanted.contains(Version(known)) for pin in resolve(package, known))
    return (Pin(package, text, f"{package}=={text}"),)


def matrix(**keys):
    return MatrixFile.model_validate({"name": "tried", "scenarios": ["x"]} | keys)


def shown(cells, *axes):
    return [tuple(cell.label(axis) for axis in axes) for cell in cells]


def test_the_first_axis_turns_slowest_and_the_file_gives_the_order():
    cells = expand(
        matrix(axes={"b": ["5.1.0", "4.0.0"], "a": ["4.1.0", "5.0.0"]}, variables={"MODE": ["y", "x"]}), resolve
    )
    assert shown(cells, "b", "a", "MODE")[:3] == [
        ("5.1.0", "4.1.0", "y"),
        ("5.1.0", "4.1.0", "x"),
        ("5.1.0", "5.0.0", "y"),
    ]
    assert len(cells) == 8
    assert cells[0].axes == ("b", "a", "MODE")


def test_a_range_ascends_at_its_position_without_repetition():
    cells = expand(matrix(axes={"a": ["5.1.0", ">=4.2,<5.2", "installed"]}), resolve)
    assert shown(cells, "a") == [("5.1.0",), ("4.2.0",), ("5.0.0",), ("installed@5.0.0",)]


def test_held_pins_come_after_the_axes_and_in_every_cell():
    (cell,) = expand(matrix(axes={"b": "4.0.0"}, pins={"a": "5.0.0", "c": "4.1.0"}), resolve)
    assert [pin.requirement for pin in cell.pins] == ["b==4.0.0", "a==5.0.0", "c==4.1.0"]


def test_python_may_be_left_out_held_or_an_axis():
    here = PythonContext(python="3.13")
    assert expand(matrix(pins={"a": "4.0.0"}), resolve, here)[0].python == "3.13"
    assert expand(matrix(pins={"a": "4.0.0"}, python="3.12"), resolve, here)[0].python == "3.12"
    cells = expand(matrix(axes={"python": ["3.12", "3.11"], "a": ["4.0.0", "4.1.0"]}), resolve, here)
    assert shown(cells, "python", "a")[:3] == [("3.12", "4.0.0"), ("3.12", "4.1.0"), ("3.11", "4.0.0")]
    assert cells[0].axes == ("python", "a")


def test_only_what_varies_is_an_axis():
    tried = matrix(
        axes={"a": "4.0.0"},
        pins={"b": "4.0.0", "c": "4.0.0"},
        variables={"HELD": "1", "MODE": ["x", "y"]},
        include=[{"c": "4.1.0"}],
    )
    assert varying(tried) == ("a", "MODE", "c")


def test_the_base_interpreter_belongs_only_to_cells_that_use_it():
    cells = expand(matrix(axes={"a": ["installed", "5.0.0"]}), resolve, PythonContext(base_python="/base/python"))
    assert [cell.base_python for cell in cells] == ["/base/python", None]
    assert len({cell.id for cell in cells}) == 2


def test_as_of_is_part_of_a_cell():
    plain, dated = (expand(matrix(pins={"a": "4.0.0"}, **day), resolve)[0] for day in ({}, {"as_of": "2026-03-01"}))
    assert (plain.as_of, dated.as_of) == (None, "2026-03-01")
    assert plain.id != dated.id


def test_an_include_repeats_the_product_with_its_values():
    tried = matrix(axes={"a": ["4.0.0", "4.1.0"], "b": ["5.0.0"]}, include=[{"b": "5.1.0"}, {"a": "4.2.0", "b": "5.x"}])
    assert shown(expand(tried, resolve), "a", "b") == [
        ("4.0.0", "5.0.0"),
        ("4.1.0", "5.0.0"),
        ("4.0.0", "5.1.0"),
        ("4.1.0", "5.1.0"),
        ("4.2.0", "5.0.0"),
        ("4.2.0", "5.1.0"),
        ("4.2.0", "5.2.0"),
    ]


def test_an_include_may_bring_back_what_a_wide_exclude_took():
    tried = matrix(axes={"a": ["4.0.0", "5.0.0", "5.1.0"]}, exclude=[{"a": ">=5"}], include=[{"a": "5.1.0"}])
    assert shown(expand(tried, resolve), "a") == [("4.0.0",), ("5.1.0",)]


def test_names_in_rows_are_read_like_names_in_tables():
    tried = matrix(axes={"My_Package": ["4.0.0", "5.0.0"]}, exclude=[{"my.package": "4.0.0"}])
    assert shown(expand(tried, resolve), "my-package") == [("5.0.0",)]


def test_the_reference_marks_exactly_what_it_matches():
    tried = matrix(axes={"a": ["4.0.0", "5.0.0"], "b": ["4.0.0", "5.0.0"]}, reference={"a": "4.0.0"})
    assert [cell.reference for cell in expand(tried, resolve)] == [True, True, False, False]
    assert not any(cell.reference for cell in expand(matrix(axes={"a": ["4.0.0", "5.0.0"]}), resolve))


def test_a_reference_without_a_cell_is_a_mistake_that_shows_what_is_there():
    tried = matrix(axes={"a": ["4.0.0", "5.0.0"]}, variables={"MODE": ""}, reference={"a": "4.1.0", "MODE": ""})
    with pytest.raises(ConfigError) as caught:
        expand(tried, resolve)
    assert str(caught.value) == (
        'reference { a = "4.1.0", MODE = "" } matches no cell; there are a: 4.0.0, 5.0.0; MODE: ""'
    )


def test_excluding_everything_selects_nothing():
    with pytest.raises(NothingSelectedError, match="leaves no cell"):
        expand(matrix(axes={"a": ["4.0.0", "5.0.0"]}, exclude=[{"a": ">=4"}]), resolve)


TEXTS = st.sampled_from([*KNOWN, ">=5", "4.x", ">=4.1,<5.1"])
PACKAGES = ("alpha", "beta", "gamma")
AXES = st.dictionaries(st.sampled_from(PACKAGES), st.lists(TEXTS, min_size=1, max_size=3), min_size=1)
MODES = st.lists(st.sampled_from(["", "x", "y"]), min_size=1, max_size=3, unique=True)
PYTHONS = st.lists(st.sampled_from(["3.11", "3.12"]), min_size=1, unique=True)


@st.composite
def matrices(draw):
    axes = draw(AXES)
    keys = [*axes, "MODE", "python"]
    values = {"MODE": st.sampled_from(["", "x", "y"]), "python": st.sampled_from(["3.11", "3.12"])}
    row = st.sets(st.sampled_from(keys), min_size=1).flatmap(
        lambda names: st.fixed_dictionaries({name: values.get(name, TEXTS) for name in sorted(names)})
    )
    return matrix(
        axes=axes | {"python": draw(PYTHONS)},
        variables={"MODE": draw(MODES)},
        exclude=draw(st.lists(row, max_size=2)),
        include=draw(st.lists(row, max_size=2)),
    )


def cells_of(tried):
    try:
        return expand(tried, resolve)
    except NothingSelectedError:
        return ()


def without(tried, *tables):
    return tried.model_copy(update=dict.fromkeys(tables, ()))


def content(cell):
    return (cell.python, cell.pins, cell.variables)


@given(matrices())
def test_no_excluded_combination_survives(tried):
    cells = cells_of(without(tried, "include"))
    assert not [cell for cell in cells for row in tried.exclude if selector_matches(row, cell, resolve)]


@given(matrices())
def test_the_product_has_every_combination_once(tried):
    cells = cells_of(without(tried, "include", "exclude"))
    versions = [
        {pin for text in texts for pin in resolve(name, text)} for name, texts in tried.axes.items() if name != "python"
    ]
    wanted = prod(map(len, [*versions, tried.variables["MODE"], tried.axes["python"]]))
    assert len({content(cell) for cell in cells}) == len(cells) == wanted


@given(matrices())
def test_the_cells_are_the_product_less_the_excluded_plus_the_included(tried):
    everything = {content(cell) for cell in cells_of(without(tried, "include", "exclude"))}
    product = cells_of(without(tried, "include", "exclude"))
    dropped = {content(c) for c in product if any(selector_matches(row, c, resolve) for row in tried.exclude)}
    included = set()
    for row in tried.include:
        tables = {"axes": dict(tried.axes), "variables": dict(tried.variables)}
        for key, value in row.items():
            tables["variables" if key == "MODE" else "axes"][key] = (value,)
        included |= {content(cell) for cell in cells_of(without(tried, "include", "exclude").model_copy(update=tables))}
    assert {content(cell) for cell in cells_of(tried)} == (everything - dropped) | included


@given(matrices())
def test_ids_are_unique_and_expansion_repeats_itself(tried):
    cells = cells_of(tried)
    assert len({cell.id for cell in cells}) == len(cells)
    again = cells_of(tried)
    assert again == cells
    assert [cell.id for cell in again] == [cell.id for cell in cells]


@given(matrices())
def test_excluding_keeps_the_order_of_what_stays(tried):
    order = [content(cell) for cell in cells_of(without(tried, "include", "exclude"))]
    kept = [content(cell) for cell in cells_of(without(tried, "include"))]
    assert kept == [one for one in order if one in set(kept)]
