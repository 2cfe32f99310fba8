"""The tiny model with wider heads computes the same function."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.lib.wide_model import widen
from vlm_uec.data.positions import mrope_positions
from vlm_uec.model.load import banned_ids, load_model
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.types import EncodedPrompt


@pytest.fixture(scope="module")
def prompt() -> EncodedPrompt:
    generator = torch.Generator().manual_seed(0)
    ids = torch.cat([torch.tensor([507]), torch.full((9,), 510), torch.tensor([508]), torch.arange(40, 70)])
    grid = torch.tensor([[1, 6, 6]])
    patches = torch.randn(36, 3 * 2 * 14 * 14, generator=generator)
    return EncodedPrompt("p", ids, patches, grid, mrope_positions(ids, grid, 510, 2))


def test_the_wide_model_agrees_with_the_bundled_one_to_rounding(
    bundle: Path, tokenizer: PreTrainedTokenizerBase, prompt: EncodedPrompt, tmp_path: Path
) -> None:
    """With a picture, and a text long enough to show a wrong rotary frequency."""
    responses = tuple(torch.randint(5, 300, (length,)) for length in (60, 20))
    scores = []
    for path in (bundle, widen(bundle, tmp_path / "wide")):
        model = load_model(str(path), "fp32", checkpointing=False)
        policy = Policy(model, banned_ids(512, tokenizer)).eval()
        with torch.no_grad():
            scores.append(policy(pack([Row(prompt, responses)])))
    text = model.config.get_text_config()
    assert text.hidden_size // text.num_attention_heads == 32
    for ours, theirs in zip(*scores, strict=True):
        assert torch.allclose(ours, theirs, atol=2e-5)
