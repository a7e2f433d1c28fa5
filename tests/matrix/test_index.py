import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from packaging.version import Version

from harness.errors import ConfigError, InfrastructureError
from harness.matrix import index as index_module
from harness.matrix.index import IndexFile, Release, combine, fetch_releases, list_releases
from harness.matrix.pip import list_configuration

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)

FILES = (
    {"filename": "tried-1.0-py3-none-any.whl", "upload-time": "2026-03-01T12:00:00Z", "yanked": False},
    {"filename": "tried-1.0.tar.gz", "upload-time": "2026-03-01T11:00:00.5Z"},
    {"filename": "tried-1.1-py3-none-any.whl", "upload-time": "2026-03-02T12:00:00Z", "yanked": "broken"},
    {"filename": "tried-1.2.tar.gz", "yanked": True},
    {"filename": "tried-0.1.win32.exe", "upload-time": "2010-03-02T12:00:00Z"},
)
JSON_PAGE = json.dumps(
    {
        "meta": {"api-version": "1.1"},
        "name": "tried",
        "files": [{"url": f"/f/{file['filename']}", "hashes": {}, **file} for file in FILES],
    }
)

HTML_PAGE = """<!DOCTYPE html><html><body>
<a href="../../f/tried-1.0-py3-none-any.whl#sha256=00" data-upload-time="2026-03-01T12:00:00Z">tried-1.0-py3-no..</a>
<a href="/f/tried-1.0.tar.gz">tried-1.0.tar.gz</a>
<a href="/f/tried-1.1%2Bcpu-py3-none-any.whl" data-yanked="broken &amp; bad">x</a>
<a href="/f/tried-1.2.tar.gz" data-yanked>x</a>
<a name="no link">x</a>
</body></html>"""


def test_a_json_page_has_dates_and_yanked_marks():
    assert index_module.parse_page(JSON_PAGE, as_json=True) == (
        IndexFile(Version("1.0"), DAY, None),
        IndexFile(Version("1.0"), DAY.replace(hour=11, microsecond=500_000), None),
        IndexFile(Version("1.1"), DAY.replace(day=2), "broken"),
        IndexFile(Version("1.2"), None, ""),
    )


def test_an_html_page_has_yanked_marks_and_the_dates_of_a_mirror():
    assert index_module.parse_page(HTML_PAGE, as_json=False) == (
        IndexFile(Version("1.0"), DAY, None),
        IndexFile(Version("1.0"), None, None),
        IndexFile(Version("1.1+cpu"), None, "broken & bad"),
        IndexFile(Version("1.2"), None, ""),
    )


def test_a_release_is_dated_by_its_first_file_and_yanked_when_all_files_are():
    files = (
        IndexFile(Version("1.0"), DAY, None),
        IndexFile(Version("1.0"), DAY.replace(hour=11), "half"),
        IndexFile(Version("1.1"), None, "broken"),
        IndexFile(Version("0.9"), DAY, None),  # pip does not list it: not for this Python
    )
    listed = (Version("2.0"), Version("1.0"), Version("1.0+cpu"))
    assert combine(listed, files) == (
        Release(Version("1.0"), DAY.replace(hour=11), None),
        Release(Version("1.0+cpu")),
        Release(Version("1.1"), None, "broken"),
        Release(Version("2.0")),
    )


