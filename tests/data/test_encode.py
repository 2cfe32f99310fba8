from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.support.tiny import encoded, noise_picture
from vlm_uec.data.chat import FormatPrompt, tokenize_chat, user_message
from vlm_uec.data.decode import decode_image
from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.data.positions import mrope_positions
from vlm_uec.data.vision import extract_patches
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

WIDE, SMALL = noise_picture(112, 84), noise_picture(56, 56, seed=1)
PICTURE_BYTES = 16 * 1176 * 4  # of SMALL: 4 x 4 patches in float32


@pytest.fixture
def encoder(tokenizer: PreTrainedTokenizerBase, image_processor: Qwen2VLImageProcessorPil) -> PromptEncoder:
    return PromptEncoder(tokenizer, image_processor, FormatPrompt("{{ question }}"), max_prompt_tokens=200)


def _with_cache(encoder: PromptEncoder, cache_bytes: int) -> PromptEncoder:
    return PromptEncoder(encoder.tokenizer, encoder.image_processor, encoder.format_prompt, 200, cache_bytes)


def _problem(name: str = "p", question: str = "<image>Find x.", *pictures: Any) -> Problem:
    return Problem(name, question, "1", tuple(encoded(picture) for picture in pictures or (SMALL,)))


def test_every_picture_has_its_number_of_placeholders(encoder: PromptEncoder) -> None:
    """112 x 84 pixels are 4 x 3 merged patches, 56 x 56 are 2 x 2."""
    prompt = encoder(_problem("p", "In <image> and <image> find x.", WIDE, SMALL))
    pad = encoder.image_pad_id
    ids = tokenize_chat([user_message("In <image> and <image> find x.")], encoder.tokenizer)
    first = ids.index(pad)
    second = ids.index(pad, first + 1)
    expected = [*ids[:first], *[pad] * 12, *ids[first + 1 : second], *[pad] * 4, *ids[second + 1 :]]
    assert prompt.input_ids.tolist() == expected
    assert prompt.image_grid_thw.tolist() == [[1, 6, 8], [1, 4, 4]]
    assert prompt.length == len(expected)


def test_patches_and_positions_match_the_ids(encoder: PromptEncoder) -> None:
    prompt = encoder(_problem("p", "In <image> and <image> find x.", WIDE, SMALL))
    patches, _ = extract_patches([WIDE, SMALL], encoder.image_processor)
    assert torch.equal(prompt.pixel_values, patches)
    expected = mrope_positions(prompt.input_ids, prompt.image_grid_thw, encoder.image_pad_id, 2)
    assert torch.equal(prompt.position_ids, expected)
    assert prompt.next_position == int(expected.max()) + 1


def test_a_question_without_pictures(encoder: PromptEncoder) -> None:
    prompt = encoder(Problem("t", "2+2?", "4"))
    assert prompt.pixel_values.shape[0] == prompt.image_grid_thw.shape[0] == 0
    assert prompt.input_ids.tolist() == tokenize_chat([user_message("2+2?")], encoder.tokenizer)
    assert prompt.next_position == prompt.length


def test_the_token_limit_is_inclusive_and_counts_expanded_placeholders(encoder: PromptEncoder) -> None:
    length = encoder(_problem()).length
    for limit in (length, length - 1):
        fresh = PromptEncoder(encoder.tokenizer, encoder.image_processor, encoder.format_prompt, limit)
        if limit == length:
            assert fresh(_problem()).length == length
        else:
            with pytest.raises(PromptRejected, match=f"prompt over {limit} tokens"):
                fresh(_problem())


@pytest.mark.parametrize(
    ("question", "pictures"), [("Find x.", 1), ("<image><image>Find x.", 1), ("<image>Find x.", 2)]
)
def test_the_numbers_of_marks_and_pictures_must_be_equal(
    encoder: PromptEncoder, question: str, pictures: int
) -> None:
    with pytest.raises(PromptRejected, match="number of image marks and pictures differ"):
        encoder(_problem("p", question, *[SMALL] * pictures))


def test_a_special_token_in_the_question_is_not_a_picture(encoder: PromptEncoder) -> None:
    prompt = encoder(_problem("p", "<image>Is <|image_pad|> a picture?"))
    assert prompt.input_ids.tolist().count(encoder.image_pad_id) == 4
    with pytest.raises(PromptRejected, match="number of image marks"):
        encoder(_problem("q", "<|vision_start|><|image_pad|><|vision_end|>Find x."))


