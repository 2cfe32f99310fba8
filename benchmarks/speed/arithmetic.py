"""Counts the operations of one GRPO step: with groups, which share a prompt, and with separate sequences.

    python benchmarks/speed/arithmetic.py

Counts the minimum for step.py's shapes in GFLOP: two operations for each weight and token or patch, four for
each hidden unit and pair of positions in attention; a backward pass counts as two forward passes. Norms,
softmax and sampling are not counted. Divided by the rate of a large matrix product, which step.py prints, the
count is a lower bound of the time.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.speed.architectures import ARCHITECTURES
from benchmarks.lib.speed.step_shapes import STEP_SHAPES, StepShape

PATCH, MERGED = 14, 4  # side in pixels; patches per token
WINDOW = 64  # patches of an attention window, which most of the tower's layers use
TEXT_TOKENS = 38  # of step.py's prompts, without the picture's


@dataclass(frozen=True)
class StepFlops:
    """FLOPs of a step by part."""

    rollout_tower: float
    rollout_prompts: float
    decoding: float
    update_tower: float
    update_text: float
    update_head: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


class ForwardFlops:
    """FLOPs of a forward pass by part of the model."""

    def __init__(self, text: Mapping[str, Any], vision: Mapping[str, Any]) -> None:
        self.text, self.vision = text, vision

    def tower(self, patches: int) -> float:
        """For one picture."""
        vision = self.vision
        size, depth, full = vision["hidden_size"], vision["depth"], len(vision["fullatt_block_indexes"])
        block = 4 * size**2 + 3 * size * vision["intermediate_size"]
        embed = 3 * 2 * PATCH**2 * size
        merger = (MERGED * size) * (MERGED * size + vision["out_hidden_size"]) / MERGED
        pairs = full * patches**2 + (depth - full) * patches * WINDOW
        return 2 * (depth * block + embed + merger) * patches + 4 * pairs * size

    def layers(self, positions: float, pairs: float) -> float:
        text = self.text
        size, depth = text["hidden_size"], text["num_hidden_layers"]
        keys = size * text["num_key_value_heads"] / text["num_attention_heads"]
        weights = 2 * size**2 + 2 * size * keys + 3 * size * text["intermediate_size"]
        return depth * (2 * weights * positions + 4 * pairs * size)

    def head(self, positions: float) -> float:
        return float(2 * self.text["vocab_size"] * self.text["hidden_size"] * positions)


def step_flops(shape: StepShape, *, shared: bool) -> StepFlops:
    """FLOPs of a step that processes a prompt once for its G responses (`shared`) or once per response."""
    model = ForwardFlops(ARCHITECTURES[shape.model].text, ARCHITECTURES[shape.model].vision)
    patches = (shape.pixels // PATCH) ** 2
    prompt, decoded_tokens = patches // MERGED + TEXT_TOKENS, shape.max_tokens - 1
    responses = shape.prompts * shape.n
    prompts = shape.prompts if shared else responses
    response_pairs = responses * (decoded_tokens * prompt + decoded_tokens**2 / 2)
    tower = prompts * model.tower(patches)
    prefill = model.layers(prompts * prompt, prompts * prompt**2 / 2)
    decode = model.layers(responses * decoded_tokens, response_pairs)
    return StepFlops(
        rollout_tower=tower,
        rollout_prompts=prefill,
        decoding=decode + model.head(responses * decoded_tokens),
        update_tower=3 * tower,
        update_text=3 * (prefill + decode),
        update_head=3 * model.head(responses * shape.max_tokens),
    )


def main() -> None:
    for name, shape in STEP_SHAPES.items():
        shared, separate = step_flops(shape, shared=True), step_flops(shape, shared=False)
        print(f"\n{name}: {shape.prompts} prompts x {shape.n} responses of {shape.max_tokens} tokens, GFLOP")
        print(f"{'':>16} {'groups':>10} {'sequences':>10}")
        for part, value in vars(shared).items():
            print(f"{part:>16} {value / 1e9:>10.1f} {getattr(separate, part) / 1e9:>10.1f}")
        print(f"{'total':>16} {shared.total / 1e9:>10.1f} {separate.total / 1e9:>10.1f}", end="")
        print(f"   {separate.total / shared.total:.2f} times")


if __name__ == "__main__":
    main()
