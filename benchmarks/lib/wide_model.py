"""Writes the bundled tiny model with heads of 32, vLLM's minimum on a CPU; it computes the same function.

    python -m benchmarks.lib.wide_model --out runs/wide-model

The heads of 24 and the hidden states of 96 are padded with zeros to 32 and 128. Quantities that depend on a
width are corrected: the attention's scale in the queries, the mean of squares in the norms, and the rotary
frequencies in their base. Logits agree to rounding. Training also changes the padding.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

BUNDLE = Path(__file__).parents[2] / "assets" / "tiny-qwen2.5-vl"
HEAD = 32


@dataclass(frozen=True)
class Widths:
    """Widths of the text model before and after."""

    heads: int
    key_heads: int
    hidden: int
    head: int  # after

    @property
    def old_head(self) -> int:
        return self.hidden // self.heads

    @property
    def wide_hidden(self) -> int:
        return self.heads * self.head

    @property
    def ratio(self) -> float:
        return self.head / self.old_head


def widen(source: Path, out: Path, head: int = HEAD) -> Path:
    """Writes `source` to `out` with text heads of `head` numbers; returns `out`."""
    shutil.copytree(source, out, dirs_exist_ok=True)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    text = config["text_config"]
    widths = Widths(text["num_attention_heads"], text["num_key_value_heads"], text["hidden_size"], head)
    weights = load_file(source / "model.safetensors")
    widened = {name: _widened(name, weight, widths).contiguous() for name, weight in weights.items()}
    save_file(widened, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(_widened_config(config, widths), indent=2), encoding="utf-8")
    return out


def _widened(name: str, weight: torch.Tensor, widths: Widths) -> torch.Tensor:
    kind = name.removesuffix(".weight").removesuffix(".bias").rpartition(".")[2]
    if name.startswith("visual."):
        return _pad(weight, 0, widths.wide_hidden) if name.startswith("visual.merger.mlp.2.") else weight
    if kind == "q_proj":
        # Attention divides scores by the square root of the head's width.
        weight = _spread(weight, widths.heads, widths) * widths.ratio**0.5
    elif kind in ("k_proj", "v_proj"):
        weight = _spread(weight, widths.key_heads, widths)
    elif kind == "o_proj":
        weight = _pad(_spread(weight.t(), widths.heads, widths).t(), 0, widths.wide_hidden)
    elif kind == "down_proj":
        weight = _pad(weight, 0, widths.wide_hidden)
    elif "norm" in kind:
        # The mean of squares has the same sum over more elements.
        return _pad(weight, 0, widths.wide_hidden) * widths.ratio**-0.5
    has_hidden_inputs = name.endswith(".weight") and kind not in ("o_proj", "down_proj")
    return _pad(weight, 1, widths.wide_hidden) if has_hidden_inputs else weight


def _spread(rows: torch.Tensor, heads: int, widths: Widths) -> torch.Tensor:
    """Rows [heads x old head, ...] to [heads x head, ...]; the two of a rotary pair are half a head apart."""
    old = rows.reshape(heads, 2, widths.old_head // 2, *rows.shape[1:])
    new = old.new_zeros(heads, 2, widths.head // 2, *rows.shape[1:])
    new[:, :, : widths.old_head // 2] = old
    return new.flatten(0, 2)


def _pad(tensor: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    shape = list(tensor.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([tensor, tensor.new_zeros(shape)], dim)


def _widened_config(config: Mapping[str, Any], widths: Widths) -> dict[str, Any]:
    text, rope = config["text_config"], config["text_config"]["rope_parameters"]
    *sections, last = rope["mrope_section"]
    added = (widths.head - widths.old_head) // 2
    wide_rope = {
        **rope,
        "mrope_section": [*sections, last + added],
        "rope_theta": rope["rope_theta"] ** widths.ratio,
    }
    return {
        **config,
        "text_config": {
            **text,
            "hidden_size": widths.wide_hidden,
            "rms_norm_eps": text["rms_norm_eps"] / widths.ratio,
            "rope_parameters": wide_rope,
        },
        "vision_config": {**config["vision_config"], "out_hidden_size": widths.wide_hidden},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/wide-model"))
    print(widen(BUNDLE, parser.parse_args().out))


if __name__ == "__main__":
    main()
