"""The number of trained weights: all weights that are not frozen, or the adapters."""

from __future__ import annotations

from vlm_uec.config import Config
from vlm_uec.forecast.shape import ModelShape
from vlm_uec.model.load import frozen_parts


def trained_weights(config: Config, shape: ModelShape) -> int:
    """Trained weights of the policy, over all ranks."""
    if config.lora.rank is not None:
        return adapter_weights(config, shape)
    frozen = frozen_parts(config)
    frozen_tower = frozen.tower * (shape.tower_weights - shape.projector_weights)
    return shape.weights - frozen_tower - frozen.projector * shape.projector_weights


def adapter_weights(config: Config, shape: ModelShape) -> int:
    """rank x (in + out) for every matrix that has an adapter; 0 without adapters."""
    lora = config.lora
    if lora.rank is None:
        return 0
    text = {
        "q_proj": (shape.hidden, shape.hidden),
        "k_proj": (shape.hidden, shape.key_values),
        "v_proj": (shape.hidden, shape.key_values),
        "o_proj": (shape.hidden, shape.hidden),
        "gate_proj": (shape.hidden, shape.intermediate),
        "up_proj": (shape.hidden, shape.intermediate),
        "down_proj": (shape.intermediate, shape.hidden),
    }
    count = shape.layers * sum(sum(text[target]) for target in lora.targets)
    if lora.vision:
        attention, mlp = shape.tower_hidden, shape.tower_intermediate
        # qkv, proj; gate, up and down
        count += shape.tower_layers * (4 * attention + 2 * attention + 3 * (attention + mlp))
    return lora.rank * count
