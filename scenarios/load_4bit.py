"""Field reports, family A: was the model really quantized, and what did loading it cost?"""

from __future__ import annotations

from typing import Any

import pytest
from device_maps import checkpoint_bytes
from materialized import watch_quantization
from quantized import (
    LINEARS_PER_LAYER,
    NEVER_QUANTIZED,
    bytes_by_dtype,
    count_linear4bit,
    devices_in_use,
    greedy,
    import_bitsandbytes,
    load_in_4bit,
    load_plain,
    model_class,
    packed_bytes,
    plain_linear_names,
    prompt,
    quant_state_bytes,
)

from harness.probe import scenario

REMEDIES = ("ram", "offload", "max_memory")  # a clear refusal names one of them
GIB = 2**30
BLOCKS = 64 * 2**20  # bytes that the allocator's block sizes and the CUDA libraries may add, whatever the model


@scenario(row="A1", tracker="huggingface/transformers#44387", needs=["cuda"], checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_reserved(probe, checkpoint, double_quant):
    """A 4-bit load with device_map="auto" reserves about what it allocates, not what the unquantized model needs."""
    model = load_and_compare_reserved(probe, checkpoint("qwen2.5-7b"), double_quant=double_quant)
    probe.expect("every decoder layer is Linear4bit", count_linear4bit(model) == expected_linear4bit(model))


@scenario(row="A1", tracker="huggingface/transformers#44387", needs=["cuda"], checkpoints=["gemma-3-12b"])
def test_reserved_gemma3(probe, checkpoint):
    """The same for Gemma 3 12B, whose 4-bit load a 12 GB card could hold and then could not."""
    model = load_and_compare_reserved(probe, checkpoint("gemma-3-12b"))
    left = plain_linear_names(model)
    probe.expect("no linear layer stays unquantized", not left, left[:5])


def load_and_compare_reserved(probe: Any, folder: str, *, double_quant: bool = False) -> Any:
    """Load in 4-bit with ``device_map="auto"``, state that reserved is near allocated, generate; return the model."""
    import_bitsandbytes(probe)
    full_size(probe, folder)
    with probe.phase("load"):
        model = load_in_4bit(folder, "auto", double_quant=double_quant)
        allocated, reserved = probe.cuda.allocated, probe.cuda.reserved
    probe.placement(model, "load")
    probe.record("linear4bit", count_linear4bit(model))
    probe.record("bf16_bytes", checkpoint_bytes(folder))
    probe.record("reserved_over_allocated", reserved / allocated)
    probe.expect("something is in 4-bit", count_linear4bit(model))
    probe.expect(
        "reserved is at most 1.5 times allocated",
        reserved <= 1.5 * allocated + BLOCKS,
        f"{reserved / GIB:.2f} GiB reserved, {allocated / GIB:.2f} GiB allocated",
        about="memory",
    )
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, prompt(model)))
    return model


@scenario(row="A1", needs=["cuda"], checkpoints=["qwen2.5-7b"])
def test_reserved_unquantized(probe, checkpoint):
    """Control: the same load without quantization allocates the checkpoint, and reserves little more."""
    folder = checkpoint("qwen2.5-7b")
    size = full_size(probe, folder)
    with probe.phase("load"):
        model = load_plain(folder, "auto")
        allocated, reserved = probe.cuda.allocated, probe.cuda.reserved
    probe.placement(model, "load")
    probe.record("bf16_bytes", size)
    detail = f"{reserved} reserved, {allocated} allocated, checkpoint {size}"
    probe.expect("allocated is the checkpoint", abs(allocated - size) <= 0.02 * size + BLOCKS, detail)
    probe.expect(
        "reserved is at most 1.5 times allocated", reserved <= 1.5 * allocated + BLOCKS, detail, about="memory"
    )


