import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from harness.matrix.expression import Exact, Expression, Folder, GitRef, Installed, Latest, Range, label_version, parse


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("5.1.0", Exact(Version("5.1.0"))),
        ("2.13.0+cpu", Exact(Version("2.13.0+cpu"))),
        (">=5.0,<5.7", Range(SpecifierSet(">=5.0,<5.7"))),
        ("5.1.x", Range(SpecifierSet("==5.1.*"))),
        ("5.x", Range(SpecifierSet("==5.*"))),
        ("5.1.*", Range(SpecifierSet("==5.1.*"))),
        ("5.x.x", Range(SpecifierSet("==5.*"), newest_patches=True)),
        ("latest", Latest(1)),
        ("latest:6", Latest(6)),
        ("dev", GitRef("dev")),
        ("git:v5.0-release", GitRef("git:v5.0-release", ref="v5.0-release")),
        ("git:user/topic", GitRef("git:user/topic", ref="user/topic")),
        ("pr:44387", GitRef("pr:44387", pull=44387)),
        ("path:../transformers", Folder("../transformers")),
        ("installed", Installed()),
    ],
)
def test_every_form_is_read(text, meaning):
    assert parse(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        *("", "newest", "latest:", "latest:0", "latest:x", " latest", "dev:x", "git:", "git:--upload-pack=x"),
        *("pr:", "pr:x", "path:", "installed:x", ">", ">=5.0,<x", "5.1.x.y", "x"),
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="is not a v"):
        parse(text)


@given(st.text(max_size=20))
def test_no_text_makes_anything_but_an_expression_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert isinstance(parse(text), Expression)


@pytest.mark.parametrize(
    ("text", "version", "inside"),
    [
        (">=5.0,<5.7", "5.6.2", True),
        (">=5.0,<5.7", "5.7.0", False),
        (">=5.0,<5.7", "5.1.0rc1", False),
        (">=5.0rc0,<5.7", "5.0.0rc1", True),
        ("5.1.x", "5.1.3", True),
        ("5.1.x", "5.10.0", False),
        (">=4", "5.0.0rc0", False),
    ],
)
def test_a_range_has_prereleases_only_where_it_names_one(text, version, inside):
    wanted = parse(text)
    assert isinstance(wanted, Range)
    assert wanted.contains(Version(version)) is inside


@pytest.mark.parametrize(
    ("label", "version"),
    [("5.1.0", "5.1.0"), ("installed@2.13.0+cpu", "2.13.0+cpu"), ("dev@1a2b3c4d", None), ("path:work", None)],
)
def test_a_label_has_its_release_number(label, version):
    assert label_version(label) == (version and Version(version))
