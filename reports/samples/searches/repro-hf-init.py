# /// script
# requires-python = "==3.12.*"
# dependencies = [
#   "accelerate==1.13.0", "annotated-doc==0.0.7", "annotated-types==0.8.0", "anyio==4.16.0", "bitsandbytes==0.49.2",
#   "click==8.5.1", "filelock==4.2.11", "fsspec==2026.9.0", "h11==0.16.0", "hf-xet==1.8.0", "httpcore2==2.16.2",
#   "httpx2==2.16.2", "huggingface-hub==2.4.0", "idna==3.20", "jinja2==3.1.6", "markdown-it-py==4.3.0",
#   "markupsafe==3.0.3", "mdurl==0.1.2", "mpmath==1.3.0", "networkx==3.6.1", "numpy==2.5.2", "packaging==26.3",
#   "peft==0.20.0", "psutil==7.2.2", "pydantic==2.14.3", "pydantic-core==2.50.4", "pygments==2.21.0", "pyyaml==6.0.3",
#   "regex==2026.11.15", "rich==15.0.0", "safetensors==0.8.0", "setuptools==81.0.0", "shellingham==1.5.4",
#   "sympy==1.14.0", "tokenizers==0.23.3", "torch==2.11.0", "tqdm==4.70.1", "transformers==5.23.0",
#   "truststore==0.10.5", "typer==0.29.2", "typing-extensions==4.16.0", "typing-inspection==0.4.5",
# ]
# ///
# Run it by: uv run repro.py
# Exit code 1 and the signature: the failure is here. 0: it is not. 2: something else happened.
# Versions: torch 2.11.0, numpy 2.5.2, transformers 5.23.0, bitsandbytes 0.49.2, accelerate 1.13.0, peft 0.20.0, Python
#   3.12; a GPU is needed (NVIDIA H200 there)
# Expected: device_map="auto" with less memory than the 4-bit model needs offloads to the CPU and still answers right.
# Happens: TypeError: Params4bit.__new__() got an unexpected keyword argument '_is_hf_initialized' @
#   accelerate/utils/modeling.py:set_module_tensor_to_device
# Seen with these versions: 1: it fails in this way
# Tracker: https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1900
import contextlib, glob, json, math, os, re, shutil, sys, tempfile, traceback, zlib; from pathlib import Path
SIGNATURE = "TypeError: Params4bit.__new__() got an unexpected keyword argument '_is_hf_initi" \
    "alized' @ accelerate/utils/modeling.py:set_module_tensor_to_device"
PATTERN = "TypeError: Params4bit\\.__new__\\(\\) got an unexpected keyword argument '_is_hf_initialized'"
FRAME = 'accelerate/utils/modeling.py:set_module_tensor_to_device'
os.environ['HF_HUB_OFFLINE'] = '1'; WORK = Path(tempfile.mkdtemp(prefix='repro-'))
def end(code, text):
    print(text, flush=True); sys.stderr.flush(); shutil.rmtree(WORK, ignore_errors=True); os._exit(code)
def judge(kind, error, trace):
    traceback.print_exception(kind, error, trace)
    text = ' '.join(f'{kind.__name__}: {error}'.split()).removesuffix(':')
    places = [f'{frame.f_code.co_filename}:{frame.f_code.co_name}' for frame, _ in traceback.walk_tb(trace)]
    same = re.fullmatch(PATTERN, text) and any((place.replace(os.sep, '/').endswith(FRAME) for place in places))
    end(1 if same else 2, f'signature: {SIGNATURE}' if same else f'something else happened: {text}')
