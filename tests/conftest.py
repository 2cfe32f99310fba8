from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vlm_uec.data.vision import load_image_processor

# Small kernels lose to the hand-over between threads by two orders of magnitude.
torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests are dealt out to processes, those with launchers stay in one: they share runs."""
    for item in items:
        if item.get_closest_marker("end_to_end"):
            item.add_marker(pytest.mark.xdist_group("end_to_end"))


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundled tiny Qwen2.5-VL: its tokenizer and image processor are of the real ones' classes."""
    return Path(__file__).parents[1] / "assets" / "tiny-qwen2.5-vl"


@pytest.fixture(scope="session")
def tokenizer(bundle: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(bundle)


@pytest.fixture
def image_processor(bundle: Path) -> Qwen2VLImageProcessorPil:
    return load_image_processor(str(bundle), 56 * 56, 112 * 112)
