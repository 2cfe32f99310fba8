from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, PreTrainedTokenizerBase

from tests.support.tiny import tiny_model
from vlm_uec.errors import UserError
from vlm_uec.model.load import VISION_TOKENS, banned_ids, check_rotary, end_ids, load_model


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    tiny_model(tied=request.param).save_pretrained(tmp_path)
    return tmp_path


def _edit(saved: Path, name: str, value: torch.Tensor | None) -> None:
    file = saved / "model.safetensors"
    weights = load_file(file)
    key = next(key for key in weights if key.endswith(name))
    weights.pop(key)
    save_file(weights | ({key: value} if value is not None else {}), file, {"format": "pt"})


def test_every_weight_is_loaded(saved: Path) -> None:
    model = load_model(str(saved), "fp32", checkpointing=False)
    again = load_model(str(saved), "fp32", checkpointing=True)
    original = tiny_model(tied=model.config.tie_word_embeddings).state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, original[name]), name
    assert (model.is_gradient_checkpointing, again.is_gradient_checkpointing) == (False, True)


def test_weights_have_the_configured_precision(saved: Path) -> None:
    assert {weight.dtype for weight in load_model(str(saved), "bf16", checkpointing=False).parameters()} == {
        torch.bfloat16
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("visual.merger.mlp.0.weight", None),
        ("layers.1.self_attn.q_proj.bias", None),
        ("embed_tokens.weight", torch.zeros(90, 48)),
    ],
    ids=["missing in the tower", "missing in the text model", "wrong shape"],
)
def test_the_error_names_a_missing_weight(saved: Path, name: str, value: torch.Tensor | None) -> None:
    _edit(saved, name, value)
    with pytest.raises(
        (UserError, RuntimeError), match=r"missing or of wrong shape|size mismatch|mismatched"
    ) as caught:
        load_model(str(saved), "fp32", checkpointing=False)
    assert isinstance(caught.value, UserError)
    assert name.split(".")[-2] in str(caught.value)


def test_unsupported_or_invalid_models_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        load_model(str(tmp_path), "fp32", checkpointing=False)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UserError, match="a llama model; this trainer supports qwen2_5_vl or qwen2"):
        load_model(str(tmp_path), "fp32", checkpointing=False)
    for broken in ("{not json", "[]", json.dumps({"model_type": "no-such-model"})):
        (tmp_path / "config.json").write_text(broken)
        with pytest.raises(UserError, match=r"model\.path .* cannot be read"):
            load_model(str(tmp_path), "fp32", checkpointing=False)


def test_vision_tokens_and_rows_beyond_the_tokenizer_are_banned(tokenizer: PreTrainedTokenizerBase) -> None:
    count = len(tokenizer)
    banned = banned_ids(count + 5, tokenizer)
    vision = {tokenizer.get_vocab()[token] for token in VISION_TOKENS}
    assert set(banned.nonzero()[:, 0].tolist()) == vision | set(range(count, count + 5))
    assert not banned[tokenizer.eos_token_id]


@pytest.mark.parametrize(("ends", "expected"), [(7, {7}), ([7, 9], {7, 9})])
def test_end_ids_are_from_the_generation_config(
    ends: int | list[int], expected: set[int], tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    GenerationConfig(eos_token_id=ends).save_pretrained(tmp_path)
    assert end_ids(str(tmp_path), tokenizer) == expected


def test_without_a_generation_config_the_end_id_is_the_tokenizers(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    tiny_model().config.save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").unlink(missing_ok=True)
    assert end_ids(str(tmp_path), tokenizer) == {tokenizer.eos_token_id}


def test_rounded_rotary_frequencies_are_rejected() -> None:
    rotary = tiny_model().model.language_model.rotary_emb
    check_rotary(rotary)
    rotary.inv_freq = rotary.inv_freq.bfloat16().float()
    with pytest.raises(UserError, match="rounded the rotary frequencies"):
        check_rotary(rotary)
