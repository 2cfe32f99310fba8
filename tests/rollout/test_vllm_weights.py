"""Transfer of weights to vLLM: pieces, names, and checksums that detect every change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from tests.support.tiny import tiny_model
from tests.support.tiny_text import tiny_text_model
from vlm_uec.config import LoraConfig
from vlm_uec.model.adapters import add_adapters, merge_adapters
from vlm_uec.model.load import load_model
from vlm_uec.rollout.vllm import weights as weights_module
from vlm_uec.rollout.vllm.weight_names import language_weights
from vlm_uec.rollout.vllm.weights import TensorAssembler, checksum, split_into_pieces, weights_digest

TYPES = [torch.float32, torch.bfloat16, torch.float64, torch.uint8]


def _numbers(count: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    return (values * 40).to(dtype)


@given(
    count=st.integers(1, 50), position=st.integers(0, 49), bit=st.integers(0, 7), dtype=st.sampled_from(TYPES)
)
def test_a_checksum_changes_with_every_bit(count: int, position: int, bit: int, dtype: torch.dtype) -> None:
    tensor = _numbers(count, dtype)
    flipped = tensor.clone()
    raw = flipped.view(torch.uint8)
    raw[position % len(raw)] ^= 1 << bit
    assert checksum(tensor) != checksum(flipped)


def test_a_checksum_changes_with_the_order_of_elements() -> None:
    tensor = _numbers(6, torch.float32)
    assert checksum(tensor) != checksum(tensor.flip(0))
    assert checksum(torch.tensor([0.0, 1.0])) != checksum(torch.tensor([1.0, 0.0]))


def test_a_checksum_is_the_documented_two_sums() -> None:
    words = [7, -3, 2**31 - 1]
    tensor = torch.tensor(words, dtype=torch.int32)
    weighted = sum(position * word for position, word in enumerate(words, 1))
    assert checksum(tensor) == f"{sum(words) % 2**64:016x}{weighted % 2**64:016x}"


def test_a_checksum_does_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = _numbers(1000, torch.bfloat16)
    whole = checksum(tensor)
    monkeypatch.setattr(weights_module, "_CHUNK_WORDS", 7)
    assert checksum(tensor) == whole


def test_a_checksum_does_not_depend_on_the_memory_layout() -> None:
    tensor = _numbers(12, torch.float32).view(3, 4)
    assert checksum(tensor.t()) == checksum(tensor.t().contiguous())


def test_a_digest_depends_on_the_names() -> None:
    assert weights_digest({"a": "1", "b": "2"}) == weights_digest({"b": "2", "a": "1"})
    assert weights_digest({"a": "1", "b": "2"}) != weights_digest({"a": "2", "b": "1"})


@given(
    rows=st.integers(0, 7), size=st.integers(1, 64), dtype=st.sampled_from(TYPES), transposed=st.booleans()
)
def test_pieces_are_bounded_and_assemble_to_the_tensor(
    rows: int, size: int, dtype: torch.dtype, transposed: bool
) -> None:
    tensor = _numbers(rows * 5, dtype).view(rows, 5)
    tensor = tensor.t() if transposed else tensor
    sent = list(split_into_pieces(tensor, size))
    assert all(len(piece) <= max(size, tensor.element_size()) for piece in sent)
    assembler = TensorAssembler(str(dtype).removeprefix("torch."), tuple(tensor.shape))
    results = [assembler.add(piece) for piece in sent]
    assert all(result is None for result in results[:-1])
    assert results[-1] is not None
    assert results[-1].dtype == dtype
    assert torch.equal(results[-1], tensor)


def test_more_bytes_than_the_tensor_has_are_rejected() -> None:
    assembler = TensorAssembler("float32", (2,))
    with pytest.raises(ValueError, match="more bytes"):
        assembler.add(torch.zeros(9, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", ["Tensor", "load", "float33", "__class__"])
def test_a_name_that_is_no_dtype_is_rejected(dtype: str) -> None:
    with pytest.raises(ValueError, match="not a dtype of torch"):
        TensorAssembler(dtype, (1,))


def test_weights_have_the_names_of_published_checkpoints(bundle: Path) -> None:
    model = load_model(str(bundle), "fp32", checkpointing=False)
    with safe_open(str(bundle / "model.safetensors"), "pt") as published:
        expected = {name for name in published.keys() if not name.startswith("visual.")}  # noqa: SIM118
        sent = dict(language_weights(model))
        assert set(sent) == expected
        assert all(torch.equal(sent[name], published.get_tensor(name)) for name in expected)


def test_a_head_is_sent_unless_it_is_tied_to_the_embedding() -> None:
    assert "lm_head.weight" in dict(language_weights(tiny_model(tied=False)))
    assert "lm_head.weight" not in dict(language_weights(tiny_model(tied=True)))


def test_a_text_models_weights_keep_their_names() -> None:
    model = tiny_text_model(vocabulary=32)
    assert set(dict(language_weights(model))) == {name for name, _ in model.named_parameters()}


def test_adapters_are_merged_into_the_weights_that_are_sent() -> None:
    """Factors of 0.5, rank 2, alpha 8 add (8 / 2) x (2 x 0.5 x 0.5) = 2 to an adapted matrix."""
    plain = dict(language_weights(tiny_model()))
    model = tiny_model()
    add_adapters(model, LoraConfig(rank=2, alpha=8, targets=["up_proj"]), "base", seed=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_" in name:
                weight.fill_(0.5)
    adapted = dict(language_weights(model))
    assert adapted.keys() == plain.keys()
    for name, matrix in plain.items():
        torch.testing.assert_close(adapted[name], matrix + 2 * name.endswith("up_proj.weight"))


def _merged_bf16(weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """One matrix merged with its adapter in bf16, as it is sent."""
    parts = {"base_layer": weight, "lora_A.default": down, "lora_B.default": up}
    weights = {f"layer.{name}.weight": part.bfloat16() for name, part in parts.items()}
    return dict(merge_adapters(weights, 1.0))["layer.weight"]


@pytest.mark.parametrize(
    ("weight", "change", "arrives"), [(0.02, 5e-5, False), (0.02, 7e-5, True), (0.001, 5e-5, True)]
)
def test_in_bf16_an_adapter_below_half_the_spacing_of_its_weight_is_lost(
    weight: float, change: float, arrives: bool
) -> None:
    """Near 0.02 the spacing of bf16 numbers is 2^-13 = 1.2e-4."""
    before = torch.tensor([[weight]], dtype=torch.bfloat16)
    after = _merged_bf16(before, torch.tensor([[change]]), torch.ones(1, 1))
    assert torch.equal(before, after) != arrives


@pytest.mark.parametrize(("change", "least", "most"), [(1e-6, 0, 0.1), (1e-5, 0.2, 0.4), (1e-4, 0.95, 1.05)])
def test_in_bf16_little_of_a_small_adapter_arrives(change: float, least: float, most: float) -> None:
    """Weights of 0.02, as in a published model; `change`: root mean square of an adapter of rank 16."""
    generator = torch.Generator().manual_seed(1)
    weight = 0.02 * torch.randn(512, 512, generator=generator)
    down = torch.randn(16, 512, generator=generator)
    up = change / 4 * torch.randn(512, 16, generator=generator)
    expected = up.bfloat16().float() @ down.bfloat16().float()
    received = _merged_bf16(weight, down, up).float() - weight.bfloat16().float()
    share = float((received * expected).sum() / (expected * expected).sum())
    print(f"{change:g}: {share:.2f} of it arrives")
    assert least <= share <= most