@scenario(row="A2", tracker="huggingface/transformers#43032", needs=["cuda"], checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("device_map", ["auto", "one-device"])
def test_peak_while_loading(probe, checkpoint, device_map):
    """While a 4-bit load runs, the GPU never holds nearly as much as the unquantized model."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    size = full_size(probe, folder)
    with probe.phase("load"):
        model = load_in_4bit(folder, "auto" if device_map == "auto" else {"": probe.device})
        peak = probe.cuda.allocated_peak
    probe.record("linear4bit", count_linear4bit(model))
    probe.record("bf16_bytes", size)
    probe.record("peak_over_bf16", peak / size)
    probe.expect("every decoder layer is Linear4bit", count_linear4bit(model) == expected_linear4bit(model))
    probe.expect(
        "peak allocated is below three quarters of the bf16 size",
        peak < 0.75 * size + BLOCKS,
        f"{peak / GIB:.2f} of {size / GIB:.2f} GiB",
    )


@scenario(row="A2", tracker="huggingface/transformers#43032", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("device_map", ["auto", "one-device"])
def test_weights_are_quantized_as_they_come(probe, checkpoint, device_map):
    """The form for hosts: at no time does more than half of the checkpoint lie in memory as unquantized tensors."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    size = checkpoint_bytes(folder)
    with probe.phase("load"), watch_quantization() as seen:
        model = load_in_4bit(folder, "auto" if device_map == "auto" else {"": probe.device})
    probe.record("linear4bit", count_linear4bit(model))
    probe.record("quantizations", seen.quantized)
    probe.record("unquantized_at_first_bytes", seen.first_bytes)
    probe.record("unquantized_at_first_tensors", seen.first_tensors)
    probe.record("unquantized_at_most_bytes", seen.most_bytes)
    probe.record("share_at_first", seen.first_bytes / size)
    probe.record("share_at_most", seen.most_bytes / size)
    probe.expect("every decoder layer was quantized", seen.quantized >= count_linear4bit(model) > 0, seen.quantized)
    probe.expect(
        "less than half of the checkpoint lies unquantized at any time", seen.most_bytes < 0.5 * size, seen.most_bytes
    )


def full_size(probe: Any, folder: str) -> int:
    """Return the bytes of a checkpoint; skip where the allocator's blocks are larger and every bound on it holds."""
    size = checkpoint_bytes(folder)
    if size < GIB:
        probe.not_applicable("the allocator's blocks are larger than this checkpoint: build it with size = full")
    return size


def expected_linear4bit(model: Any) -> int:
    """Return how many layers of a Qwen2 decoder have to be quantized: all but the head."""
    return LINEARS_PER_LAYER * model.config.num_hidden_layers


def quantizable_weights(model: Any) -> int:
    """Return how many weights the quantizable layers of a Qwen2 decoder hold, from its config alone."""
    c = model.config
    keys = c.hidden_size // c.num_attention_heads * c.num_key_value_heads
    attention = 2 * c.hidden_size * c.hidden_size + 2 * c.hidden_size * keys
    return c.num_hidden_layers * (attention + 3 * c.hidden_size * c.intermediate_size)


@scenario(row="A3", tracker="huggingface/transformers#44387", checkpoints=["qwen2.5-7b"])
def test_four_counts_agree(probe, checkpoint):
    """Module count, uint8 bytes, footprint and resident bytes all say that the model is in 4-bit."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("qwen2.5-7b"), {"": probe.device})
    half_a_byte_each = quantizable_weights(model) // 2
    resident = sum(bytes_by_dtype(model).values())
    footprint = int(model.get_memory_footprint())
    count = count_linear4bit(model)
    probe.record("linear4bit", count)
    probe.record("packed_bytes", packed_bytes(model))
    probe.record("footprint_bytes", footprint)
    probe.record("resident_bytes", resident)
    bf16_bytes = 2 * sum(2 * p.numel() if p.dtype.itemsize == 1 else p.numel() for p in model.parameters())
    probe.expect("every decoder layer is Linear4bit", count == expected_linear4bit(model), count)
    probe.expect("uint8 bytes are half a byte a weight", packed_bytes(model) == half_a_byte_each, packed_bytes(model))
    probe.expect("footprint is below the bf16 size", footprint <= bf16_bytes - 3 * half_a_byte_each * 0.98, footprint)
    probe.expect("resident bytes match the footprint", abs(resident - footprint) <= 0.02 * footprint, resident)
    if probe.device != "cpu":
        held, allocated = resident + quant_state_bytes(model), probe.cuda.allocated
        probe.expect("allocated memory matches them", allocated <= 1.1 * held, f"{allocated} vs {held}")
    with probe.phase("generate"):
        tokens = greedy(model, prompt(model))
    probe.expect("generates", len(tokens) == 8, tokens)


@scenario(row="A3", tracker="huggingface/transformers#44387", checkpoints=["gemma-3-12b"])
def test_gemma3_is_quantized(probe, checkpoint):
    """Gemma 3 with device_map="auto": every linear layer but the head is packed, and what is resident says so."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("gemma-3-12b"), "auto")
        allocated = probe.cuda.allocated
    probe.placement(model, "load")
    left, count = plain_linear_names(model), count_linear4bit(model)
    resident, packed = sum(bytes_by_dtype(model).values()), packed_bytes(model)
    unquantized = resident - packed + 4 * packed  # two bytes a weight instead of half a byte
    probe.record("linear4bit", count)
    probe.record("packed_bytes", packed)
    probe.record("resident_bytes", resident)
    probe.expect("some layers are Linear4bit", count, count)
    probe.expect("no linear layer stays unquantized", not left, left[:5])
    probe.expect("resident bytes are well below bf16", resident < 0.75 * unquantized, f"{resident} of {unquantized}")
    if probe.device != "cpu":
        held = resident + quant_state_bytes(model)
        probe.expect("allocated memory matches them", allocated <= 1.1 * held + BLOCKS, f"{allocated} vs {held}")
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, prompt(model)))


