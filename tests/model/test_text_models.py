"""Text-only Qwen2.5: no vision tower, no images, one-dimensional positions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.support.launch import metrics
from tests.support.tiny import random_prompt, random_response
from tests.support.tiny_text import text_model_directory, tiny_text_model
from tests.support.variants import variant_runs
from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import Problem

END = 1
VOCABULARY = 96


def _policy() -> Policy:
    banned = torch.zeros(VOCABULARY, dtype=torch.bool)
    banned[[5, 90]] = True
    return Policy(tiny_text_model(vocabulary=VOCABULARY), banned)


def _encoder() -> PromptEncoder:
    return PromptEncoder.from_pretrained(
        str(text_model_directory()), min_pixels=None, max_pixels=None, max_prompt_tokens=128
    )


def test_packed_rows_equal_separate_sequences() -> None:
    """Compared with transformers' own forward of full sequences, with a softmax over the allowed ids."""
    policy, plain = _policy(), tiny_text_model(vocabulary=VOCABULARY)
    prompt, responses = random_prompt("a", text=7), (random_response(5, 1), random_response(3, 2))
    with torch.no_grad():
        scored, entropy = policy(pack([Row(prompt, responses)]))
        expected = []
        for tokens in responses:
            sequence = torch.cat([prompt.input_ids, tokens])[None]
            logits = plain(input_ids=sequence).logits[0, prompt.length - 1 : -1]
            logits[:, [5, 90]] = -torch.inf
            expected.append(logits.log_softmax(-1))
    expected_scores = torch.cat(
        [one.gather(1, t[:, None])[:, 0] for one, t in zip(expected, responses, strict=True)]
    )
    torch.testing.assert_close(scored, expected_scores, rtol=0, atol=1e-5)
    every = torch.cat(expected)
    torch.testing.assert_close(entropy, -(every.exp() * every.clamp(min=-1e9)).sum(-1), rtol=0, atol=1e-5)


def test_sampled_and_scored_log_probs_are_equal() -> None:
    policy, prompt = _policy(), random_prompt("a", text=7)
    engine = NativeEngine(policy, frozenset([END]), slots=8)
    request = Request(prompt, range(4), Sampling(1.0, 1.0, max_tokens=12))
    (group,) = engine.generate([request], StreamKey(1, 1), lambda progress: None)
    with torch.no_grad():
        scored, _ = policy(pack([Row(prompt, tuple(response.tokens for response in group.responses))]))
    sampled = torch.cat([response.policy_logprobs for response in group.responses])
    torch.testing.assert_close(sampled, scored, rtol=0, atol=1e-5)


def test_a_prompt_uses_the_models_chat_template() -> None:
    prompt = _encoder()(Problem("a", "What is 2 + 3?", "5"))
    text = _encoder().tokenizer.decode(prompt.input_ids)
    assert isinstance(text, str)
    assert text.startswith("<|im_start|>user\nWhat is 2 + 3?")
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert prompt.position_ids.tolist() == [list(range(prompt.length))] * 3


def test_a_text_model_rejects_images() -> None:
    with pytest.raises(PromptRejected, match="the model is text-only"):
        _encoder()(Problem("a", "<image>Find x.", "5", images=(b"",)))


def test_an_image_token_in_a_question_stays_text() -> None:
    """The tokenizer has the token, but text of a data set must not produce it."""
    encoder = _encoder()
    prompt = encoder(Problem("a", "What is <|image_pad|>?", "5"))
    assert encoder.tokenizer.get_vocab()["<|image_pad|>"] not in prompt.input_ids.tolist()


@pytest.mark.end_to_end
@pytest.mark.slow
def test_it_trains_and_its_export_loads() -> None:
    """Two ZeRO-3 ranks, with the switch for a tower that is not there."""
    run = variant_runs() / "text"
    rows = metrics(run)
    assert sum(row.get("update/optimizer_steps", 0) for row in rows) > 0
    before = AutoModelForCausalLM.from_pretrained(text_model_directory()).state_dict()
    after = AutoModelForCausalLM.from_pretrained(run / "export").state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert not Path(run / "export" / "preprocessor_config.json").exists()
