from __future__ import annotations

from itertools import accumulate

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracles import dense_attention
from tests.support.tiny import random_prompt, tiny_model, tiny_policy
from vlm_uec.model.attention import PrefillAttention, segment_attention

HEADS, SIZE, SCALE = 2, 8, 0.4


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(0, 9))
def test_segments_attend_to_themselves(lengths: list[int], seed: int) -> None:
    """Compared with one call per segment, with gradients; lengths are in any order."""
    bounds = [0, *accumulate(lengths)]
    generator = torch.Generator().manual_seed(seed)
    query, key, value = inputs = [
        torch.randn(HEADS, bounds[-1], SIZE, generator=generator, requires_grad=True) for _ in range(3)
    ]
    actual = segment_attention(query, key, value, bounds, SCALE)
    pieces = []
    for start, length in zip(bounds, lengths, strict=False):
        q, k, v = (tensor[:, start : start + length] for tensor in inputs)
        pieces.append(dense_attention(q, k, v, torch.ones(length, length, dtype=torch.bool), SCALE))
    expected = torch.cat(pieces)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    weights = torch.randn(actual.shape, generator=generator)
    torch.testing.assert_close(
        torch.autograd.grad((actual * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
        rtol=0,
        atol=1e-5,
    )


def test_the_towers_features_equal_transformers() -> None:
    """10 x 6 patches give windows of several sizes (56 pixels are 4 patches); two images in one call."""
    prompt = random_prompt("p", [(10, 6), (4, 14)])
    tower, actual = tiny_model().model.visual, tiny_policy()
    assert tower.config._attn_implementation == "sdpa"
    with torch.no_grad():
        expected = tower(prompt.pixel_values, grid_thw=prompt.image_grid_thw).pooler_output
        features = actual.image_features(prompt.pixel_values, prompt.image_grid_thw)
    assert expected.std() > 0.1
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)


def test_prefill_is_causal_and_keeps_keys_and_values() -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(4, 7, SIZE, generator=generator)
    key, value = torch.randn(2, 2, 7, SIZE, generator=generator)
    attention = PrefillAttention()
    actual = attention(query, key, value, SCALE)
    causal = torch.ones(7, 7).tril().bool()
    torch.testing.assert_close(actual, dense_attention(query, key, value, causal, SCALE), rtol=0, atol=1e-5)
    attention(query, key + 1, value + 1, SCALE)
    assert [torch.equal(*pair) for pair in zip(attention.keys, [key, key + 1], strict=True)] == [True, True]
    assert [torch.equal(*pair) for pair in zip(attention.values, [value, value + 1], strict=True)] == [
        True,
        True,
    ]
