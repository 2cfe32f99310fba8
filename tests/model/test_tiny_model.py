"""The bundled tiny Qwen2.5-VL: a real, small model that reinforcement learning can improve."""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, GenerationConfig, Qwen2_5_VLForConditionalGeneration

from assets.make_tiny_model import (
    BUNDLE,
    MAX_PIXELS,
    MIN_PIXELS,
    VOCABULARY,
    end_tokens,
    random_model,
    tiny_config,
    tokenizer_texts,
)
from assets.tiny_scores import sample, verify_responses
from assets.tiny_tokenizer import SPECIAL_TOKENS, train_tokenizer
from assets.tiny_training import Recipe, collate, response_loss, response_text, training_stream
from data_prep.synthetic.problems import SyntheticProblem, assigned_split, generate
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.model.load import banned_ids
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.native import NativeEngine

Model = Any  # transformers' own annotations of its models do not pass a type checker
TOKENIZER: Any = AutoTokenizer.from_pretrained(BUNDLE)


@pytest.fixture(scope="module")
def model() -> Model:
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(BUNDLE)


@pytest.fixture(scope="module")
def encoder() -> PromptEncoder:
    return PromptEncoder.from_pretrained(
        str(BUNDLE), min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS, max_prompt_tokens=512
    )


def as_policy(model: Model) -> Policy:
    return Policy(model, banned_ids(VOCABULARY, TOKENIZER))


def test_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in Path(BUNDLE).rglob("*")) <= 4_000_000


def test_every_weight_loads_and_the_head_is_tied() -> None:
    loaded: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(BUNDLE, output_loading_info=True)
    model, info = loaded
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    assert 400_000 <= sum(parameter.numel() for parameter in model.parameters()) <= 900_000


def test_the_tower_has_both_kinds_of_attention(model: Model) -> None:
    vision = model.config.vision_config
    assert set(range(vision.depth)) - set(vision.fullatt_block_indexes) and vision.fullatt_block_indexes


def test_special_tokens_are_single_and_agree_with_the_configs(
    model: Model,
) -> None:
    ids = {token: TOKENIZER.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    assert all(TOKENIZER(token)["input_ids"] == [number] for token, number in ids.items())
    assert len(TOKENIZER) == VOCABULARY == model.config.text_config.vocab_size
    assert model.config.image_token_id == ids["<|image_pad|>"]
    assert model.config.video_token_id == ids["<|video_pad|>"]
    assert model.config.vision_start_token_id == ids["<|vision_start|>"]
    generation = GenerationConfig.from_pretrained(BUNDLE)
    assert generation.eos_token_id == [ids["<|im_end|>"], ids["<|endoftext|>"]]
    assert (TOKENIZER.eos_token, TOKENIZER.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_a_digit_is_a_token() -> None:
    ids = TOKENIZER("1234567890")["input_ids"]
    assert [TOKENIZER.decode([number]) for number in ids] == list("1234567890")


@given(st.text())
def test_any_text_round_trips(text: str) -> None:
    ids = TOKENIZER(text, split_special_tokens=True)["input_ids"]
    assert TOKENIZER.decode(ids) == unicodedata.normalize("NFC", text)


def test_special_tokens_in_untrusted_text_stay_text() -> None:
    ids = TOKENIZER("<|image_pad|>", split_special_tokens=True)["input_ids"]
    assert len(ids) > 1 and TOKENIZER.convert_tokens_to_ids("<|image_pad|>") not in ids


def test_chat_template_equals_qwens() -> None:
    messages: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": "Find x."}, {"type": "image"}],
        },
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "Why?"},
    ]
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    talk = (
        f"<|im_start|>user\n{image}Find x.{image}<|im_end|>\n"
        "<|im_start|>assistant\n4<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
    )
    default = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert TOKENIZER.apply_chat_template(messages, tokenize=False) == default + talk
    assert (
        TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        == default + talk + "<|im_start|>assistant\n"
    )
    own: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, *messages]
    assert (
        TOKENIZER.apply_chat_template(own, tokenize=False)
        == "<|im_start|>system\nBe brief.<|im_end|>\n" + talk
    )


