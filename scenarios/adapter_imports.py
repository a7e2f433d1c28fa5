"""Field reports, rows G7, G9 and G10: imports between PEFT, transformers and torchao that do not fit together.

Nothing at the top imports PEFT: whether it can be imported is what is asked.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
import torch
from device_maps import MOVED, distance
from quantized import count_linear4bit, greedy, import_bitsandbytes, load_in_4bit, load_plain, logits, prompt

from harness.probe import scenario

TARGETS = ["q_proj", "v_proj"]
SAME_EXACT = 1e-3  # relative distance of float32 logits that were computed from equal weights in another order
ADAPTED_PER_LAYER = len(TARGETS)


# --- G7: import peft -----------------------------------------------------------------------------------------------


@scenario(row="G7", needs=["peft"], checkpoints=["qwen2.5-7b"])
def test_import_peft(probe, checkpoint):
    """PEFT can be imported beside this transformers, and what it brings wraps a model that then answers."""
    forget("peft")
    with probe.phase("import"):
        import peft
    probe.record("peft_from", peft.__version__)
    model = load_plain(checkpoint("qwen2.5-7b"), {"": probe.device})
    expect_lora_works(probe, model)


@scenario(row="G7", checkpoints=["qwen2.5-7b"])
def test_the_base_without_peft(probe, checkpoint):
    """Control: the same base loads and generates where PEFT is left alone."""
    with probe.phase("load"):
        model = load_plain(checkpoint("qwen2.5-7b"), {"": probe.device})
    with probe.phase("generate"):
        tokens = greedy(model, prompt(model))
    probe.record("tokens", tokens)
    probe.expect("generates", len(tokens) == 8, tokens)


# --- G9: the adapter methods of transformers -----------------------------------------------------------------------


@scenario(row="G9", needs=["peft"], checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("through", ["transformers", "peft"])
def test_load_adapter(probe, checkpoint, through):
    """An adapter that is loaded by ``model.load_adapter(folder)`` reaches every layer and answers as its weights say.

    ``peft`` is the control: ``PeftModel.from_pretrained`` with the same folder. Both are compared with the adapter's
    product added to the base's weights by hand, so that neither vouches for the other.
    """
    base, adapter = checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora")
    wanted = logits_merged_by_hand(base, adapter, probe.device)
    gc.collect()  # two models in float32 are more than needs be held
    model = load_plain(base, {"": probe.device}, dtype=torch.float32)
    before = logits(model, prompt(model))
    with probe.phase("adapter"):
        if through == "transformers":
            model.load_adapter(adapter)
        else:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    stored = sum(name.endswith(".lora_A.weight") for name in adapter_tensors(adapter))
    reached = lora_layers(model)
    probe.record("adapted", reached)
    probe.expect("every adapter weight has its module", reached == stored, f"{reached} of {stored}")
    with probe.phase("forward"):
        found = logits(model, prompt(model))
    moved, apart = distance(found, before), distance(found, wanted)
    probe.record("moved_by_adapter", moved)
    probe.record("distance_to_control", apart)
    probe.expect("the adapter changes the answer", moved > MOVED, f"relative distance {moved:.4f}")
    text = f"relative distance {apart:.6f}, allowed {SAME_EXACT}"
    probe.expect("it answers as the merged weights do", apart <= SAME_EXACT, text)


# --- G10: torchao merely installed ---------------------------------------------------------------------------------


@scenario(row="G10", needs=["peft", "torchao"], checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("base", ["bf16", "4bit"])
def test_lora_beside_torchao(probe, checkpoint, base):
    """LoRA is injected into a model that has nothing to do with the torchao that is installed beside it.

    ``4bit`` is the control: bitsandbytes layers are wrapped before PEFT asks for torchao.
    """
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    with probe.phase("load"):
        load = load_in_4bit if base == "4bit" else load_plain
        model = load(folder, {"": probe.device})
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("the base is what it should be", bool(count_linear4bit(model)) == (base == "4bit"))
    expect_lora_works(probe, model)


# --- steps ---------------------------------------------------------------------------------------------------------


def forget(package: str) -> None:
    """Drop a package's modules, so that the next import runs it anew: a fork server may have imported it before."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def expect_lora_works(probe: Any, model: Any) -> None:
    """Inject LoRA into the attention, and state that it reached every layer and changes the answer."""
    inputs = prompt(model)
    before = logits(model, inputs)
    with probe.phase("adapter"):
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(0)
        config = LoraConfig(r=8, lora_alpha=64, target_modules=TARGETS, init_lora_weights=False, task_type="CAUSAL_LM")
        adapted = get_peft_model(model, config).eval()
    reached, wanted = lora_layers(adapted), ADAPTED_PER_LAYER * model.config.num_hidden_layers
    probe.record("adapted", reached)
    probe.expect("every named layer is adapted", reached == wanted, f"{reached} of {wanted}")
    with probe.phase("forward"):
        moved = distance(logits(adapted, inputs), before)
    probe.record("moved_by_adapter", moved)
    probe.expect("the adapter changes the answer", moved > MOVED, f"relative distance {moved:.4f}")


def lora_layers(model: Any) -> int:
    """Count the layers that carry LoRA weights."""
    return sum(name.endswith(".lora_A") for name, _ in model.named_modules())


def logits_merged_by_hand(base: str, adapter: str, device: str) -> torch.Tensor:
    """Return the logits of the base with B·A·alpha/r added to each weight that the adapter names; in float32."""
    from peft import PeftConfig

    config, held = PeftConfig.from_pretrained(adapter), adapter_tensors(adapter)
    model = load_plain(base, {"": device}, dtype=torch.float32)
    for name in [name for name in held if name.endswith(".lora_A.weight")]:
        module = model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
        product = held[name.replace(".lora_A.", ".lora_B.")].float() @ held[name].float()
        module.weight.data += (product * config.lora_alpha / config.r).to(device)
    return logits(model, prompt(model))


def adapter_tensors(adapter: str) -> dict[str, torch.Tensor]:
    """Return the tensors of an adapter's weight file by name."""
    from safetensors.torch import load_file

    return load_file(f"{adapter}/adapter_model.safetensors")