class Index(BaseHTTPRequestHandler):
    """A simple index with one package; it remembers what it was asked with."""

    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))
        known = self.path == "/simple/tried/"
        body = self.server.page.encode()
        self.send_response(200 if known else self.server.unknown)
        self.send_header("Content-Type", self.server.kind)
        self.end_headers()
        self.wfile.write(body if known else b"")

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def index(monkeypatch):
    """A real index on this machine, which pip is set to use and nothing else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    server.page, server.kind, server.unknown, server.seen = JSON_PAGE, "application/vnd.pypi.simple.v1+json", 404, []
    address = f"http://127.0.0.1:{server.server_address[1]}/simple"
    server.address = address
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    use_only(monkeypatch, address)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def use_only(monkeypatch, address):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", address)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    list_configuration.cache_clear()


@pytest.fixture(autouse=True)
def _forget_settings():
    yield
    list_configuration.cache_clear()


def test_pip_lists_and_the_page_adds_dates_and_yanked(index):
    assert fetch_releases("tried") == (
        Release(Version("1.0"), DAY.replace(hour=11, microsecond=500_000), None),
        Release(Version("1.1"), DAY.replace(day=2), "broken"),
        Release(Version("1.2"), None, ""),
    )


def test_a_mirror_without_json_still_lists(index):
    index.page, index.kind = HTML_PAGE, "text/html"
    found = fetch_releases("tried")
    assert [str(release.version) for release in found] == ["1.0", "1.1+cpu", "1.2"]
    assert found[0].uploaded == DAY


def test_a_user_and_password_in_the_address_are_sent_and_not_shown(index):
    files = index_module.fetch_page(index.address.replace("http://", "http://me:pass%21@"), "tried", None)
    assert files
    assert index.seen[-1]["Authorization"] == "Basic bWU6cGFzcyE="
    assert "pass" not in index.seen[-1]["Host"]


@pytest.mark.parametrize("page", ["{", "[]", '{"files": [{}]}', '{"files": [3]}', '{"files": 3}', '"x"'])
def test_a_page_of_another_kind_means_unknown(index, page):
    index.page = page
    assert index_module.fetch_page(index.address, "tried", None) == ()


def test_an_index_on_disk_or_a_missing_certificate_means_unknown(tmp_path):
    assert index_module.fetch_page(tmp_path.as_uri(), "tried", None) == ()
    assert index_module.fetch_page("https://127.0.0.1:1/simple", "tried", str(tmp_path / "none.pem")) == ()


def test_a_package_that_no_index_has_is_a_mistake_with_a_suggestion(index, tmp_path):
    with pytest.raises(ConfigError, match=r'has a release of "triad" for this Python; did you mean "tried"\?$'):
        list_releases(["triad"], tmp_path, ["tried", "triad"])


def test_an_index_that_does_not_answer_is_no_mistake_of_the_user(monkeypatch, tmp_path):
    use_only(monkeypatch, "http://127.0.0.1:9/simple")
    with pytest.raises(InfrastructureError, match="the package index does not answer for tried"):
        list_releases(["tried"], tmp_path)


def test_an_index_that_fails_is_no_mistake_of_the_user(index, tmp_path):
    index.unknown = 403
    with pytest.raises(InfrastructureError, match="403"):
        list_releases(["other"], tmp_path)


def test_an_old_list_is_used_with_a_warning_when_the_index_is_silent(index, monkeypatch, tmp_path):
    first = list_releases(["tried"], tmp_path)
    assert first.warnings == ()
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_text())
    file.write_text(json.dumps(kept | {"asked": kept["asked"] - 7200}))
    monkeypatch.setattr(index_module, "fetch_releases", silent)
    second = list_releases(["tried"], tmp_path)
    assert second.releases == first.releases
    assert second.warnings == ("the package index does not answer; the list of tried releases is 2 h old",)


def silent(package, known):
    raise InfrastructureError("no answer")


def test_a_list_is_asked_for_once_an_hour(index, tmp_path):
    first = list_releases(["tried", "Tried"], tmp_path)
    asked = len(index.seen)
    assert list_releases(["tried"], tmp_path) == first
    assert len(index.seen) == asked


@pytest.mark.integration
def test_the_real_index_lists_the_transformers_line(tmp_path):
    found = list_releases(["transformers", "torch"], tmp_path).releases
    versions = [release.version for release in found["transformers"]]
    assert versions == sorted(versions)
    assert {Version("4.57.6"), Version("5.0.0"), Version("5.0.0rc0"), Version("5.6.2")} <= set(versions)
    assert Version("2.13.0") in {release.version for release in found["torch"]}