def test_prompts_and_responses_are_short(encoder: PromptEncoder) -> None:
    for made in generate("validation", 60, 1, [1, 2, 3, 4]):
        prompt = encoder(made.problem)
        assert prompt.pixel_values.shape == (36, 1176)
        assert int((prompt.input_ids == encoder.image_pad_id).sum()) == 9
        assert prompt.length <= 96
        assert len(TOKENIZER(response_text(made))["input_ids"]) < 80


def test_tokenizer_is_reproducible() -> None:
    again = train_tokenizer(tokenizer_texts(Recipe().seed), VOCABULARY)
    assert again.get_vocab() == TOKENIZER.get_vocab()
    text = FormatPrompt()(generate("test", 1, 1, [1])[0].problem)
    assert again(text)["input_ids"] == TOKENIZER(text)["input_ids"]


def test_training_uses_only_the_training_split() -> None:
    for made in islice(training_stream(Recipe()), 200):
        assert assigned_split(made.problem.id) == "train"


def test_padded_training_loss_is_the_packed_policy_loss(encoder: PromptEncoder) -> None:
    """The tiny model was trained on padded rows, the trainer scores packed rows: losses are equal."""
    policy = as_policy(random_model(tiny_config(TOKENIZER), seed=3))
    policy.head.banned.zero_()
    problems = generate("train", 3, 1, [1, 2, 4])
    prompts = [encoder(made.problem) for made in problems]
    responses = [torch.tensor(TOKENIZER(response_text(made))["input_ids"]) for made in problems]
    batch = collate(list(zip(prompts, responses, strict=True)), TOKENIZER.pad_token_id)
    rows = [Row(prompt, (response,)) for prompt, response in zip(prompts, responses, strict=True)]
    logprobs, _ = policy(pack(rows))
    torch.testing.assert_close(response_loss(policy, batch), -logprobs.mean(), atol=1e-5, rtol=1e-5)


def greedy_verdicts(
    model: Model, encoder: PromptEncoder, problems: list[SyntheticProblem]
) -> tuple[list[str], list[bool]]:
    engine = NativeEngine(as_policy(model), frozenset(end_tokens(TOKENIZER)), slots=32)
    groups = sample(engine, [encoder(made.problem) for made in problems], 1, 0.0)
    verdicts = [
        verify_responses(encoder, group, made.problem)[0]
        for group, made in zip(groups, problems, strict=True)
    ]
    return [str(TOKENIZER.decode(group.responses[0].tokens)) for group in groups], verdicts


def test_accuracy_leaves_room_for_reinforcement_learning(model: Model, encoder: PromptEncoder) -> None:
    problems = generate("test", 80, 1, [1, 2])
    texts, verdicts = greedy_verdicts(model, encoder, problems)
    assert 0.05 <= sum(verdicts) / len(verdicts) <= 0.4
    pattern = re.compile(r"(<think> [^<]+ </think> )?\\boxed\{.+\}<\|im_end\|>")
    matches = [match for text in texts if (match := pattern.fullmatch(text))]
    assert len(matches) >= 76
    assert 8 <= sum(match[1] is None for match in matches) <= 72  # both kinds of response are common


def test_hardest_level_is_nearly_unsolved(model: Model, encoder: PromptEncoder) -> None:
    _, verdicts = greedy_verdicts(model, encoder, generate("test", 40, 1, [4]))
    assert sum(verdicts) <= 6


def test_generates_like_any_hub_model(model: Model, encoder: PromptEncoder) -> None:
    """Hugging Face's own generation and position code on our prompt."""
    prompt = encoder(generate("test", 1, 1, [1])[0].problem)
    is_image = (prompt.input_ids == encoder.image_pad_id).int()
    output = model.generate(
        input_ids=prompt.input_ids[None],
        pixel_values=prompt.pixel_values,
        image_grid_thw=prompt.image_grid_thw,
        mm_token_type_ids=is_image[None],
        attention_mask=torch.ones_like(prompt.input_ids)[None],
        do_sample=False,
        max_new_tokens=90,
    )
    ours, _ = greedy_verdicts(model, encoder, generate("test", 1, 1, [1]))
    assert TOKENIZER.decode(output[0, prompt.length :]) == ours[0]
