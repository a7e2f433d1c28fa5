"""What a cell is called over nights."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from pydantic import TypeAdapter

from harness.matrix.base import BaseInterpreter, BasePackage
from harness.matrix.cell import Cell, Pin
from harness.matrix.expand import expand
from harness.matrix.git import ResolvedRef
from harness.matrix.index import Release
from harness.matrix.schema import MatrixFile
from harness.matrix.versions import Resolver
from harness.store.records import CellRecord, series_name, series_names

SHA = "1a2b3c4d" * 5


def resolver(*versions):
    day = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    return Resolver(
        releases=lambda package: tuple(Release(Version(text), day, None) for text in versions),
        commit=lambda package, wanted: (f"https://host.invalid/{package}", ResolvedRef(SHA)),
        base=lambda: BaseInterpreter(Path("/base/python"), "3.11.7", {"a": BasePackage("a", "2.13.0+cpu")}),
        folder=lambda text: Path("/work") / text,
    )


def cells(resolve, **keys):
    return expand(MatrixFile.model_validate({"name": "tried", "scenarios": ["x"]} | keys), resolve)


def lines(resolve, **keys):
    return [cell.series() for cell in cells(resolve, **keys)]


MOVING = ["5.0.0", "latest", "dev", "git:main", "pr:12", "path:work", "installed"]


def test_what_moves_is_called_by_its_expression_and_what_is_pinned_by_its_version():
    found = lines(resolver("5.0.0", "5.1.0"), axes={"a": MOVING}, python="3.11")
    # dev, git:main and pr:12 are one commit here, and one cell
    assert found == ["a=5.0.0", "a=latest", "a=dev", "a=path:work", "a=installed"]
    for text in MOVING:
        assert lines(resolver("5.0.0", "5.1.0"), axes={"a": [text]}, python="3.11") == [f"a={text}"]


def test_the_last_minors_are_counted_from_the_newest_and_a_range_by_its_releases():
    resolve = resolver("5.0.0", "5.0.1", "5.1.0", "5.2.0")
    assert lines(resolve, axes={"a": ["latest:3"]}) == ["a=latest~2", "a=latest~1", "a=latest~0"]
    assert lines(resolve, axes={"a": [">=5.1"]}) == ["a=5.1.0", "a=5.2.0"]


def test_the_newest_release_is_the_line_latest_though_a_range_named_it_first():
    resolve = resolver("5.0.0", "5.1.0")
    assert lines(resolve, axes={"a": [">=5.0", "latest"]}) == ["a=5.0.0", "a=latest"]
    assert lines(resolve, axes={"a": ["latest", "5.1.0"]}) == ["a=latest"]


def test_an_included_cell_that_is_there_already_gives_it_its_moving_name():
    resolve = resolver("5.0.0", "5.1.0")
    assert lines(resolve, axes={"a": ["5.0.0", "5.1.0"]}, include=[{"a": "latest"}]) == ["a=5.0.0", "a=latest"]


def test_axes_stand_in_the_matrix_s_order_with_python_and_variables_where_they_vary():
    found = lines(
        resolver("5.1.0"),
        axes={"b": ["4.0.0"], "python": ["3.11", "3.12"], "a": ["latest"]},
        pins={"c": "dev"},
        variables={"MODE": ["", "x"], "HELD": "y"},
    )
    assert found[:2] == ["b=4.0.0 python=3.11 a=latest MODE=", "b=4.0.0 python=3.11 a=latest MODE=x"]
    assert len(found) == 4


def test_a_cell_in_which_nothing_varies_is_called_like_its_matrix():
    (cell,) = cells(resolver("5.1.0"), pins={"a": "latest"})
    assert cell.series() == ""
    assert series_name(record(cell), "tried") == "tried"


@given(st.integers(0, 8), st.sampled_from(["latest", "latest:1", "dev", "installed"]))
def test_a_line_stays_when_releases_come_out_and_the_cell_s_id_follows_the_version(more, text):
    before, after = (
        cells(resolver(*(f"5.{minor}.0" for minor in range(count))), axes={"a": [text]}) for count in (1, 1 + more)
    )
    assert before[0].series() == after[0].series()
    moved = bool(more) and text.startswith("latest")
    assert (before[0].id != after[0].id) is moved


def record(cell, **changes):
    fields = {
        "id": cell.id,
        "labels": {axis: cell.label(axis) for axis in cell.axes},
        "pins": {},
        "python": cell.python,
        "line": cell.series(),
    }
    return CellRecord(**(fields | changes))


@pytest.mark.parametrize(
    ("label", "line"),
    [
        ("5.1.0", "a=5.1.0"),
        ("dev@1a2b3c4d", "a=dev"),
        ("git:v5@1a2b3c4d", "a=git:v5"),
        ("pr:12@1a2b3c4d", "a=pr:12"),
        ("installed@2.13.0+cpu", "a=installed"),
        ("path:work", "a=path:work"),
        ("git@1a2b3c4d", "a=git@1a2b3c4d"),  # one commit of a search: it is its own line
    ],
)
def test_an_older_record_is_called_by_its_labels_without_commits(label, line):
    old = CellRecord(id="a-1", labels={"a": label}, pins={}, python="3.11")
    assert series_name(old) == line


def test_of_two_cells_that_were_latest_on_their_days_the_last_one_keeps_the_name():
    old, new = (record(cells(resolver(version), axes={"a": ["latest"]})[0]) for version in ("5.0.0", "5.1.0"))
    assert series_names([old, new]) == {old.id: f"a=latest ({old.id})", new.id: "a=latest"}


def test_an_expression_is_no_part_of_a_cell_and_survives_writing():
    plain, moving = (
        Cell("3.11", (Pin("a", "5.0.0", "a==5.0.0", expression=text),), axes=("a",)) for text in ("", "latest")
    )
    assert (plain.id, plain) == (moving.id, moving)
    kept = TypeAdapter(Cell)
    assert kept.validate_json(kept.dump_json(moving)).series() == "a=latest"
    older = kept.dump_python(plain, mode="json")
    del older["pins"][0]["expression"]
    assert kept.validate_python(older).series() == "a=5.0.0"
