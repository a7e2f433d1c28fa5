"""Checkpoints by the real builder, and the same scenario on weights from a hub's cache and from a folder."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import load_table as load
from harness.envs.cache_dir import CacheDir
from harness.session.checkpoint_builder import builder_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "scenarios" / "checkpoints"
# 270 million weights: 0.5 GiB; two tensors are larger than a file of 64 MiB may be
MIDDLE = """
kind = "model"
model_type = "qwen2"
architecture = "Qwen2ForCausalLM"
[fill]
"norm\\\\.weight$" = 1.0
[tiny]
{stated}
std = 0.02
[tiny.config]
hidden_size = 1024
intermediate_size = 8192
num_hidden_layers = 6
num_attention_heads = 8
num_key_value_heads = 2
vocab_size = 50000
tie_word_embeddings = false
"""
SHARD = 64 * 2**20
KILLED_AFTER = "shard 3 of"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of the pinned builder environment."""
    return builder_python(SHIPPED, CacheDir.of_user(), tmp_path_factory.mktemp("builder") / "install.log")


@pytest.fixture
def middle(tmp_path):
    file = tmp_path / "middle.toml"
    file.write_text(MIDDLE.format(stated=""))
    return file


@pytest.fixture(scope="module")
def in_shards(python, tmp_path_factory):
    """The middle model as a whole build writes it in several files; a test that changes it takes a copy."""
    folder = tmp_path_factory.mktemp("in-shards")
    (folder / "middle.toml").write_text(MIDDLE.format(stated=""))
    build(python, folder / "middle.toml", folder / "whole", "--shard-bytes", str(SHARD))
    return folder / "whole"


def command(python, definition, out, *more):
    return [str(python), str(SHIPPED / "build.py"), "--definition", str(definition), "--out", str(out), *more]


