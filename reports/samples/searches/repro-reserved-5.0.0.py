# /// script
# requires-python = "==3.12.*"
# dependencies = [
#   "accelerate==1.13.0", "annotated-doc==0.0.7", "annotated-types==0.8.0", "anyio==4.16.0", "bitsandbytes==0.49.2",
#   "certifi==2026.10.18", "click==8.5.1", "filelock==4.2.11", "fsspec==2026.9.0", "h11==0.16.0", "hf-xet==1.8.0",
#   "httpcore==1.0.9", "httpx==0.28.1", "huggingface-hub==1.33.0", "idna==3.20", "jinja2==3.1.6",
#   "markdown-it-py==4.3.0", "markupsafe==3.0.3", "mdurl==0.1.2", "mpmath==1.3.0", "networkx==3.6.1", "numpy==2.5.2",
#   "packaging==26.3", "peft==0.19.1", "psutil==7.2.2", "pydantic==2.14.3", "pydantic-core==2.50.4", "pygments==2.21.0",
#   "pyyaml==6.0.3", "regex==2026.11.15", "rich==15.0.0", "safetensors==0.8.0", "setuptools==81.0.0",
#   "shellingham==1.5.4", "sympy==1.14.0", "tokenizers==0.22.2", "torch==2.11.0", "tqdm==4.70.1", "transformers==5.0.0",
#   "typer==0.29.2", "typer-slim==0.24.0", "typing-extensions==4.16.0", "typing-inspection==0.4.5",
# ]
# ///
# Run it by: uv run repro.py
# Exit code 1 and the signature: the failure is here. 0: it is not. 2: something else happened.
# Versions: transformers 5.0.0, accelerate 1.13.0, bitsandbytes 0.49.2, peft 0.19.1, torch 2.11.0, numpy 2.5.2, Python
#   3.12; a GPU is needed (NVIDIA H200 there)
# Expected: A 4-bit load with device_map="auto" reserves about what it allocates, not what the unquantized model needs.
# Happens: expectation: reserved is at most N times allocated
# Seen with these versions: 1: it fails in this way
# Tracker: https://github.com/huggingface/transformers/issues/44387
import contextlib, glob, json, math, os, re, shutil, sys, tempfile, traceback, zlib; from pathlib import Path
SIGNATURE = 'expectation: reserved is at most N times allocated'
PATTERN = 'expectation: reserved is at most .+? times allocated'
os.environ['HF_HUB_OFFLINE'] = '1'; WORK = Path(tempfile.mkdtemp(prefix='repro-'))
def end(code, text):
    print(text, flush=True); sys.stderr.flush(); shutil.rmtree(WORK, ignore_errors=True); os._exit(code)
def judge(kind, error, trace):
    traceback.print_exception(kind, error, trace); end(2, f'something else happened: {kind.__name__}: {error}')
sys.excepthook = judge; import torch, transformers; from safetensors.torch import save_file
# Random weights: names, shapes and spreads are those of the run, the bytes are not. A word without a colon
# begins the names behind it; {a,b} and {0..3} are alternatives; names end with .weight or at !; =1: a constant.
FILES = {'config.json': {'architectures': ['Qwen2ForCausalLM'], 'bos_token_id': 151643, 'eos_token_id': 151645,
    'hidden_act': 'silu', 'hidden_size': 3584, 'intermediate_size': 18944, 'max_position_embeddings': 32768,
    'max_window_layers': 28, 'model_type': 'qwen2', 'num_attention_heads': 28, 'num_hidden_layers': 28,
    'num_key_value_heads': 4, 'rms_norm_eps': 1e-06, 'rope_theta': 1000000.0, 'sliding_window': 131072,
    'tie_word_embeddings': False, 'torch_dtype': 'bfloat16', 'use_sliding_window': False, 'vocab_size': 152064},
    'generation_config.json': {'bos_token_id': 151643, 'eos_token_id': 151645, 'pad_token_id': 0}}
