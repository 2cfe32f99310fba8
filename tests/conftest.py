from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vlm_uec.data.vision import load_image_processor

# With more threads, small kernels are two orders of magnitude slower.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundled tiny Qwen2.5-VL; its tokenizer and image processor have the published models' classes."""
    return Path(__file__).parents[1] / "assets" / "tiny-qwen2.5-vl"


@pytest.fixture(scope="session")
def tokenizer(bundle: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(bundle)


@pytest.fixture
def image_processor(bundle: Path) -> Qwen2VLImageProcessorPil:
    return load_image_processor(str(bundle), 56 * 56, 112 * 112)
