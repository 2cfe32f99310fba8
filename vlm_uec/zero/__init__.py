"""DeepSpeed ZeRO-3: engine, configuration, checkpoints, optimizer and offload."""