LAYOUT = """
/ lm_head:152064x3584 model.embed_tokens:152064x3584 model.norm:3584=1
model.layers.{0..27}. {input,post_attention}_layernorm:3584=1 mlp.down_proj:3584x18944 mlp.{gate,up}_proj:18944x3584
self_attn.{k,v}_proj.bias!:512 self_attn.{k,v}_proj:512x3584 self_attn.{o,q}_proj:3584x3584
self_attn.q_proj.bias!:3584
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
    count, block = (math.prod(shape), min(math.prod(shape), 4000037))
    seed = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = torch.empty(block).normal_(0, std, generator=seed) if constant is None else torch.full((block,), constant)
    return drawn.bfloat16().repeat(-(-count // block))[:count].view(shape)
def write_checkpoint(folder, files, tensors):
    folder.mkdir()
    for file, content in files.items(): (folder / file).write_text(json.dumps(content, indent=2, sort_keys=True) + '\n')
    shards, size, total, index = ([[]], 0, 0, {})
    for tensor in tensors:
        took = 2 * math.prod(tensor[1])
        shards, size = (shards, size) if not shards[-1] or size + took <= 4 * 2 ** 30 else ([*shards, []], 0)
        size, total = (size + took, total + took); shards[-1].append(tensor)
    stem = 'adapter_model' if 'adapter_config.json' in files else 'model'
    for number, shard in enumerate(shards, 1):
        file = f'{stem}-{number:05}-of-{len(shards):05}.safetensors' if shards[1:] else f'{stem}.safetensors'
        save_file({name: draw(name, *how) for name, *how in shard}, folder / file, {'format': 'pt'})
        index |= {name: file for name, *_ in shard}
    if shards[1:]:
        content = json.dumps({'metadata': {'total_size': total}, 'weight_map': index}, indent=2)
        (folder / f'{stem}.safetensors.index.json').write_text(content)
class Cuda:
    highest = {}
    @property
    def allocated(self):
        return sum((torch.cuda.memory_allocated(n) for n in range(torch.cuda.device_count() if torch.cuda.
            is_initialized() else 0)))
    @property
    def reserved(self):
        return sum((torch.cuda.memory_reserved(n) for n in range(torch.cuda.device_count() if torch.cuda.
            is_initialized() else 0)))
class Probe:
    failed = []; device = 'cuda:0'; cuda = Cuda()
    @contextlib.contextmanager
    def phase(self, name):
        print(f'--- {name}', flush=True)
        [call() for call in (torch.cuda.synchronize, torch.cuda.empty_cache) if torch.cuda.is_initialized()]; yield
        [call() for call in (torch.cuda.synchronize, torch.cuda.empty_cache) if torch.cuda.is_initialized()]
    def record(self, name, value): print(f'{name}: {value}')
    def expect(self, text, condition, detail='', *, about=''):
        print(f'{('holds' if condition else 'DOES NOT HOLD')}: {text} ({detail})')
        self.failed += [] if condition else [text]; return bool(condition)
    def not_applicable(self, text, reason=''): end(2, f'this does not apply here: {text}')
def checkpoint(name): return str(WORK / name)
probe = Probe()
GIB = 2 ** 30
BLOCKS = 64 * 2 ** 20
PROMPT_SEEDS = (11, 23, 37)
LINEARS_PER_LAYER = 7
def import_bitsandbytes(probe):
    with probe.phase('import'):
        import bitsandbytes
    return bitsandbytes
def checkpoint_bytes(folder):
    return sum((os.path.getsize(file) for file in glob.glob(os.path.join(folder, '*.safetensors'))))
def full_size(probe, folder):
    size = checkpoint_bytes(folder)
    if size < GIB:
        probe.not_applicable("the allocator's blocks are larger than this checkpoint: build it with size = full")
    return size
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
def linear4bit_names(model, under=('',)):
    import bitsandbytes as bnb
    names = [name for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)]
    return [name for name in names if any((not part or part in name.split('.') for part in under))]
def count_linear4bit(model, under=('',)):
    return len(linear4bit_names(model, under))
@torch.inference_mode()
def greedy(model, inputs, new_tokens=8):
    output = model.generate(**inputs, max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=False)
    return [int(token) for token in output[0, inputs['input_ids'].shape[1]:]]
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
def load_and_compare_reserved(probe, folder, *, double_quant=False):
    import_bitsandbytes(probe)
    full_size(probe, folder)
    with probe.phase('load'):
        model = load_in_4bit(folder, 'auto', double_quant=double_quant)
        allocated, reserved = (probe.cuda.allocated, probe.cuda.reserved)
    probe.record('linear4bit', count_linear4bit(model))
    probe.record('bf16_bytes', checkpoint_bytes(folder))
    probe.record('reserved_over_allocated', reserved / allocated)
    probe.expect('something is in 4-bit', count_linear4bit(model))
    probe.expect('reserved is at most 1.5 times allocated', reserved <= 1.5 * allocated + BLOCKS,
        f'{reserved / GIB:.2f} GiB reserved, {allocated / GIB:.2f} GiB allocated', about='memory')
    with probe.phase('generate'):
        probe.record('tokens', greedy(model, prompt(model)))
    return model
def expected_linear4bit(model):
    return LINEARS_PER_LAYER * model.config.num_hidden_layers
def test_reserved(probe, checkpoint, double_quant):
    model = load_and_compare_reserved(probe, checkpoint('qwen2.5-7b'), double_quant=double_quant)
    probe.expect('every decoder layer is Linear4bit', count_linear4bit(model) == expected_linear4bit(model))
if __name__ == '__main__':
    if torch.cuda.device_count() < 1: end(2, 'this needs 1 CUDA device(s)')
    write_checkpoint(WORK / 'qwen2.5-7b', FILES, tensors(LAYOUT, 0.02))
    try: test_reserved(probe=probe, checkpoint=checkpoint, double_quant=True)
    except BaseException: judge(*sys.exc_info())
    said = 'expectation: ' + '; '.join(dict.fromkeys((' '.join(text.split()) for text in probe.failed)))
    if probe.failed and re.fullmatch(PATTERN, said): end(1, f'signature: {SIGNATURE}')
    end(*((2, f'something else happened: {said}') if probe.failed else (0, 'the failure is not here')))
