import pytest

from harness.envs import pip_config
from harness.envs.pip_config import translate
from harness.matrix.pip import list_configuration


def test_extra_indexes_are_equal_to_the_main_one():
    uv_settings = translate(
        {"index-url": "https://a.example/simple", "extra-index-url": "https://b.example/simple"}, {}
    )
    env = dict(uv_settings.env)
    assert env["UV_DEFAULT_INDEX"] == "https://a.example/simple"
    assert env["UV_INDEX"] == "https://b.example/simple"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_a_local_index_is_applied_and_a_missing_one_reported():
    settings = {"extra-index-url": "file:///there/simple file:///gone/simple"}
    uv_settings = translate(settings, {}, exists=lambda place: place == "/there/simple")
    assert dict(uv_settings.env)["UV_INDEX"] == "file:///there/simple"
    assert uv_settings.dropped == ("the extra index file:///gone/simple is not applied: there is no such folder",)


def test_find_links_are_arguments_and_missing_folders_are_left_out():
    settings = {"find-links": "/wheels https://w.example/list.html /gone"}
    uv_settings = translate(settings, {}, exists=lambda place: place == "/wheels")
    assert uv_settings.args == ("--find-links", "/wheels", "--find-links", "https://w.example/list.html")
    assert uv_settings.dropped == ("find-links /gone is not applied: there is no such folder",)


def test_a_password_is_passed_to_uv_in_variables_only():
    settings = {
        "index-url": "https://me:secret@a.example/simple",
        "extra-index-url": "https://me:secret@b.example/simple",
        "proxy": "http://me:secret@proxy.example:8080",
    }
    uv_settings = translate(settings, {})
    assert "secret" not in " ".join((*uv_settings.applied, *uv_settings.dropped, *uv_settings.args))
    assert "https://***@a.example/simple" in " ".join(uv_settings.applied)
    assert dict(uv_settings.env)["UV_DEFAULT_INDEX"] == "https://me:secret@a.example/simple"


@pytest.mark.parametrize(
    ("setting", "value", "variable", "expected"),
    [
        ("cert", "/ca.pem", "SSL_CERT_FILE", "/ca.pem"),
        ("client-cert", "/me.pem", "SSL_CLIENT_CERT", "/me.pem"),
        ("trusted-host", "a.example\nb.example:8080", "UV_INSECURE_HOST", "a.example b.example:8080"),
        ("proxy", "proxy.example:8080", "HTTPS_PROXY", "http://proxy.example:8080"),
        ("timeout", "180", "UV_HTTP_TIMEOUT", "180"),
        ("retries", "2", "UV_HTTP_RETRIES", "2"),
    ],
)
def test_what_uv_takes_as_a_variable(setting, value, variable, expected):
    uv_settings = translate({setting: value}, {})
    assert dict(uv_settings.env)[variable] == expected
    assert uv_settings.dropped == ()


def test_the_users_own_uv_setting_wins_and_is_reported():
    own = {"UV_DEFAULT_INDEX": "https://own.example/simple"}
    uv_settings = translate({"index-url": "https://pip.example/simple"}, own)
    assert "UV_DEFAULT_INDEX" not in dict(uv_settings.env)
    assert uv_settings.dropped == ("pip's index-url is not applied: UV_DEFAULT_INDEX is set",)


def test_an_index_strategy_of_the_users_own_stays():
    own = {"UV_INDEX_STRATEGY": "first-index"}
    uv_settings = translate({"extra-index-url": "https://b.example/simple"}, own)
    assert "UV_INDEX_STRATEGY" not in dict(uv_settings.env)


def test_certificates_of_the_system_are_trusted_as_pip_trusts_them():
    assert dict(translate({}, {}).env) == {"UV_SYSTEM_CERTS": "1"}
    assert translate({}, {"SSL_CERT_FILE": "/ca.pem"}).env == ()


def test_what_has_no_counterpart_is_named_and_what_does_not_matter_is_not():
    does_not_matter = {"progress-bar": "off", "no-index": "false", "config-file": "/home/me/pip.conf"}
    uv_settings = translate({"pre": "true", "use-feature": "fast-deps", **does_not_matter}, {})
    assert uv_settings.dropped == (
        "pip's pre is not applied: a matrix names its pre-releases",
        "pip's use-feature is not applied: uv has no such setting",
    )


def test_only_binary_and_no_index_mean_the_same():
    uv_settings = translate({"only-binary": ":all:", "no-binary": "a,b", "no-index": "yes"}, {})
    assert uv_settings.args == ("--no-binary", "a", "--no-binary", "b", "--no-index", "--only-binary", ":all:")


def test_pips_configuration_is_read_with_its_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    list_configuration.cache_clear()
    try:
        assert dict(pip_config.read_uv_settings().env)["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    finally:
        list_configuration.cache_clear()
