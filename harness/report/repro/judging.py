"""What a script says at its end, and how it tells the failure that is looked for from any other."""

from __future__ import annotations

END = '''\
def end(code, text):
    """Say how it ended, remove what was written, and leave: 1 the failure is here, 0 it is not, 2 neither is known."""
    print(text, flush=True)
    sys.stderr.flush()
    shutil.rmtree(WORK, ignore_errors=True)
    os._exit(code)
'''
JUDGE = '''\
def judge(kind, error, trace):
    """Tell the failure that is looked for from any other; called for whatever is raised, imports included."""
    traceback.print_exception(kind, error, trace)
    text = " ".join(f"{kind.__name__}: {error}".split()).removesuffix(":")
    places = [f"{frame.f_code.co_filename}:{frame.f_code.co_name}" for frame, _ in traceback.walk_tb(trace)]
    same = re.fullmatch(PATTERN, text) and any(place.replace(os.sep, "/").endswith(FRAME) for place in places)
    end(1 if same else 2, f"signature: {SIGNATURE}" if same else f"something else happened: {text}")
'''
JUDGE_TYPE = '''\
def judge(kind, error, trace):
    """Tell the failure that is looked for from any other; called for whatever is raised, imports included."""
    traceback.print_exception(kind, error, trace)
    text = " ".join(f"{kind.__name__}: {error}".split()).removesuffix(":")
    same = re.fullmatch(PATTERN, text)
    end(1 if same else 2, f"signature: {SIGNATURE}" if same else f"something else happened: {text}")
'''
JUDGE_ANY = '''\
def judge(kind, error, trace):
    """Call any failure the one that is looked for; called for whatever is raised, imports included."""
    traceback.print_exception(kind, error, trace)
    text = " ".join(f"{kind.__name__}: {error}".split()).removesuffix(":")
    end(1 if issubclass(kind, Exception) else 2, f"signature: {text}")
'''
JUDGE_OTHER = '''\
def judge(kind, error, trace):
    """Say that something was raised: the failure that is looked for shows in another way."""
    traceback.print_exception(kind, error, trace)
    end(2, f"something else happened: {kind.__name__}: {error}")
'''
CLOSE = """\
said = "expectation: " + "; ".join(dict.fromkeys(" ".join(text.split()) for text in probe.failed))
if probe.failed and re.fullmatch(PATTERN, said):
    end(1, f"signature: {SIGNATURE}")
end(*((2, f"something else happened: {said}") if probe.failed else (0, "the failure is not here")))
"""
CLOSE_ANY = """\
said = "expectation: " + "; ".join(dict.fromkeys(" ".join(text.split()) for text in probe.failed))
end(*((1, f"signature: {said}") if probe.failed else (0, "the failure is not here")))
"""
CLOSE_OTHER = """\
end(*((2, f"something else happened: {probe.failed}") if probe.failed else (0, "the failure is not here")))
"""
CHILD = """\
if sys.argv[1:] != ["--child"]:  # the failure kills its process, so another one watches
    try:
        code = subprocess.run([sys.executable, __file__, "--child"], timeout={seconds}).returncode
    except subprocess.TimeoutExpired:
        code = "timeout"
    if code == {code}:
        end(1, f"signature: {{SIGNATURE}}")
    end(*((0, "the failure is not here") if code == 0 else (2, f"something else happened: {{code}}")))
"""