sys.excepthook = judge; import torch, transformers; from safetensors.torch import save_file
# Random weights: names, shapes and spreads are those of the run, the bytes are not. A word without a colon
# begins the names behind it; {a,b} and {0..3} are alternatives; names end with .weight or at !; =1: a constant.
FILES = {'config.json': {'architectures': ['Qwen2ForCausalLM'], 'bos_token_id': 1, 'eos_token_id': 2,
    'hidden_act': 'silu', 'hidden_size': 256, 'intermediate_size': 768, 'max_position_embeddings': 512,
    'max_window_layers': 4, 'model_type': 'qwen2', 'num_attention_heads': 8, 'num_hidden_layers': 4,
    'num_key_value_heads': 4, 'rms_norm_eps': 1e-06, 'rope_theta': 1000000.0, 'sliding_window': 512,
    'tie_word_embeddings': False, 'torch_dtype': 'bfloat16', 'use_sliding_window': False, 'vocab_size': 512},
    'generation_config.json': {'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 0}}
LAYOUT = """
/ lm_head:512x256 model.embed_tokens:512x256 model.norm:256=1
model.layers.{0..3}. {input,post_attention}_layernorm:256=1 mlp.down_proj:256x768 mlp.{gate,up}_proj:768x256
self_attn.{k,v}_proj.bias!:128 self_attn.{k,v}_proj:128x256 self_attn.{o,q}_proj:256x256 self_attn.q_proj.bias!:256
"""
def expand(pattern):
    head, brace, rest = pattern.partition('{'); inside, _, tail = rest.partition('}')
    ends = [part.partition('..') for part in inside.split(',')]
    parts = [str(n) for a, _, b in ends if b for n in range(int(a), int(b) + 1)] + [a for a, _, b in ends if not b]
    return [head + part + end for part in parts for end in expand(tail)] if brace else [pattern]
def tensors(layout, std):
    start = ''
    for word in layout.split():
        name, colon, form = word.partition(':')
        if not colon: start = word.strip('/'); continue
        sizes, equals, constant = form.partition('='); sizes, _, other = sizes.partition('~')
        how = (float(other or std), float(constant) if equals else None)
        shape = [int(n) for n in sizes.split('x') if n]
        for key in expand(start + name): yield (key[:-1] if key.endswith('!') else f'{key}.weight', shape, *how)
def draw(name, shape, std, constant):
    seed = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = torch.empty(shape).normal_(0, std, generator=seed) if constant is None else torch.full(shape, constant)
    return drawn.bfloat16()
def write_checkpoint(folder, files, tensors):
    folder.mkdir()
    for file, content in files.items(): (folder / file).write_text(json.dumps(content, indent=2, sort_keys=True) + '\n')
    file = 'adapter_model.safetensors' if 'adapter_config.json' in files else 'model.safetensors'
    save_file({name: draw(name, *how) for name, *how in tensors}, folder / file, {'format': 'pt'})
class Probe:
    failed = []; device = 'cuda:0'
    @contextlib.contextmanager
    def phase(self, name):
        print(f'--- {name}', flush=True)
        [call() for call in (torch.cuda.synchronize, torch.cuda.empty_cache) if torch.cuda.is_initialized()]; yield
        [call() for call in (torch.cuda.synchronize, torch.cuda.empty_cache) if torch.cuda.is_initialized()]
    def record(self, name, value): print(f'{name}: {value}')
    def expect(self, text, condition, detail='', *, about=''):
        print(f'{('holds' if condition else 'DOES NOT HOLD')}: {text} ({detail})')
        self.failed += [] if condition else [text]; return bool(condition)
def checkpoint(name): return str(WORK / name)
probe = Probe()
PROMPT_SEEDS = (11, 23, 37)
SAME = 0.05
CPU_ROOM = '24GiB'
DECODER_SHARE = 0.22
def import_bitsandbytes(probe):
    with probe.phase('import'):
        import bitsandbytes
    return bitsandbytes
def main_device(probe):
    return 0
def four_bit_config(*, double_quant=False, cpu_offload=False, skip_modules=None):
    return transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type='nf4',
        bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_use_double_quant=double_quant,
        llm_int8_enable_fp32_cpu_offload=cpu_offload,
        llm_int8_skip_modules=None if skip_modules is None else list(skip_modules))
def model_class(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    return getattr(transformers, config.architectures[0])
def load_plain(folder, device_map, *, dtype=torch.bfloat16, **keywords):
    model = model_class(folder).from_pretrained(folder, device_map=device_map, dtype=dtype, **keywords)
    return model.eval()
def load_in_4bit(folder, device_map, *, double_quant=False, cpu_offload=False, skip_modules=None, **keywords):
    config = four_bit_config(double_quant=double_quant, cpu_offload=cpu_offload, skip_modules=skip_modules)
    return load_plain(folder, device_map, quantization_config=config, **keywords)
def keep_packed_layout(model):
    import bitsandbytes as bnb
    layers = [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)
@torch.inference_mode()
def logits(model, inputs):
    return model(**inputs).logits[0, -1].float().cpu()
def input_device(model):
    device = model.get_input_embeddings().weight.device
    if device.type != 'meta':
        return device
    hook = getattr(model.get_input_embeddings(), '_hf_hook', None)
    place = getattr(hook, 'execution_device', None)
    return torch.device('cpu' if place is None else place)
def prompt(model, length=12, seed=PROMPT_SEEDS[0]):
    vocabulary = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(vocabulary // 8, vocabulary // 2, (1, length), generator=generator)
    inputs = {'input_ids': ids, 'attention_mask': torch.ones_like(ids)}
    return {name: value.to(input_device(model)) for name, value in inputs.items()}
def logits_on_one_device(probe, folder, **keywords):
    model = load_in_4bit(folder, {'': 'cuda:0'}, **keywords)
    keep_packed_layout(model)
    return logits(model, prompt(model))
def linear4bit_names(model, under=('',)):
    import bitsandbytes as bnb
    names = [name for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)]
    return [name for name in names if any((not part or part in name.split('.') for part in under))]
def places(model):
    entries = [str(place) for place in (getattr(model, 'hf_device_map', None) or {}).values()]
    return {place: entries.count(place) for place in sorted(set(entries))}
def record_placement(probe, model, stage):
    names = linear4bit_names(model)
    probe.record(f'linear4bit_{stage}', len(names))
    probe.record(f'places_{stage}', places(model))
    probe.record(f'meta_parameters_{stage}', sum((p.device.type == 'meta' for p in model.parameters())))
    probe.expect(f'something is in 4-bit after {stage}', names, len(names))
def expect_split(probe, model):
    probe.expect('the model lies in two places', len(places(model)) > 1, places(model))
def distance(found, wanted):
    value = float((found - wanted).norm() / wanted.norm())
    return value if value == value else float('inf')
def expect_same_logits(probe, model, inputs, wanted, text):
    apart = distance(logits(model, inputs), wanted)
    probe.record('distance_to_control', apart)
    probe.expect(text, apart <= SAME, f'relative distance {apart:.4f}, allowed {SAME}')
@torch.inference_mode()
def greedy(model, inputs, new_tokens=8):
    output = model.generate(**inputs, max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=False)
    return [int(token) for token in output[0, inputs['input_ids'].shape[1]:]]
def expect_it_answers(probe, model, wanted, *, split=True):
    record_placement(probe, model, 'load')
    if split:
        expect_split(probe, model)
    keep_packed_layout(model)
    inputs = prompt(model)
    with probe.phase('forward'):
        expect_same_logits(probe, model, inputs, wanted, 'it answers as on one device')
    with probe.phase('generate'):
        probe.record('tokens', greedy(model, inputs))
def load_auto(probe, folder, limits, *, double_quant=False, **keywords):
    wanted = logits_on_one_device(probe, folder, double_quant=double_quant)
    probe.record('limits', {str(place): limit for place, limit in limits.items()})
    with probe.phase('load'):
        model = load_in_4bit(folder, 'auto', double_quant=double_quant, cpu_offload=True, max_memory=limits, **keywords)
    expect_it_answers(probe, model, wanted)
def checkpoint_bytes(folder):
    return sum((os.path.getsize(file) for file in glob.glob(os.path.join(folder, '*.safetensors'))))
def spilling(folder, share, rest=CPU_ROOM):
    return {0: int(share * checkpoint_bytes(folder)), 'cpu': rest}
def test_auto_map_spills_to_the_cpu(probe, checkpoint, double_quant):
    import_bitsandbytes(probe)
    main_device(probe)
    folder = checkpoint('qwen2.5-7b')
    load_auto(probe, folder, spilling(folder, DECODER_SHARE), double_quant=double_quant)
if __name__ == '__main__':
    if torch.cuda.device_count() < 1: end(2, 'this needs 1 CUDA device(s)')
    write_checkpoint(WORK / 'qwen2.5-7b', FILES, tensors(LAYOUT, 0.08))
    try: test_auto_map_spills_to_the_cpu(probe=probe, checkpoint=checkpoint, double_quant=False)
    except BaseException: judge(*sys.exc_info())
    end(*((2, f'something else happened: {probe.failed}') if probe.failed else (0, 'the failure is not here')))