@scenario(row="A4", tracker="huggingface/transformers#44387", checkpoints=["qwen2.5-7b"])
def test_nothing_quantizable_stays_in_bf16(probe, checkpoint):
    """None of the layers that should be 4-bit stays in bfloat16; the largest parameters and the dtypes are recorded."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("qwen2.5-7b"), "auto")
    largest = probe.placement(model, "load")["largest"]
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("every decoder layer is Linear4bit", count_linear4bit(model) == expected_linear4bit(model))
    left = plain_linear_names(model)
    probe.expect("no other linear layer stays unquantized", not left, left[:5])
    wide = [row["name"] for row in largest if row["dtype"] != "uint8" and not exempt(row["name"])]
    probe.expect("the largest parameters are uint8, embedding and head aside", not wide, wide)
    probe.expect("no parameter is left on the meta device", "meta" not in devices_in_use(model))


def exempt(parameter: str) -> bool:
    """Tell whether 4-bit loading leaves this parameter alone by design: the embedding and the head."""
    return bool({"embed_tokens", *NEVER_QUANTIZED} & set(parameter.split(".")))


@scenario(row="A5", checkpoints=["qwen2.5-7b"])
def test_device_map_is_kept(probe, checkpoint):
    """After device_map="auto" the model carries hf_device_map, a dict that places every parameter."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("qwen2.5-7b"), "auto")
    places = getattr(model, "hf_device_map", None)
    probe.placement(model, "load")
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("hf_device_map is a dict", isinstance(places, dict), type(places).__name__)
    if isinstance(places, dict):
        keys = tuple(places)
        lost = [
            n for n, _ in model.named_parameters() if not any(key in {"", n} or n.startswith(f"{key}.") for key in keys)
        ]
        probe.expect("it covers every parameter", not lost, lost[:5])
    probe.expect("every decoder layer is Linear4bit", count_linear4bit(model) == expected_linear4bit(model))


@scenario(row="A6", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("cpu_offload", [False, True], ids=["plain", "offload-allowed"])
def test_budget_too_small(probe, checkpoint, cpu_offload):
    """A memory budget that holds next to nothing gives an early, clear error instead of a silent spill.

    On a GPU the card gets a tenth of what the model needs and the host nothing; without one the host gets nothing.
    """
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    budget: dict[int | str, int | str] = {"cpu": "0GiB"}
    if probe.device != "cpu":
        budget[0] = checkpoint_bytes(folder) // 40  # 4-bit weights need a quarter of the checkpoint
    probe.record("budget", str(budget))
    error = None
    with probe.phase("load"):
        try:
            model = load_in_4bit(folder, "auto", max_memory=budget, cpu_offload=cpu_offload)
        except Exception as raised:  # noqa: BLE001 - whatever is raised, its text is what is judged
            error = raised
    if error is None:
        probe.record("linear4bit", count_linear4bit(model))
        probe.record("devices", devices_in_use(model))
        probe.expect("the load is refused", False, f"loaded, parameters on {devices_in_use(model)}")
        return
    probe.record("error", f"{type(error).__name__}: {error}")
    clear = isinstance(error, (ValueError, MemoryError)) and any(word in str(error).lower() for word in REMEDIES)
    probe.expect("the error says what to do", clear, f"{type(error).__name__}: {str(error)[:200]}")


@scenario(row="A7", checkpoints=["qwen2.5-7b"])
def test_load_in_4bit_keyword(probe, checkpoint):
    """from_pretrained(load_in_4bit=True) quantizes, as it did in 4.x; removed by design in 5.0."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    with probe.phase("load"):
        model = model_class(folder).from_pretrained(folder, device_map={"": probe.device}, load_in_4bit=True)
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("every decoder layer is Linear4bit", count_linear4bit(model) == expected_linear4bit(model))
