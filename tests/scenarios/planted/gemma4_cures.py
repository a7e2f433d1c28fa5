"""Planted cures for what no release does right yet in scenarios/gemma4.py: every test here must come out green."""

import sys
from pathlib import Path

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import gemma4


@scenario(row="G16", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
def test_the_embedding_stays_once_it_was_used(probe, checkpoint, monkeypatch):
    """Keep an embedding where its first forward brought it: the padding row can then be read from outside of it."""
    from accelerate.hooks import AlignDevicesHook

    real = AlignDevicesHook.post_forward

    def post_forward(self, module, output):
        return output if type(module).__name__ == "Gemma4TextScaledWordEmbedding" else real(self, module, output)

    monkeypatch.setattr(AlignDevicesHook, "post_forward", post_forward)
    gemma4.test_embeddings_offloaded(probe, checkpoint, "embed_tokens")
