"""The typed configuration of a run."""

from vlm_uec.config.load import dump_config, load_config
from vlm_uec.config.presets import SWITCHES, preset
from vlm_uec.config.schema import (
    Config,
    DataConfig,
    ExplorationConfig,
    GuardConfig,
    LoraConfig,
    LossConfig,
    OptimConfig,
    RolloutConfig,
    VllmConfig,
)

__all__ = [
    "SWITCHES",
    "Config",
    "DataConfig",
    "ExplorationConfig",
    "GuardConfig",
    "LoraConfig",
    "LossConfig",
    "OptimConfig",
    "RolloutConfig",
    "VllmConfig",
    "dump_config",
    "load_config",
    "preset",
]
