"""The typed configuration of a run."""

from vlm_uec.config.schema import (
    OBJECTIVES,
    SWITCHES,
    Algorithm,
    Config,
    DataConfig,
    ExplorationConfig,
    GuardConfig,
    LoraConfig,
    LossConfig,
    OptimConfig,
    RolloutConfig,
    VllmConfig,
    dump_config,
    load_config,
    preset,
)

__all__ = [
    "OBJECTIVES",
    "SWITCHES",
    "Algorithm",
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
