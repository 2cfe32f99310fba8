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
from vlm_uec.data.decode import decode_image
from vlm_uec.data.picture_store import PictureStore
from vlm_uec.data.positions import mrope_positions
from vlm_uec.data.uint8_pixels import UInt8PixelProcessor, UInt8Pixels
from vlm_uec.data.vision import images_from_messages, load_image_processor
from vlm_uec.errors import UserError
from vlm_uec.hub import exists_locally, silence_hub_retries
from vlm_uec.types import EncodedPrompt, Problem

IMAGE_PAD = "<|image_pad|>"
NO_ID = -1
CACHE_BYTES = 2 << 30  # of patches
T = TypeVar("T")


class PromptRejected(ValueError):
    """The problem cannot be a prompt; the message is the reason it is counted under."""


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
        reads_pictures: bool = True,
    ) -> None:
        """`reads_pictures`: False for a text-only model, whose problems must have no pictures."""
        self.tokenizer = tokenizer
        self.reads_pictures = reads_pictures
        self.image_processor = image_processor
        self.format_prompt = format_prompt
        self.max_prompt_tokens = max_prompt_tokens
        # Text-only tokenizers of the family have this token too, without pictures.
        self.image_pad_id = int(tokenizer.get_vocab()[IMAGE_PAD]) if reads_pictures else NO_ID
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
        """Tokenizer and image processor of a model directory or Hub id; None is the model's own budget."""
        tokenizer = _read(model_path, lambda: AutoTokenizer.from_pretrained(model_path))
        reads_pictures = _has_vision_tower(model_path)
        if reads_pictures and IMAGE_PAD not in tokenizer.get_vocab():
            raise UserError(f"{model_path}: its tokenizer has no {IMAGE_PAD}; give a Qwen2.5-VL model")
        if tokenizer.chat_template is None:
            raise UserError(f"{model_path}: its tokenizer has no chat template; give an instruct model")
        # A damaged template raises.
        _read(model_path, lambda: tokenize_chat([_user("?", pictures=reads_pictures)], tokenizer))
        return cls(
            tokenizer,
            _read(model_path, lambda: load_image_processor(model_path, min_pixels, max_pixels))
            if reads_pictures
            else Qwen2VLImageProcessorPil(),  # unused
            FormatPrompt(template),
            max_prompt_tokens,
            cache_bytes,
            reads_pictures=reads_pictures,
        )

    def save_pretrained(self, directory: Path) -> None:
        """Tokenizer and image processor beside exported weights, as `from_pretrained` expects them."""
        self.tokenizer.save_pretrained(directory)
        if self.reads_pictures:
            self.image_processor.save_pretrained(directory)

    def __call__(self, problem: Problem) -> EncodedPrompt:
        """Raises `PromptRejected` on a broken picture or a prompt over the token limit."""
        known, prompt = self._cache.get(problem.id, (None, None))
        # Ids repeat between splits: an id alone could return another split's picture.
        if prompt is not None and known == problem:
            self._cache.move_to_end(problem.id)
            return prompt
        prompt = self._encode(problem)
        self._remember(problem, prompt)
        return prompt

    def length(self, problem: Problem) -> int:
        """Tokens of the prompt; raises the same errors as encoding, at less cost."""
        pictures = self._pictures(problem)
        return len(self._input_ids([self._message(problem)], pictures))

    def encode_messages(self, name: str, messages: Sequence[Mapping[str, Any]]) -> EncodedPrompt:
        """Chat messages whose pictures are paths, URLs or base64; `name` stands for the problem id."""
        images = images_from_messages(messages, self.image_processor)
        return self._assemble(name, messages, [self._pixel_processor.uint8_pixels(image) for image in images])

    def _encode(self, problem: Problem) -> EncodedPrompt:
        return self._assemble(problem.id, [self._message(problem)], self._pictures(problem))

    def _message(self, problem: Problem) -> dict[str, Any]:
        return _user(self.format_prompt(problem), pictures=self.reads_pictures)

    def _pictures(self, problem: Problem) -> list[UInt8Pixels]:
        if problem.images and not self.reads_pictures:
            raise PromptRejected("has pictures, and the model reads text only")
        return [self._picture(data) for data in problem.images]

    def _picture(self, data: bytes) -> UInt8Pixels:
        key = blake2b(data, digest_size=16).digest()
        if known := self.pictures.get(key):
            return known
        try:
            image = decode_image(data)
        except ValueError as error:
            raise PromptRejected("broken picture") from error
        try:
            picture = self._pixel_processor.uint8_pixels(image)
        except ValueError as error:
            raise PromptRejected("picture too long and thin to resize") from error
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
            # Truncation would separate placeholders from patches.
            raise PromptRejected(f"prompt over {self.max_prompt_tokens} tokens")
        return expanded

    def _expand(self, ids: Sequence[int], counts: Sequence[int]) -> list[int]:
        remaining = iter(counts)
        expanded: list[int] = []
        for token in ids:
            expanded += [token] * next(remaining) if token == self.image_pad_id else [token]
        return expanded

    def _remember(self, problem: Problem, prompt: EncodedPrompt) -> None:
        self._forget(problem.id)
        self._cache[problem.id] = problem, prompt
        self._cached_bytes += prompt.pixel_values.nbytes
        while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
            self._forget(next(iter(self._cache)))

    def _forget(self, problem_id: str) -> None:
        if problem_id in self._cache:
            _, prompt = self._cache.pop(problem_id)
            self._cached_bytes -= prompt.pixel_values.nbytes


def _user(text: str, *, pictures: bool) -> dict[str, Any]:
    # Chat templates of text models take no content parts.
    return user_message(text) if pictures else {"role": "user", "content": text}


def _has_vision_tower(model_path: str) -> bool:
    """Decided by the model's config; a directory without one is taken for a vision-language model's."""
    if exists_locally(model_path) and not (Path(model_path) / "config.json").is_file():
        return True
    return hasattr(_read(model_path, lambda: AutoConfig.from_pretrained(model_path)), "vision_config")


def _read(model_path: str, load: Callable[[], T]) -> T:
    try:
        with silence_hub_retries():
            return load()
    except Exception as error:  # the tokenizers library raises Exception itself on a damaged file
        raise UserError(
            f"{model_path}: no tokenizer and image processor ({str(error).strip()[:200]}); give a whole "
            "Qwen2.5-VL directory, or check the Hub id and the connection"
        ) from error
