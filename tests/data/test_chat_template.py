"""Templates that write the start of the reply, and templates that a run cannot use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tests.support.launch import BUNDLED_MODEL
from tests.support.tiny_text import text_model_directory
from vlm_uec.data.chat_template import check_chat_template, thinking_prefill
from vlm_uec.data.encode import IMAGE_PAD, PromptEncoder
from vlm_uec.errors import UserError
from vlm_uec.rewards import accuracy_reward, judge
from vlm_uec.types import Problem

TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
PICTURE_TURN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for part in m.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
)
REPLY = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def _reply(start: str) -> str:
    return REPLY.replace("{% endif %}", start + "{% endif %}")


THINKING = _reply("<think>\n")
PROBLEM = Problem("p", "7*7?", "49")


@pytest.fixture
def copy() -> PreTrainedTokenizerBase:
    """A tokenizer whose template a test may change."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    return tokenizer


def _model(tmp_path: Path, template: str, source: Path = BUNDLED_MODEL) -> str:
    shutil.copytree(source, tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").write_text(template, encoding="utf-8")
    return str(tmp_path / "model")


def _encoder(model: str) -> PromptEncoder:
    return PromptEncoder.from_pretrained(model, min_pixels=None, max_pixels=None, max_prompt_tokens=128)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (TURN + REPLY, ""),
        (TURN + THINKING, "<think>\n"),  # Qwen3-Thinking
        (
            "{{ bos_token }}{% for m in messages %}<｜User｜>{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}",
            "<think>\n",  # R1-Distill
        ),
        (TURN + _reply("Let me solve this.\n<think>"), "<think>"),
        (TURN + _reply("<think>\n\n</think>\n\n"), "<think>\n\n</think>\n\n"),  # thinking switched off
        ("<|im_start|>system\nUse <think> tags.<|im_end|>\n" + TURN + REPLY, ""),
        # The last turn is closed only if no reply follows.
        (
            "<think>{% for m in messages %}{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}A:{% else %}.{% endif %}",
            "",
        ),
    ],
)
def test_the_prefill_is_what_the_template_writes_from_the_think_tag_on(
    template: str, expected: str, copy: PreTrainedTokenizerBase
) -> None:
    copy.chat_template = template
    assert thinking_prefill(copy, pictures=False) == expected


def test_the_prefill_of_a_template_with_pictures(copy: PreTrainedTokenizerBase) -> None:
    copy.chat_template = PICTURE_TURN + THINKING
    assert thinking_prefill(copy, pictures=True) == "<think>\n"


@pytest.mark.parametrize(
    ("sampled", "accuracy", "form"),
    [
        (r"7*7=49.</think> \boxed{49}", 1.0, 1.0),
        (r"<think>7*7=49.</think> \boxed{49}", 1.0, 0.0),  # a second block
        (r"\boxed{48}</think> \boxed{49}", 1.0, 1.0),
        (r"\boxed{49}</think> 48 or 49", 0.0, 0.0),
        ("7*7=49. The answer is 49.", 0.0, 0.0),  # the thinking is not closed
        ("</think> The answer is 49.", 1.0, 0.0),
    ],
)
def test_a_prefilled_think_tag_is_part_of_the_response(
    sampled: str, accuracy: float, form: float, tmp_path: Path
) -> None:
    encoder = _encoder(_model(tmp_path, PICTURE_TURN + THINKING))
    tokens = torch.tensor(encoder.tokenizer(sampled)["input_ids"])
    text = encoder.response_text(tokens)
    assert text == "<think>\n" + sampled
    reward = judge(text, PROBLEM, accuracy_reward, 0.5)
    assert (reward.accuracy, reward.format) == (accuracy, form)


def test_without_a_prefill_the_response_is_the_sampled_text(tmp_path: Path) -> None:
    encoder = _encoder(_model(tmp_path, PICTURE_TURN + REPLY))
    tokens = torch.tensor(encoder.tokenizer("<think>a</think> b<|im_end|>")["input_ids"])
    assert encoder.response_text(tokens) == "<think>a</think> b"


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (PICTURE_TURN, "ignores add_generation_prompt"),
        (PICTURE_TURN + "<|im_start|>assistant\n", "ignores add_generation_prompt"),
        (TURN.replace("m.content", "m.content[1].text") + REPLY, r"writes 0 <\|image_pad\|>"),
        (PICTURE_TURN.replace("<|image_pad|>", "<|image_pad|>" * 2) + REPLY, r"writes 2 <\|image_pad\|>"),
        ("<|vision_start|><|image_pad|><|vision_end|>" + REPLY, "leaves out the text of a question"),
        ("{{ raise_exception('no\nway') }}", r"fails on a question: no\\nway"),
        ("{% for", "fails on a question: "),
    ],
)
def test_an_unusable_template_is_named_as_the_fault(template: str, fault: str, tmp_path: Path) -> None:
    model = _model(tmp_path, template)
    with pytest.raises(UserError, match=f"model: its chat template {fault}") as caught:
        _encoder(model)
    assert "\n" not in str(caught.value)


def test_a_text_only_model_needs_no_place_for_pictures(tmp_path: Path) -> None:
    assert _encoder(str(text_model_directory())).response_text(torch.tensor([], dtype=torch.int64)) == ""
    model = _model(tmp_path, TURN, text_model_directory())
    with pytest.raises(UserError, match="ignores add_generation_prompt"):
        _encoder(model)


def test_the_bundled_template_is_usable(copy: PreTrainedTokenizerBase) -> None:
    check_chat_template(copy, "tiny", IMAGE_PAD)
    assert thinking_prefill(copy, pictures=True) == ""
