"""Planted cures for what no release does right yet in scenarios/adapters.py: every test here must come out green."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from accelerate import dispatch_model
from accelerate.hooks import remove_hook_from_module
from safetensors.torch import load_file, save_file

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import adapters
from device_maps import expect_only_gpus

PREFIX = "base_model.model."


@pytest.fixture
def base_put_back(monkeypatch):
    """Let an adapter load bring the base together, add the adapter, and put everything back where it lay."""
    real = adapters.PeftModel.from_pretrained

    def from_pretrained(model, folder, **limits):
        places = model.__dict__.pop("hf_device_map", None)
        if places is None or len(set(places.values())) == 1:
            return real(model, folder)
        remove_hook_from_module(model, recurse=True)
        adapted = real(model, folder)
        dispatch_model(model, places, places["model.embed_tokens"])
        return adapted

    monkeypatch.setattr(adapters.PeftModel, "from_pretrained", from_pretrained)


@scenario(row="D2", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_a_spilled_base_is_put_back(probe, checkpoint, double_quant, base_put_back):
    """The adapter joins a split base, which lies as before."""
    adapters.test_split_decoder_spills_again(probe, checkpoint, double_quant=double_quant)


@scenario(row="D3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_a_base_is_put_back_under_the_offload_keywords(probe, checkpoint, tmp_path, base_put_back):
    """The same with the offload keywords."""
    adapters.test_split_decoder_with_offload_keywords(probe, checkpoint, tmp_path)


@scenario(row="D3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_nothing_lands_on_a_mocked_second_gpu(probe, checkpoint, tmp_path, monkeypatch):
    """The adapter load allocates on the GPU of the map alone."""

    def on_a_split_base(*given, **keywords):
        probe.simulated("two GPUs, and an adapter load that allocates on the first")
        probe.cuda.highest.update({0: 4096})
        expect_only_gpus(probe, {0})

    monkeypatch.setattr(adapters, "on_a_split_base", on_a_split_base)
    adapters.test_split_decoder_beside_another_gpu(probe, checkpoint, tmp_path, offload=False)


@scenario(row="D5", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-broad"])
def test_broad_targets_reach_the_layers_inside(probe, checkpoint, tmp_path, monkeypatch):
    """Names that meet a wrapped linear layer reach the layer inside of it."""
    real = adapters.PeftModel.from_pretrained

    def from_pretrained(model, folder):
        inside = tmp_path / "inside"
        shutil.copytree(folder, inside)
        tensors = {reached(model, name): tensor for name, tensor in load_file(inside / WEIGHTS).items()}
        save_file(tensors, inside / WEIGHTS, {"format": "pt"})
        config = json.loads((inside / CONFIG).read_text())
        paths = {name.removeprefix(PREFIX).rpartition(".lora_")[0] for name in tensors}
        config["target_modules"] = "|".join(path.replace(".", r"\.") for path in sorted(paths))
        (inside / CONFIG).write_text(json.dumps(config))
        return real(model, str(inside))

    monkeypatch.setattr(adapters.PeftModel, "from_pretrained", from_pretrained)
    adapters.test_broad_targets_are_supported(probe, checkpoint)


WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def reached(model, tensor):
    """Return the name of an adapter's tensor with the inner layer in its path where the outer one is a wrapper."""
    path, _, rest = tensor.removeprefix(PREFIX).rpartition(".lora_")
    inner = f"{path}.linear" if hasattr(model.get_submodule(path), "linear") else path
    return f"{PREFIX}{inner}.lora_{rest}"