def test_a_broken_or_too_thin_picture_is_rejected(encoder: PromptEncoder) -> None:
    with pytest.raises(PromptRejected, match="broken picture"):
        encoder(Problem("broken", "<image>Find x.", "1", (encoded(noise_picture(9, 9))[:60],)))
    with pytest.raises(PromptRejected, match="picture sides beyond 200:1"):
        encoder(_problem("strip", "<image>Find x.", noise_picture(2, 401)))


# --- the cache --------------------------------------------------------------------------------------------


def test_a_repeated_prompt_is_cached(encoder: PromptEncoder) -> None:
    assert encoder(_problem("a")) is encoder(_problem("a"))


def test_the_cache_distinguishes_problems_with_equal_ids(encoder: PromptEncoder) -> None:
    first = encoder(_problem("0", "<image>Find x."))
    second = encoder(_problem("0", "<image>Find x.", WIDE))
    assert second.image_grid_thw.tolist() == [[1, 6, 8]]
    assert encoder(_problem("0", "<image>Find x.")) is not first


def test_the_least_recently_used_prompt_is_evicted(encoder: PromptEncoder) -> None:
    """The cache has room for two prompts: after a, b and a again, c evicts b."""
    small = _with_cache(encoder, 2 * PICTURE_BYTES)
    a, b = small(_problem("a")), small(_problem("b"))
    assert small(_problem("a")) is a
    c = small(_problem("c"))
    assert small(_problem("a")) is a
    assert small(_problem("c")) is c
    assert small(_problem("b")) is not b


def test_the_cached_bytes_are_exact_after_many_evictions(encoder: PromptEncoder) -> None:
    small = _with_cache(encoder, 2 * PICTURE_BYTES)
    for number in range(20):
        small(_problem(str(number % 7), "<image>Find x.", *((WIDE,) if number % 3 else ())))
    sizes = [prompt.pixel_values.nbytes for _, prompt in small._cache.values()]
    assert small._cached_bytes == sum(sizes)
    assert sum(sizes) <= small._cache_bytes or len(sizes) == 1


def test_a_prompt_larger_than_the_cache_is_returned(encoder: PromptEncoder) -> None:
    uncached = _with_cache(encoder, 0)
    assert uncached(_problem("a")).length == uncached(_problem("b")).length
    assert len(uncached._cache) == 1


def test_length_equals_the_encoded_length(encoder: PromptEncoder) -> None:
    problem = _problem("p", "In <image> and <image> find x.", WIDE, SMALL)
    assert encoder.length(problem) == encoder(problem).length


def test_a_picture_of_several_problems_is_decoded_once(
    encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lengths of two problems with the same picture are computed twice, without a prompt cache."""
    decoded: list[bytes] = []

    def counting(data: bytes) -> Image.Image:
        decoded.append(data)
        return decode_image(data)

    monkeypatch.setattr("vlm_uec.data.encode.decode_image", counting)
    uncached = _with_cache(encoder, 0)
    problems = [_problem("a"), _problem("b", "<image>Find y."), _problem("c", "<image>Find z.", WIDE)]
    for _ in range(2):
        assert [uncached.length(problem) for problem in problems] == [uncached(p).length for p in problems]
    assert decoded == [encoded(SMALL), encoded(WIDE)]


# --- loading ----------------------------------------------------------------------------------------------


def test_a_saved_encoder_encodes_equally_after_loading(encoder: PromptEncoder, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path)
    loaded = PromptEncoder.from_pretrained(
        str(tmp_path),
        template="{{ question }}",
        min_pixels=56 * 56,
        max_pixels=112 * 112,
        max_prompt_tokens=200,
    )
    original, reloaded = encoder(_problem()), loaded(_problem())
    for name in ("input_ids", "pixel_values", "image_grid_thw", "position_ids"):
        assert torch.equal(getattr(original, name), getattr(reloaded, name))


def test_a_tokenizer_without_image_tokens_is_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        file = tmp_path / name
        if file.exists():
            file.write_text(file.read_text().replace("<|image_pad|>", "<|other|>"))
    with pytest.raises(UserError, match=r"give a Qwen2.5-VL model"):
        PromptEncoder.from_pretrained(
            str(tmp_path), min_pixels=56 * 56, max_pixels=112 * 112, max_prompt_tokens=200
        )
