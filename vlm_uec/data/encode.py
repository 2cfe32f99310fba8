"""Encodes a `Problem` as an `EncodedPrompt`: token ids, picture patches and positions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vlm_uec.config import Config
from vlm_uec.data.chat import FormatPrompt, tokenize_chat, user_message
from vlm_uec.data.chat_template import check_chat_template, thinking_prefill
from vlm_uec.data.decode import PictureError, decode_image
from vlm_uec.data.picture_store import PictureStore
from vlm_uec.data.positions import mrope_positions
from vlm_uec.data.uint8_pixels import UInt8PixelProcessor, UInt8Pixels
from vlm_uec.data.vision import images_from_messages, load_image_processor
from vlm_uec.errors import UserError
from vlm_uec.hub import exists_locally, silence_hub_retries
from vlm_uec.types import EncodedPrompt, Problem

IMAGE_PAD = "<|image_pad|>"
NO_IMAGE_PAD = -1  # image_pad_id of a text-only model
CACHE_BYTES = 2 << 30  # of patches
T = TypeVar("T")


class PromptRejected(ValueError):
    """The problem cannot be encoded as a prompt; the message is the reason, under which it is counted."""


class PromptEncoder:
    """Encodes problems for one model, format prompt and pixel budget.

    Caches the latest encodings, up to `cache_bytes` of patches, for prompts that recur within a step
    (rollout, then old, reference and update passes), and every resized picture for later steps.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Qwen2VLImageProcessorPil,
        format_prompt: FormatPrompt,
        max_prompt_tokens: int,
        cache_bytes: int = CACHE_BYTES,
        *,
        supports_pictures: bool = True,
    ) -> None:
        """`supports_pictures`: False for a text-only model, whose problems must have no pictures."""
        self.tokenizer = tokenizer
        self.supports_pictures = supports_pictures
        self.image_processor = image_processor
        self.format_prompt = format_prompt
        self.max_prompt_tokens = max_prompt_tokens
        self._prefill = thinking_prefill(tokenizer, pictures=supports_pictures)
        # Tokenizers of text-only Qwen models also have this token.
        self.image_pad_id = int(tokenizer.get_vocab()[IMAGE_PAD]) if supports_pictures else NO_IMAGE_PAD
        self.pictures = PictureStore()
        self._pixel_processor = UInt8PixelProcessor(image_processor)
        self._cache: OrderedDict[str, tuple[Problem, EncodedPrompt]] = OrderedDict()
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0

    @classmethod
    def from_config(cls, config: Config) -> PromptEncoder:
        """The encoder of a run's model, prompt template, pixel budget and prompt limit."""
        return cls.from_pretrained(
            config.model.path,
            template=config.prompt.template,
            min_pixels=config.data.min_pixels,
            max_pixels=config.data.max_pixels,
            max_prompt_tokens=config.data.max_prompt_tokens,
        )

    @classmethod
    def from_pretrained(
        cls,
        model_path: str,
        *,
        template: str | None = None,
        min_pixels: int | None,
        max_pixels: int | None,
        max_prompt_tokens: int,
        cache_bytes: int = CACHE_BYTES,
    ) -> PromptEncoder:
        """Loads tokenizer and image processor of a model directory or Hub id.

        `min_pixels`, `max_pixels`: None is the model's own budget. Raises UserError if they cannot be loaded.
        """
        tokenizer = _load(model_path, lambda: AutoTokenizer.from_pretrained(model_path))
        supports_pictures = _has_vision_tower(model_path)
        if supports_pictures and IMAGE_PAD not in tokenizer.get_vocab():
            raise UserError(f"{model_path}: its tokenizer has no {IMAGE_PAD}; give a Qwen2.5-VL model")
        check_chat_template(tokenizer, model_path, IMAGE_PAD if supports_pictures else None)
        return cls(
            tokenizer,
            _load(model_path, lambda: load_image_processor(model_path, min_pixels, max_pixels))
            if supports_pictures
            else Qwen2VLImageProcessorPil(),  # unused
            FormatPrompt(template),
            max_prompt_tokens,
            cache_bytes,
            supports_pictures=supports_pictures,
        )

    def save_pretrained(self, directory: Path) -> None:
        """Writes tokenizer and image processor as `from_pretrained` reads them."""
        self.tokenizer.save_pretrained(directory)
        if self.supports_pictures:
            self.image_processor.save_pretrained(directory)

    def __call__(self, problem: Problem) -> EncodedPrompt:
        """Raises `PromptRejected` on a broken picture or a prompt over the token limit."""
        cached, prompt = self._cache.get(problem.id, (None, None))
        # Splits can use the same ids: an id alone could return the picture of another split.
        if prompt is not None and cached == problem:
            self._cache.move_to_end(problem.id)
            return prompt
        prompt = self._encode(problem)
        self._add_to_cache(problem, prompt)
        return prompt

    def length(self, problem: Problem) -> int:
        """Number of tokens of the prompt; raises the same errors as encoding, at lower cost."""
        pictures = self._pictures(problem)
        return len(self._input_ids([self._message(problem)], pictures))

    def response_text(self, tokens: torch.Tensor) -> str:
        """A response as it is judged and shown: the template's `<think>`, if any, and the sampled text."""
        return self._prefill + str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def encode_messages(self, name: str, messages: Sequence[Mapping[str, Any]]) -> EncodedPrompt:
        """Encodes chat messages whose pictures are paths, URLs or base64; `name` serves as problem id."""
        images = images_from_messages(messages, self.image_processor)
        return self._assemble(name, messages, [self._pixel_processor.uint8_pixels(image) for image in images])

    def _encode(self, problem: Problem) -> EncodedPrompt:
        return self._assemble(problem.id, [self._message(problem)], self._pictures(problem))

    def _message(self, problem: Problem) -> dict[str, Any]:
        return _user_turn(self.format_prompt(problem), pictures=self.supports_pictures)

    def _pictures(self, problem: Problem) -> list[UInt8Pixels]:
        if problem.images and not self.supports_pictures:
            raise PromptRejected("has pictures, and the model is text-only")
        return [self._picture(data) for data in problem.images]

    def _picture(self, data: bytes) -> UInt8Pixels:
        key = blake2b(data, digest_size=16).digest()
        if stored := self.pictures.get(key):
            return stored
        try:
            picture = self._pixel_processor.uint8_pixels(decode_image(data))
        except PictureError as error:
            raise PromptRejected(error.reason) from error
        self.pictures.put(key, picture)
        return picture

    def _assemble(
        self, name: str, messages: Sequence[Mapping[str, Any]], pictures: Sequence[UInt8Pixels]
    ) -> EncodedPrompt:
        input_ids = torch.tensor(self._input_ids(messages, pictures), dtype=torch.int64)
        patches, grid = self._pixel_processor.pixel_values(pictures)
        positions = mrope_positions(input_ids, grid, self.image_pad_id, self.image_processor.merge_size)
        return EncodedPrompt(name, input_ids, patches, grid, positions)

    def _input_ids(self, messages: Sequence[Mapping[str, Any]], pictures: Sequence[UInt8Pixels]) -> list[int]:
        counts = [len(picture.values) // self._pixel_processor.merged_patches for picture in pictures]
        ids = tokenize_chat(messages, self.tokenizer)
        if ids.count(self.image_pad_id) != len(counts):
            raise PromptRejected("number of image marks and pictures differ")
        expanded = self._expand(ids, counts)
        if len(expanded) > self.max_prompt_tokens:
            # A truncated prompt would have fewer image placeholders than patches.
            raise PromptRejected(f"prompt over {self.max_prompt_tokens} tokens")
        return expanded

    def _expand(self, ids: Sequence[int], counts: Sequence[int]) -> list[int]:
        remaining = iter(counts)
        expanded: list[int] = []
        for token in ids:
            expanded += [token] * next(remaining) if token == self.image_pad_id else [token]
        return expanded

    def _add_to_cache(self, problem: Problem, prompt: EncodedPrompt) -> None:
        self._evict(problem.id)
        self._cache[problem.id] = problem, prompt
        self._cached_bytes += prompt.pixel_values.nbytes
        while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
            self._evict(next(iter(self._cache)))

    def _evict(self, problem_id: str) -> None:
        if problem_id in self._cache:
            _, prompt = self._cache.pop(problem_id)
            self._cached_bytes -= prompt.pixel_values.nbytes


def _user_turn(text: str, *, pictures: bool) -> dict[str, Any]:
    # Chat templates of text-only models do not accept content parts.
    return user_message(text) if pictures else {"role": "user", "content": text}


def _has_vision_tower(model_path: str) -> bool:
    """Whether the model's config has a vision tower; True for a directory without a config."""
    if exists_locally(model_path) and not (Path(model_path) / "config.json").is_file():
        return True
    return hasattr(_load(model_path, lambda: AutoConfig.from_pretrained(model_path)), "vision_config")


def _load(model_path: str, load: Callable[[], T]) -> T:
    try:
        with silence_hub_retries():
            return load()
    except Exception as error:  # the tokenizers library raises Exception itself on a damaged file
        raise UserError(
            f"{model_path}: no tokenizer and image processor ({str(error).strip()[:200]}); give a complete "
            "Qwen2.5-VL directory, or check the Hub id and the connection"
        ) from error
