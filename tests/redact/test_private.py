"""What the environment of a machine says about its users, hosts and secrets."""

import pytest

from harness.redact.private import Private, as_names, index_hosts, of_machine, owner_of, secrets_in, slurm_nodes


def test_the_environment_names_users_hosts_and_secrets(private_machine, tmp_path):
    private = of_machine()
    assert "alice" in private.users
    assert {"lab-gpu7", "node3", "node4"} <= set(private.hosts)
    assert "tok-from-environment" in private.secrets
    assert dict(private.paths)[str(tmp_path / "home" / "alice")] == "~"


def test_secrets_do_not_show_in_a_traceback():
    assert "correct-horse" not in repr(Private(secrets=("correct-horse",)))


def test_the_nodes_of_a_job_are_expanded():
    assert slurm_nodes("gpu-a[01-03,7],login1") == ("gpu-a01", "gpu-a02", "gpu-a03", "gpu-a7", "login1")
    assert slurm_nodes("") == ()
    assert len(slurm_nodes("n[1-999999]")) == 512


def test_numbers_and_short_texts_are_no_names():
    assert as_names(["Al", "1000", " Alice ", "alice", "db-01.Lab"]) == ("db-01.lab", "alice")


@pytest.mark.parametrize(
    ("setting", "hosts"),
    [
        ("https://pypi.org/simple https://download.pytorch.org/whl", ()),
        ("https://me:pw@wheels.acme.example/simple", ("wheels.acme.example",)),
        ("wheels.acme.example:8080 /srv/wheels", ("wheels.acme.example",)),
        ("http://[broken", ()),
    ],
)
def test_only_hosts_that_are_not_public_are_private(setting, hosts):
    assert index_hosts([setting]) == hosts


def test_a_variable_named_like_a_secret_holds_one():
    variables = {"HF_TOKEN": "abcdef", "MY_API_KEY": "longer-secret", "SHORT_TOKEN": "abc", "TOKENIZERS": "parallel"}
    assert secrets_in(variables.items()) == ("longer-secret", "abcdef")


def test_a_folder_that_does_not_exist_has_no_owner(tmp_path):
    assert owner_of(tmp_path / "missing") == ()


def test_two_descriptions_are_joined():
    one = Private(paths=(("/srv", "<one>"), ("/opt", "<opt>")), users=("bob",), packages=frozenset({"torch"}))
    two = Private(paths=(("/srv", "<two>"),), users=("alice",), words=frozenset({"load"}))
    joined = one.joined(two)
    assert dict(joined.paths) == {"/srv": "<two>", "/opt": "<opt>"}
    assert joined.users == ("alice", "bob")
    assert {"torch", "load", "root"} <= joined.allowed_words