def build(python, definition, out, *more, code=0):
    done = subprocess.run(
        command(python, definition, out, *more), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.safetensors"))}


def tensor_names(file):
    with file.open("rb") as content:
        return set(json.loads(content.read(int.from_bytes(content.read(8), "little")))) - {"__metadata__"}


def peak_bytes(arguments):
    """Run a command and return the most resident memory it had, shared libraries included."""
    child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_maxrss * 1024


def test_the_library_reads_what_was_drawn_and_twice_the_same(python, tmp_path):
    for out in ("one", "two"):
        build(python, SHIPPED / "qwen2.5-7b.toml", tmp_path / out)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    program = (
        "import sys; from safetensors.torch import load_file; t = load_file(sys.argv[1]);"
        "w = t['model.layers.0.mlp.up_proj.weight'].float(); n = t['model.norm.weight'].float();"
        "print(tuple(w.shape), abs(w.mean().item()) < 0.01, round(w.std().item(), 2), n.min().item(), n.max().item())"
    )
    said = subprocess.run(
        [str(python), "-c", program, str(tmp_path / "one" / "model.safetensors")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["(768,", "256)", "True", "0.08", "1.0", "1.0"]


def test_experts_are_written_one_by_one_as_published(python, tmp_path):
    build(python, SHIPPED / "qwen3-moe.toml", tmp_path / "moe")
    names = tensor_names(tmp_path / "moe" / "model.safetensors")
    for part in ("gate_proj", "up_proj", "down_proj"):
        assert f"model.layers.3.mlp.experts.31.{part}.weight" in names
    assert not [name for name in names if "gate_up" in name]


def test_memory_does_not_grow_with_the_model(python, middle, tmp_path):
    """A model of 0.5 GiB costs no more than the blocks of the threads that draw it."""
    small = peak_bytes(command(python, SHIPPED / "qwen2.5-7b.toml", tmp_path / "small"))
    large = peak_bytes(command(python, middle, tmp_path / "large"))
    written = (tmp_path / "large" / "model.safetensors").stat().st_size
    assert written > 500 * 2**20
    assert large - small < 12 * 2**20 * (os.cpu_count() or 1) + 100 * 2**20


def hear_sigint():
    """Let a child hear SIGINT: what a shell starts in the background is deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_build_goes_on_where_it_stopped(python, middle, in_shards, tmp_path, how):
    limit = ("--shard-bytes", str(SHARD))
    out = tmp_path / "out"
    child = subprocess.Popen(
        command(python, middle, out, *limit),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_sigint,  # noqa: PLW1509 - no thread is running
    )
    while KILLED_AFTER not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(how)
    _, said = child.communicate(timeout=60)
    assert child.returncode != 0
    assert "Traceback" not in said
    assert not out.exists(), "nothing that looks finished is left"
    done = build(python, middle, out, *limit)
    assert "(kept)" in done.stdout
    assert "it there already" in done.stdout
    assert digests(out) == digests(in_shards)
    assert not list(tmp_path.glob("building-*"))
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(digests(out))


def test_a_shard_of_the_wrong_length_is_written_again(python, middle, in_shards, tmp_path):
    limit = ("--shard-bytes", str(SHARD))
    out = shutil.copytree(in_shards, tmp_path / "out")
    before = digests(out)
    with (out / sorted(before)[1]).open("rb+") as file:
        file.truncate(1000)
    done = build(python, middle, out, *limit)
    assert done.stdout.count("(kept)") == len(before) - 1
    assert digests(out) == before


def test_another_definition_under_the_same_name_starts_anew(python, middle, in_shards, tmp_path):
    out = shutil.copytree(in_shards, tmp_path / "out")
    middle.write_text(middle.read_text().replace("std = 0.02", "std = 0.03"))
    assert "(kept)" not in build(python, middle, out, "--shard-bytes", str(SHARD)).stdout


def test_a_definition_that_states_other_bytes_is_one_sentence(python, middle, tmp_path):
    middle.write_text(MIDDLE.format(stated="bytes = 7"))
    said = build(python, middle, tmp_path / "out", code=1).stderr.strip().splitlines()[-1]
    assert said.startswith("middle.toml says bytes = 7 in [tiny], but the weights take ")


def test_a_full_disk_is_one_sentence_with_a_planted_error(python, middle, tmp_path):
    """The write that fails is simulated: a file system of a known size needs an administrator."""
    program = (
        "import errno, sys; sys.path.insert(0, sys.argv.pop(1)); import build, shardfile\n"
        "def full(*job): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "shardfile._write_block = full\n"
        "build.main()\n"
    )
    arguments = [str(python), "-c", program, str(SHIPPED), "--definition", str(middle), "--out", str(tmp_path / "out")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("the disk is full: the shards that are whole are kept")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


# --- weights from elsewhere ----------------------------------------------------------------------------------------

CASE = '''
"""A model and an adapter, wherever their weights come from."""
from harness.probe import scenario


@scenario(checkpoints=["mine", "mine-lora"])
def test_case(probe, checkpoint):
    """The adapter changes the model's answer."""
    import os
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint("mine"), dtype=torch.float32, device_map={"": probe.device})
    ids = torch.tensor([[5, 6, 7]], device=probe.device)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        after = PeftModel.from_pretrained(model, checkpoint("mine-lora"))(input_ids=ids).logits
    probe.record("bytes", sum(p.numel() * 2 for p in model.parameters() if p.dtype == torch.float32))
    probe.record("place", checkpoint("mine"))
    probe.expect("the adapter changes the answer", not torch.allclose(before, after))
'''
MATRIX = """
name = "own"
scenarios = ["case", "scenarios/load_4bit::test_four_counts_agree"]
reference = {{ transformers = "4.57.6" }}
[axes]
transformers = ["4.57.6", "5.6.2"]
[pins]
torch = "2.13.0"
accelerate = "1.13.0"
bitsandbytes = "0.49.2"
peft = "0.19.1"
[checkpoints]
weights = "{weights}"
"""
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def built(tmp_path_factory, python):
    """Weights by the real builder: a model under two names, and its adapter."""
    weights = tmp_path_factory.mktemp("weights")
    build(python, SHIPPED / "qwen2.5-7b.toml", weights / "mine")
    build(python, SHIPPED / "qwen2.5-7b-lora.toml", weights / "mine-lora", "--base", str(weights / "mine"))
    shutil.copytree(weights / "mine", weights / "qwen2.5-7b")
    return weights


@pytest.fixture
def project(tmp_path, built):
    """A user's folder: a scenario, definitions beside it that name a hub, and the weights in ``weights/``."""
    (tmp_path / "case.py").write_text(CASE)
    (tmp_path / "checkpoints").mkdir()
    for name, hub, more in (("mine", "org/mine", ""), ("mine-lora", "org/mine-lora", 'base = "mine"')):
        (tmp_path / "checkpoints" / f"{name}.toml").write_text(f'kind = "model"\nhub = "{hub}"\n{more}\n')
    shutil.copytree(built, tmp_path / "weights")
    return tmp_path


def fill_hub_cache(cache, weights):
    """Lay the folders out as the hub's library does."""
    for name, hub in (("mine", "org/mine"), ("mine-lora", "org/mine-lora"), ("mine", "Qwen/Qwen2.5-7B-Instruct")):
        repository = cache / f"models--{hub.replace('/', '--')}"
        shutil.copytree(weights / name, repository / "snapshots" / REVISION)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(REVISION)


def run(project, weights, **variables):
    (project / "own.toml").write_text(MATRIX.format(weights=weights))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    arguments = [sys.executable, "-m", "harness.cli.main", "run", "own.toml", "--json"]
    done = subprocess.run(
        arguments, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return load(project / json.loads(done.stdout)["run"])


def check(frame):
    assert dict(frame["outcome"].value_counts()) == {"pass:check": 4}, frame[["transformers", "scenario", "outcome"]]


def test_weights_of_a_hub_cache_without_network(project):
    home = project / "hf"
    fill_hub_cache(home / "hub", project / "weights")
    check(run(project, "hub", HF_HOME=str(home), HF_HUB_OFFLINE="1"))
    moved = project / "elsewhere"
    (home / "hub").rename(moved)
    check(run(project, "hub", HF_HOME=str(home), HF_HUB_CACHE=str(moved), HF_HUB_OFFLINE="1"))


def test_weights_of_a_plain_folder(project):
    check(run(project, str(project / "weights")))


def test_weights_that_are_nowhere_are_named(project):
    (project / "own.toml").write_text(MATRIX.format(weights=str(project / "checkpoints")))
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", "run", "own.toml"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "mine is not there; it needs the folder" in done.stdout + done.stderr
