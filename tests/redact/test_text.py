"""Private parts of texts and values are replaced, and nothing else is; types stay."""

from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.redact.private import Private
from harness.redact.text import redact, redact_value

UUID = "0a1b2c3d-1111-2222-3333-0123456789ab"
PRIVATE = Private(
    paths=(("/srv/runs/one", "<run>"), ("/work/secret-project", ".")),
    users=("alice", "root", "max", "test", "transformers"),
    hosts=("lab-gpu7", "node3", "localhost", "wheels.acme.example"),
    gpus=("GPU-7",),
    packages=frozenset(
        {"transformers", "torch", "huggingface-hub", "huggingface_hub", "accelerate", "nvidia-curand-cu12"}
    ),
    versions=frozenset({"5.0.0", "10.3.9.90", "1.13.1.3"}),
    secrets=("correct-horse-battery",),
)
HIDDEN = [
    ("/srv/runs/one/cells/x", "<run>/cells/x"),
    ("open('/home/bob/models/x.bin')", "open('~/models/x.bin')"),
    ("/Users/carol/x and C:\\Users\\Carol\\x", "~/x and ~\\x"),
    ("/root/models", "~/models"),
    ("/tmp/pytest-of-bob/0 /private/var/folders/a1/b2/T/x", "<tmp>/pytest-of-bob/0 <tmp>/x"),
    ("read /mnt/lab/dave/weights.safetensors.", "read <path>/weights.safetensors."),
    ("D:\\work\\acme\\model.bin \\\\server\\share\\x.toml", "<path>/model.bin <path>/x.toml"),
    ("/opt/py/lib/python3.11/threading.py:3", "python3.11/threading.py:3"),
    ("alice said; Alice's; by alice-2", "<user> said; <user>'s; by <user>-2"),
    ("user=root USER: test root@x", "user=<user> USER: <user> <user>@x"),
    ("max@node3", "<user>@<host>"),
    ("on lab-gpu7.lab.acme.example:22", "on <host>:22"),
    ("Node3 and db01.local, ip-10-0-0-1.ec2.internal, build.corp", "<host> and <host>, <host>, <host>"),
    ("hf_" + "aB3dE" * 6, "<token>"),
    ("ghp_" + "a" * 36 + " github_pat_" + "b" * 30, "<token> <token>"),
    ("pypi-AgEIcHlwaS5vcmcCJD and sk-proj-Abc123Abc123Abc", "<token> and <token>"),
    ("AKIAIOSFODNN7EXAMPLE", "<token>"),
    ("Authorization: Bearer abc.def", "Authorization: Bearer <secret>"),
    ("token=abc, HF_TOKEN='abc' password: p&x", "token=<secret>, HF_TOKEN='<secret>' password: <secret>&x"),
    ('SECRET=abc {"client_secret": "abc"}', 'SECRET=<secret> {"client_secret": "<secret>"}'),
    ("login --token abcd", "login --token <secret>"),
    ("it is correct-horse-battery", "it is <secret>"),
    ("git+https://me:pw@github.com/a/b", "git+https://github.com/a/b"),
    ("--index-url https://me:pw@wheels.acme.example/simple, then", "--index-url <private url>, then"),
    ("no answer of wheels.acme.example", "no answer of <host>"),
    ("file:///srv/x.whl s3://bucket/x http://10.1.2.3:80/x", "<private url> <private url> <private url>"),
    ("10.1.2.3 192.168.1.5 172.20.0.1", "<ip> <ip> <ip>"),
    ("connected to 8.8.8.8; 8.8.4.4:443", "connected to <ip>; <ip>:443"),
    ("fe80::1:2 and aa:bb:cc:dd:ee:ff", "<ip> and <mac>"),
    (f"GPU-{UUID} MIG-{UUID} GPU-7", "<gpu> <gpu> <gpu>"),
    ("Serial Number : 1652922012345", "Serial Number : <serial>"),
    ("by bob.smith@acme.example", "by <email>"),
    ("--into git:git@git.acme.example:team/gadget --commits", "--into git:<private url> --commits"),
    ("bob@gitserver:/srv/gadget.git and git@git.acme.example", "<private url> and <email>"),
]
KEPT = [
    "transformers/models/gemma4/modeling_gemma4.py:forward",
    "transformers.models.alice.modeling_alice",
    "transformers/models/alice/modeling_alice.py:forward",
    "TypeError: Params4bit.__new__() got an argument '_is_hf_initialized' @ accelerate/utils/modeling.py:set_tensor",
    "huggingface/transformers#43872 and alice/tools#1",
    "https://github.com/huggingface/transformers/compare/v5.3.0...v5.4.0",
    "https://huggingface.co/alice/model git+https://github.com/huggingface/peft@0123abc",
    "https://download.pytorch.org/whl/cpu https://pypi.org/simple https://files.pythonhosted.org/packages/x.whl",
    "transformers-5.0.0-accelerate-1.13.0-0a1b2c load_4bit::test_reserved[plain]",
    "nvidia-curand-cu12==10.3.9.90, 1.13.1.3, nvidia-cublas-cu12 12.8.4.1, driver 10.0.0.4, dead::beef",
    "nvidia-curand-cu12 10.3.10.19 and 127.0.0.1:8000",
    "token = logits.argmax(-1); token=token, token = other; IMAGE_TOKEN = 4; password=getpass.getpass()",
    r"a secret: some of it; re.compile('(?i:\b(?:user|x))')",
    "as root, in max_memory, test_max and a test; the maximum of the transformers",
    "pad_token=None, eos_token='</s>', token=None, tokens: 5; hf_device_map, hf_quantizer, skip_this_long_name_2x",
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1 and /proc/meminfo and /dev/null, and/or, 3/4 GiB/s, n/a",
    "threading.local, torch.distributed.internal, self.local",
    "--into git:git@github.com:huggingface/peft, case::test[git@1a2b3c4d:x/y], git@1a2b3c4d",
    "dev@1a2b3c4d and 12:30:45 on 2026-03-01; 6.70 GiB; model.layers.0.weight; [::2]; 0x7f3a",
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_each_private_thing_is_replaced(text, shown):
    assert redact(text, PRIVATE) == shown


@pytest.mark.parametrize("text", KEPT)
def test_versions_modules_signatures_and_public_links_stay(text):
    assert redact(text, PRIVATE) == text


PIECES = st.one_of(
    st.sampled_from([text for text, _ in HIDDEN] + KEPT),
    st.text(alphabet="ab1 /\\:.=@-_<>'\"root", max_size=12),
    st.sampled_from(["://", "@", "=", "token", "/", "\\", ".", ":", "10.0.0.1", "alice", "<user>", "node3", "\n"]),
)


@given(st.lists(PIECES, max_size=6).map("".join))
@settings(max_examples=400)
def test_a_second_time_changes_nothing_more(text):
    once = redact(text, PRIVATE)
    assert redact(once, PRIVATE) == once


@given(st.sampled_from(KEPT), st.sampled_from([text for text, _ in HIDDEN]))
def test_what_is_kept_is_kept_beside_anything(kept, hidden):
    assert kept in redact(f"{hidden} ; {kept} ; {hidden}", PRIVATE)


VALUES = Private(paths=(("/srv/alice", "~"),), users=("alice",))


class Colour(StrEnum):
    """An enumeration with a text that would be redacted elsewhere."""

    ALICE = "alice"


@dataclass(frozen=True)
class Inner:
    text: str
    number: int
    colour: Colour


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    pairs: tuple[tuple[str, str], ...]
    nothing: None = None


def test_dataclasses_and_tuples_keep_their_types():
    value = Outer((Inner("/srv/alice/a", 1, Colour.ALICE),), (("name", "by alice"),))
    redacted = redact_value(value, VALUES)
    assert redacted == Outer((Inner("~/a", 1, Colour.ALICE),), (("name", "by <user>"),))
    assert redacted.inner[0].colour is Colour.ALICE


def test_lists_and_mappings_are_redacted_with_their_keys():
    assert redact_value({"alice": ["alice", 1, None]}, VALUES) == {"<user>": ["<user>", 1, None]}
