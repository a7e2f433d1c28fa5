"""A draft says which newer releases were not tried, from answers that are kept, and asks no index."""

import json

import pytest
from packaging.version import Version

from harness.errors import InfrastructureError
from harness.matrix import index
from harness.matrix.index import Release, list_releases
from harness.report.issue.untested import Newest, known_newest, newer_releases


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep an answer of the index about ``app``, and let the index be silent from then on."""
    listed = [Release(Version(text)) for text in ("1.0", "1.2", "1.3rc1")]
    listed.append(Release(Version("1.4"), yanked="broken"))
    monkeypatch.setattr(index, "fetch_releases", lambda *_: tuple(listed))
    list_releases(["app"], tmp_path)

    def silent(*_):
        raise InfrastructureError("asked")

    monkeypatch.setattr(index, "fetch_releases", silent)
    return tmp_path


def test_the_newest_final_release_is_read_from_what_is_kept(kept):
    assert known_newest(["app", "other"], kept) == {"app": Newest(Version("1.2"))}


def test_an_answer_of_the_day_before_yesterday_is_old(kept):
    (file,) = kept.iterdir()
    answer = json.loads(file.read_text())
    file.write_text(json.dumps(answer | {"asked": answer["asked"] - 2 * 86_400}))
    assert known_newest(["app"], kept) == {"app": Newest(Version("1.2"), old=True)}


@pytest.mark.parametrize(
    ("tried", "newest", "said"),
    [
        (("1.0", "1.1"), Newest(Version("1.2")), "were not tried: app 1.2 (the newest tried is 1.1)."),
        (("1.0",), Newest(Version("1.2"), old=True), "were not tried: app 1.2 (the newest tried is 1.0)."),
        (("2.13.0+cpu",), Newest(Version("2.13.0")), ""),
        (("1.2",), Newest(Version("1.2")), ""),
        (("1.2",), Newest(Version("1.2"), old=True), "If there are newer releases of app, they were not tried."),
        (("1.2",), None, "If there are newer releases of app, they were not tried."),
        (("1.1 (dev@bf7b9e66)",), Newest(Version("1.2")), ""),
        ((), None, ""),
    ],
)
def test_what_is_newer_than_all_that_was_tried_is_named(tried, newest, said):
    found = " ".join(newer_releases({"app": tried}, {"app": newest} if newest else {}))
    assert found.endswith(said)
    assert bool(found) == bool(said)
