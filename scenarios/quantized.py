"""What the scenarios share: loading in 4-bit and without, counting what was quantized, prompts and generation.

Works unchanged on transformers 4.57 and on every 5.x; never imports bitsandbytes at its top, because a fork server may
have imported this file's dependencies before the attempt was forked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import transformers
from torch import nn

from harness.probe.placement import histogram

DeviceMap = str | dict[str, int | str]

NEVER_QUANTIZED = ("lm_head",)  # what transformers keeps in full precision when it is given no skip list
LINEARS_PER_LAYER = 7  # of a Qwen2 decoder: q, k, v, o, gate, up, down
PROMPT_SEEDS = (11, 23, 37)  # one prompt each, for scenarios that want three


# --- loading -------------------------------------------------------------------------------------------------------


def import_bitsandbytes(probe: Any) -> Any:
    """Import bitsandbytes in its own phase (on a GPU this makes the CUDA context) and return the module."""
    with probe.phase("import"):
        import bitsandbytes
    return bitsandbytes


def four_bit_config(
    *, double_quant: bool = False, cpu_offload: bool = False, skip_modules: Sequence[str] | None = None
) -> transformers.BitsAndBytesConfig:
    """Return the reporters' NF4 configuration; ``cpu_offload`` belongs to every map that holds cpu or disk."""
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=double_quant,
        llm_int8_enable_fp32_cpu_offload=cpu_offload,
        llm_int8_skip_modules=None if skip_modules is None else list(skip_modules),
    )


def model_class(folder: str) -> Any:
    """Return the class that the checkpoint's config names (``Gemma4ForConditionalGeneration``, …)."""
    config = transformers.AutoConfig.from_pretrained(folder)
    return getattr(transformers, config.architectures[0])


def load_in_4bit(
    folder: str,
    device_map: DeviceMap,
    *,
    double_quant: bool = False,
    cpu_offload: bool = False,
    skip_modules: Sequence[str] | None = None,
    **keywords: Any,
) -> Any:
    """Load a checkpoint in NF4 with bfloat16 compute; further keywords go to ``from_pretrained``."""
    config = four_bit_config(double_quant=double_quant, cpu_offload=cpu_offload, skip_modules=skip_modules)
    return load_plain(folder, device_map, quantization_config=config, **keywords)


def load_plain(folder: str, device_map: DeviceMap, *, dtype: torch.dtype = torch.bfloat16, **keywords: Any) -> Any:
    """Load a checkpoint as it is, in ``dtype``, ready for inference."""
    model = model_class(folder).from_pretrained(folder, device_map=device_map, dtype=dtype, **keywords)
    return model.eval()


# --- what was quantized --------------------------------------------------------------------------------------------


def linear4bit_names(model: nn.Module, under: Sequence[str] = ("",)) -> list[str]:
    """List the full paths of the ``Linear4bit`` modules, those that have a path segment in ``under`` if given."""
    import bitsandbytes as bnb

    names = [name for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)]
    return [name for name in names if any(not part or part in name.split(".") for part in under)]


def count_linear4bit(model: nn.Module, under: Sequence[str] = ("",)) -> int:
    """Count the ``Linear4bit`` modules, optionally only those below the named modules (``vision_tower``)."""
    return len(linear4bit_names(model, under))


def plain_linear_names(model: nn.Module, but: Sequence[str] = NEVER_QUANTIZED) -> list[str]:
    """List the ``nn.Linear`` modules that stayed unquantized, without those that have a path segment in ``but``."""
    return [
        name
        for name, module in model.named_modules()
        if type(module) is nn.Linear and not set(but) & set(name.split("."))
    ]


def packed_bytes(model: nn.Module) -> int:
    """Sum the bytes of the uint8 parameters: where 4-bit weights live."""
    return sum(p.numel() * p.element_size() for p in model.parameters() if p.dtype == torch.uint8)


def quant_state_bytes(model: nn.Module) -> int:
    """Sum the bytes of what 4-bit weights carry outside of the parameters: block scales and code books."""
    total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        while state is not None:
            parts = (getattr(state, name, None) for name in ("absmax", "code", "offset"))
            total += sum(part.numel() * part.element_size() for part in parts if isinstance(part, torch.Tensor))
            state = getattr(state, "state2", None)
    return total


def bytes_by_dtype(model: nn.Module) -> dict[str, int]:
    """Return dtype → bytes over all parameters and buffers, the largest first."""
    total: Counter[str] = Counter()
    for row in histogram(model).values():
        total.update(row)
    return dict(total.most_common())


def tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every parameter and buffer once, tied ones under their first name."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def devices_in_use(model: nn.Module) -> list[str]:
    """List the devices that hold parameters, ``meta`` for those that are offloaded."""
    return sorted({str(parameter.device) for parameter in model.parameters()})


def map_keys_without_module(model: nn.Module, keys: Sequence[str]) -> list[str]:
    """List the keys of a device map or skip list that name no module: they are ignored silently by some releases."""
    modules = dict(model.named_modules())
    return [key for key in keys if key and key not in modules]


def keep_packed_layout(model: nn.Module) -> int:
    """Forbid bitsandbytes to repack 4-bit weights in place at the first forward on CPU; return how many were set.

    Hosts with AVX512-BF16 repack from bitsandbytes 0.49 on, and a later dequantize or merge then reads garbage. Call it
    where a scenario compares numbers; the repacking is a case of its own.
    """
    import bitsandbytes as bnb

    layers = [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)


# --- running it ----------------------------------------------------------------------------------------------------


def input_device(model: Any) -> torch.device:
    """Return where inputs belong: the device of the input embeddings, the CPU when those are offloaded."""
    device = model.get_input_embeddings().weight.device
    if device.type != "meta":
        return device
    hook = getattr(model.get_input_embeddings(), "_hf_hook", None)
    place = getattr(hook, "execution_device", None)
    return torch.device("cpu" if place is None else place)


def prompt(model: Any, length: int = 12, seed: int = PROMPT_SEEDS[0]) -> dict[str, torch.Tensor]:
    """Return ``input_ids`` and ``attention_mask`` of one prompt, on the device of the input embeddings.

    The ids are drawn from the middle of the vocabulary, away from the special tokens at its ends.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(vocabulary // 8, vocabulary // 2, (1, length), generator=generator)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {name: value.to(input_device(model)) for name, value in inputs.items()}


@torch.inference_mode()
def greedy(model: Any, inputs: dict[str, torch.Tensor], new_tokens: int = 8) -> list[int]:
    """Generate greedily and return the new token ids only; always ``new_tokens`` of them."""
    output = model.generate(**inputs, max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=False)
    return [int(token) for token in output[0, inputs["input_ids"].shape[1] :]]


@torch.inference_mode()
def logits(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the last position's logits in float32 on the CPU."""
    return model(**inputs).logits[0, -1].float().cpu()
