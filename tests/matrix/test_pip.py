"""pip's configuration, as ``pip config list`` prints it."""

import subprocess

import pytest

from harness.errors import InfrastructureError
from harness.matrix import pip
from harness.matrix.pip import INDEX_SECTIONS, INSTALL_SECTIONS, parse_settings, read_settings

LISTING = """WARNING: odd
global.cert='/a'
global.index-url='https://one/simple'
:env:.cert='/b'
index.pre='1'
index.index-url='https://index/simple'
install.index-url='https://install/simple'
download.find-links='/not/for/us'
global.retries='3'
:env:.retries='7'
"""


def test_of_the_sections_of_a_command_the_later_wins():
    common = {"cert": "/b", "retries": "7"}
    assert parse_settings(LISTING, INDEX_SECTIONS) == common | {"index-url": "https://index/simple", "pre": "1"}
    assert parse_settings(LISTING, INSTALL_SECTIONS) == common | {"index-url": "https://install/simple"}


def test_a_value_over_several_lines_is_one_setting():
    listing = "global.extra-index-url='\\nhttps://a.example/simple\\nhttps://b.example/simple?x=1'"
    assert parse_settings(listing, INSTALL_SECTIONS) == {
        "extra-index-url": "https://a.example/simple\nhttps://b.example/simple?x=1"
    }


@pytest.mark.parametrize(
    ("listing", "seconds"),
    [(":env:.default-timeout='180'", "180"), ("global.timeout='5'\n:env:.default-timeout='180'", "180")],
)
def test_the_timeout_has_two_names(listing, seconds):
    assert parse_settings(listing, INSTALL_SECTIONS) == {"timeout": seconds}


def test_a_configuration_that_pip_rejects_is_one_sentence(monkeypatch):
    rejected = subprocess.CompletedProcess([], 2, "", "ERROR: no section header\n")
    monkeypatch.setattr(pip, "run_pip", lambda *arguments: rejected)
    pip.list_configuration.cache_clear()
    with pytest.raises(InfrastructureError, match="pip cannot read its configuration: ERROR: no section header"):
        read_settings(INDEX_SECTIONS)
