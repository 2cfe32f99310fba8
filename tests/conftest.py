from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from assets.tiny_tokenizer import GEOMETRY_WORDING, train_tokenizer
from vlm_uec.data.vision import load_image_processor

# Small kernels lose to the hand-over between threads by two orders of magnitude.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a Qwen2.5-VL style tokenizer and image processor."""
    directory = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(GEOMETRY_WORDING, 320).save_pretrained(directory)
    Qwen2VLImageProcessorPil().save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tokenizer(bundle: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(bundle)


@pytest.fixture
def image_processor(bundle: Path) -> Qwen2VLImageProcessorPil:
    return load_image_processor(str(bundle), 56 * 56, 112 * 112)
