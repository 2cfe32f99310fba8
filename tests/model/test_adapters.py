"""Low-rank adapters, compared with the model they adapt and with the merged model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from tests.support.tiny import (
    END,
    VISION,
    banned_mask,
    random_prompt,
    random_response,
    tiny_model,
    tiny_policy,
)
from vlm_uec.config import LoraConfig
from vlm_uec.model.adapters import (
    adapter_state_dict,
    add_adapters,
    merge_adapters,
    peft_config,
    save_adapters,
    without_adapters,
)
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine

LORA = LoraConfig(rank=4, alpha=8.0)
PROMPT = random_prompt("a", [(4, 8)])
ROW = pack([Row(PROMPT, (random_response(6, 1), random_response(3, 2)))])


def _adapted(lora: LoraConfig = LORA, *, trained: bool = True) -> Policy:
    """A policy with adapters; `trained`: with nonzero B."""
    policy = tiny_policy(frozen=VISION)
    add_adapters(policy.model, lora, "base", seed=1)
    if trained:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, weight in policy.model.named_parameters():
                if ".lora_B." in name:
                    weight.normal_(std=0.3, generator=generator)
    return policy.eval()


def _scores(policy: Policy) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        return policy(ROW)


def test_new_adapters_do_not_change_the_model() -> None:
    torch.testing.assert_close(_scores(_adapted(trained=False)), _scores(tiny_policy()), rtol=0, atol=0)


def test_adapters_depend_only_on_the_seed() -> None:
    """Runs must be reproducible, and all ranks must have equal adapters."""

    def new_adapters(seed: int) -> torch.Tensor:
        torch.rand(seed)
        model = tiny_model()
        torch.rand(3)
        add_adapters(model, LORA, "base", seed)
        return torch.cat([w.flatten() for name, w in model.named_parameters() if ".lora_A." in name])

    state = torch.get_rng_state()
    one, again, other = new_adapters(1), new_adapters(1), new_adapters(2)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    torch.set_rng_state(state)


@pytest.mark.parametrize("targets", [["q_proj"], ["v_proj", "down_proj"]])
def test_only_adapters_of_the_targets_are_trained(targets: list[str]) -> None:
    policy = _adapted(LoraConfig(rank=4, targets=targets))  # type: ignore[arg-type]
    trained = {name for name, weight in policy.named_parameters() if weight.requires_grad}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained} == set(targets)
    assert len(trained) == 2 * 2 * len(targets), "two matrices in each of two layers"
    assert not any("visual" in name for name in trained)


def test_the_tower_has_adapters_with_lora_vision() -> None:
    policy = tiny_policy()
    add_adapters(policy.model, LoraConfig(rank=4, vision=True), "base", seed=1)
    trained = {name for name, weight in policy.named_parameters() if weight.requires_grad}
    assert any("visual.blocks.1.attn.qkv.lora_A" in name for name in trained)
    assert not any("merger" in name or "patch_embed" in name for name in trained)


def test_only_adapters_get_gradients() -> None:
    policy = _adapted()
    policy(ROW)[0].sum().backward()
    for name, weight in policy.named_parameters():
        assert (weight.grad is not None) == (".lora_" in name), name


def test_without_adapters_the_policy_is_the_initial_model() -> None:
    policy, base = _adapted(), tiny_policy()
    before = _scores(policy)
    with without_adapters(policy.model):
        torch.testing.assert_close(_scores(policy), _scores(base), rtol=0, atol=1e-6)
    torch.testing.assert_close(_scores(policy), before, rtol=0, atol=0)
    assert (before[0] - _scores(base)[0]).abs().max() > 0.1, "the adapters have an effect"


def test_sampling_and_scoring_both_use_the_adapters() -> None:
    """Decoding reads the weights directly; prefill and scoring call the modules."""
    policy = _adapted()
    engine = NativeEngine(policy, frozenset([END]), slots=8)
    request = Request(PROMPT, range(4), Sampling(1.0, 1.0, max_tokens=12))
    (group,) = engine.generate([request], StreamKey(1, 1), lambda progress: None)
    rows = [Row(PROMPT, tuple(response.tokens for response in group.responses))]
    with torch.no_grad():
        scored, _ = policy(pack(rows))
    sampled = torch.cat([response.policy_logprobs for response in group.responses])
    torch.testing.assert_close(sampled, scored, rtol=0, atol=1e-5)


@pytest.mark.parametrize("vision", [False, True])
def test_the_merged_model_gives_the_same_scores(vision: bool) -> None:
    policy = _adapted(LoraConfig(rank=4, alpha=8.0, vision=vision))
    plain = tiny_model(seed=3)
    plain.load_state_dict(dict(merge_adapters(policy.model.state_dict(), scale=2.0)))
    torch.testing.assert_close(_scores(Policy(plain, banned_mask())), _scores(policy), rtol=0, atol=1e-5)


def test_saved_adapters_load_onto_their_base_model(tmp_path: Path) -> None:
    policy = _adapted()
    tiny_model().save_pretrained(tmp_path / "base")
    config = peft_config(LORA, str(tmp_path / "base"))
    save_adapters(policy.model.state_dict(), config, tmp_path / "adapters")
    loaded = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        tmp_path / "adapters", attn_implementation="sdpa"
    )
    torch.testing.assert_close(_scores(Policy(loaded, banned_mask())), _scores(policy), rtol=0, atol=1e-5)
    assert isinstance(loaded, Qwen2_5_VLForConditionalGeneration)


def test_saved_adapters_have_pefts_names() -> None:
    names = adapter_state_dict(_adapted(LoraConfig(rank=4, targets=["q_proj"])).model.state_dict())
    layer = "base_model.model.model.language_model.layers.0.self_attn.q_proj"
    assert {f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"} < set(names)
