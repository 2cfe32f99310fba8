from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support.tiny import VISION, random_prompt, tiny_policy
from vlm_uec.model.feature_cache import FeatureCache
from vlm_uec.model.load import NOTHING_FROZEN, FrozenParts
from vlm_uec.types import EncodedPrompt

PROMPTS = [random_prompt(name, [(2, 2)], seed=seed) for seed, name in enumerate("abc")]
KILOBYTE = torch.zeros(256)


def _cached(cache: FeatureCache) -> str:
    return "".join(prompt.problem_id for prompt in PROMPTS if cache.get(prompt) is not None)


def test_the_least_recently_used_prompt_is_dropped() -> None:
    """Two of three fit: a was used after b, so b is dropped."""
    cache = FeatureCache(max_bytes=2 * 1024)
    cache.put(PROMPTS[0], KILOBYTE)
    cache.put(PROMPTS[1], KILOBYTE)
    assert _cached(cache) == "ab"
    cache.get(PROMPTS[0])
    cache.put(PROMPTS[2], KILOBYTE)
    assert _cached(cache) == "ac"


def test_freed_space_is_reused() -> None:
    cache = FeatureCache(max_bytes=2 * 1024)
    for prompt in [*PROMPTS, *PROMPTS]:
        if cache.get(prompt) is None:
            cache.put(prompt, KILOBYTE)
    assert len(_cached(cache)) == 2


def test_an_entry_larger_than_the_cache_is_kept_alone() -> None:
    cache = FeatureCache(max_bytes=1)
    cache.put(PROMPTS[0], KILOBYTE)
    assert _cached(cache) == "a"
    cache.put(PROMPTS[1], KILOBYTE)
    assert _cached(cache) == "b"


def test_images_are_identified_by_their_contents() -> None:
    """Problem ids repeat across splits, and equal patches may have different grids: 2 x 4 is not 4 x 2."""
    cache = FeatureCache()
    wide = random_prompt("a", [(2, 4)])
    tall = EncodedPrompt("a", wide.input_ids, wide.pixel_values, torch.tensor([[1, 4, 2]]), wide.position_ids)
    cache.put(wide, KILOBYTE + 1)
    assert cache.get(tall) is None
    assert cache.get(replace(wide, pixel_values=wide.pixel_values + 1)) is None
    assert cache.get(random_prompt("another name", [(2, 4)], text=9)) is None, "different image"
    same = cache.get(replace(wide, problem_id="another name"))
    assert same is not None and torch.equal(same, KILOBYTE + 1)


def test_features_of_inference_mode_can_be_used_in_training() -> None:
    """Autograd rejects inference-mode tensors, so the cache keeps a copy."""
    cache = FeatureCache()
    with torch.inference_mode():
        features = torch.ones(3)
        cache.put(PROMPTS[0], features)
        features += 1
    kept = cache.get(PROMPTS[0])
    assert kept is not None
    weight = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (kept * weight).sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("frozen", "calls"),
    [(VISION, 2), (FrozenParts(tower=True), 2), (FrozenParts(projector=True), 4), (NOTHING_FROZEN, 4)],
)
def test_only_a_frozen_tower_runs_once_per_image(frozen: FrozenParts, calls: int) -> None:
    policy = tiny_policy(frozen=frozen)
    tower_calls: list[int] = []
    policy.model.model.visual.register_forward_hook(lambda *call: tower_calls.append(1))
    prompts = [PROMPTS[0], PROMPTS[1], replace(PROMPTS[0], problem_id="again"), PROMPTS[1]]
    features = [policy.prompt_features(prompt) for prompt in prompts]
    assert len(tower_calls) == calls
    assert torch.equal(features[0], features[2])
    assert torch.equal(features[1], features[3])
    assert not torch.equal(features[0], features[1])
    assert policy.has_cached_features(PROMPTS[0]) == frozen.tower
    assert policy.prompt_features(random_prompt("words")).shape == (0, 48)
    assert len(tower_calls) == calls, "the tower does not run without an image"


def test_prompts_without_images_need_no_weights() -> None:
    """Under ZeRO-3, a sharded weight is empty outside of its module's forward pass."""
    policy, words = tiny_policy(frozen=VISION), random_prompt("words")
    policy.head.weight.data = torch.empty(0)
    assert policy.has_cached_features(words)
    assert policy.prompt_features(words).shape == (0, 48)


def test_changes_of_a_trained_projector_are_used() -> None:
    """The cache contains the projector's inputs."""
    policy = tiny_policy(frozen=FrozenParts(tower=True))
    before = policy.prompt_features(PROMPTS[0])
    with torch.no_grad():
        policy.model.model.visual.merger.mlp[2].bias += 1
    torch.testing.assert_close(policy.prompt_features(PROMPTS[0]), before + 1)
